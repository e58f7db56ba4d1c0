"""One run: parameters, attributes, where it came from, texts, histograms."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeVar

from neptune_exporter.contract import NeptuneExporterError, Parameter, RunView, UsageError
from neptune_exporter.model import AttributeType, SysAttribute
from neptune_exporter.schema import step_as_float
from neptune_exporter_explorer.runs import OpenRuns, run_name
from neptune_exporter_explorer.table import RunsTable

_T = TypeVar("_T")
_HISTOGRAMS = 200
"""How many steps of a histogram series are shown at most; evenly chosen from all of them."""


def details(run: RunView, runs: OpenRuns, table: RunsTable) -> dict[str, Any]:
    """Everything except series and files. `errors` lists what cannot be read; the rest is complete."""
    errors: list[str] = []

    def read(part: Callable[[], _T], otherwise: _T) -> _T:
        try:
            return part()
        except (NeptuneExporterError, OSError) as error:
            if not any(known in str(error) for known in errors):
                errors.append(str(error))
            return otherwise

    errors += read(run.why_incomplete, ())
    parameters: list[dict[str, Any]] = read(
        lambda: [
            {"path": path, "type": parameter.type.value, "value": shown(parameter)}
            for path, parameter in runs.parameters(run).items()
        ],
        [],
    )
    attributes: list[dict[str, Any]] = read(
        lambda: [{"path": a.path, "type": a.type.value, "rows": a.rows} for a in run.attributes()], []
    )
    lineage: dict[str, Any] = read(lambda: _lineage(run, runs, table), {"parents": [], "children": []})
    return {
        "name": run_name(run.key),
        "project": run.key.project_id,
        "run": run.key.run_id,
        "kind": run.key.kind.value,
        "url": run.url,
        "complete": run.complete,
        "errors": errors,
        "notes": list(run.notes),
        "failures": [{"attribute": each.attribute_path, "message": each.message} for each in run.failures],
        "parameters": parameters,
        "attributes": attributes,
        "lineage": lineage,
    }


def shown(parameter: Parameter) -> Any:
    """The value as the pages have it."""
    return parameter.value.isoformat() if isinstance(parameter.value, datetime) else parameter.value


def _lineage(run: RunView, runs: OpenRuns, table: RunsTable) -> dict[str, Any]:
    """Parents, the first ancestor first, and children."""
    parents = [
        {"name": run_name(key), "run": key.run_id, "step": step, "is_there": found is not None}
        for key, found, step in runs.ancestors(run)
    ]
    children = []
    for place, row in enumerate(list(table.rows)):
        if table.value(place, SysAttribute.FORK_PARENT) is None or row.gone:
            continue
        child = runs.get(row.key)
        if child is not None and child.parent() == run.key:
            children.append({"name": row.name, "run": row.key.run_id})
    return {"parents": parents[::-1], "children": children}


def texts(
    run: RunView, attribute: str, search: str, is_pattern: bool, offset: int, limit: int
) -> dict[str, Any]:
    """Entries of a string series that hold a text or match a regular expression, and how many there are.
    Raises UsageError if `search` is not a regular expression, and DatasetError if a part is damaged or
    missing."""
    try:
        found = re.compile(search if is_pattern else re.escape(search), re.IGNORECASE).search
    except re.error as error:
        raise UsageError(f"/{search}/ is not a regular expression: {error}") from error
    matches = total = 0
    lines = []
    for step, time, value in _entries(run, attribute):
        total += 1
        if search and not found(value):
            continue
        if offset <= matches < offset + limit:
            lines.append({"step": step, "time": time, "value": value, "number": total - 1})
        matches += 1
    return {"total": total, "matches": matches, "lines": lines}


def _entries(run: RunView, attribute: str) -> Iterator[tuple[float | None, str | None, str]]:
    columns = ("string_value", "step", "step_float64", "timestamp")
    for batch in run.series(attribute, AttributeType.STRING_SERIES, columns=columns):
        times = (time and time.isoformat() for time in batch.column("timestamp").to_pylist())
        yield from zip(
            step_as_float(batch).to_pylist(), times, batch.column("string_value").to_pylist(), strict=True
        )


def histograms(run: RunView, attribute: str) -> dict[str, Any]:
    """Histograms over steps: all of them, or an even choice if there are many. Raises DatasetError if a part
    is damaged or missing."""
    kind = AttributeType.HISTOGRAM_SERIES
    total = next((a.rows for a in run.attributes() if (a.path, a.type) == (attribute, kind)), 0)
    every = max(1, -(-total // _HISTOGRAMS))
    columns = ("histogram_value", "step", "step_float64")
    rows = (
        (step, value)
        for batch in run.series(attribute, kind, columns=columns)
        for step, value in zip(
            step_as_float(batch).to_pylist(), batch.column("histogram_value").to_pylist(), strict=True
        )
    )
    return {
        "total": total,
        "histograms": [
            {"step": step, **(value or {})} for step, value in itertools.islice(rows, 0, None, every)
        ],
    }

"""The summary as one JSON document. Times are ISO 8601 in UTC, sizes are bytes."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, TextIO

from neptune_exporter.contract import DatasetSummary, ExportedRun, Reporter, RunSummary
from neptune_exporter.model import RunKey
from neptune_exporter.redaction import escaped, one_line

_MESSAGES = frozenset({"message", "error", "reason"})
"""Fields whose text comes from other programs and may have several lines. Others hold data, unchanged."""


class JsonReporter(Reporter):
    """Everything that the records hold, and totals."""

    def write(self, summary: DatasetSummary, open_run: Callable[[RunKey], ExportedRun], out: TextIO) -> None:
        text = json.dumps(summary_document(summary), indent=2, ensure_ascii=False, allow_nan=False)
        out.write(escaped(text) + "\n")


def summary_document(summary: DatasetSummary) -> dict[str, Any]:
    """The summary in types that JSON has."""
    runs = summary.runs
    return {
        "format_version": summary.format_version,
        "data_path": summary.data_path,
        "files_path": summary.files_path,
        "totals": {
            "projects": len(summary.projects),
            "runs": len(runs),
            "attributes": sum(count.attributes for run in runs for count in run.types.values()),
            "rows": sum(count.rows for run in runs for count in run.types.values()),
            "files": sum(run.files for run in runs),
            "data_bytes": sum(run.data_bytes for run in runs),
            "file_bytes": sum(run.file_bytes for run in runs),
        },
        "projects": [{"project_id": p.project_id, "runs": list(map(_run, p.runs))} for p in summary.projects],
        "problems": list(summary.problems),
    }


def _run(run: RunSummary) -> dict[str, Any]:
    values, steps = plain(run), run.steps
    del values["key"]
    least, greatest = _number(steps.minimum), _number(steps.maximum)
    values["steps"] = {"minimum": least, "maximum": greatest, "count": steps.count}
    return {"run_id": run.key.run_id, "kind": run.key.kind.value, **values}


def _number(value: float | None) -> Any:
    """Whole steps stay whole."""
    return int(value) if value is not None and value.is_integer() else plain(value)


def plain(value: Any, name: str = "") -> Any:
    """A record in the types that JSON has: fields by name, times in ISO 8601, decimals as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name), f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return _plain_collection(value)
    if isinstance(value, str) and name in _MESSAGES:
        return one_line(value)
    return _plain_single(value)


def _plain_collection(value: Iterable[Any]) -> Any:
    if isinstance(value, Mapping):
        return {str(plain(k)): plain(v, str(k)) for k, v in value.items()}
    items = [plain(item) for item in value]
    return sorted(items) if isinstance(value, (frozenset, set)) else items


def _plain_single(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat()
    is_text = isinstance(value, (Decimal, Path)) or (isinstance(value, float) and not math.isfinite(value))
    return str(value) if is_text else value

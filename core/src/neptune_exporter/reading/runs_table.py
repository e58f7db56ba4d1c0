"""Runs and their parameters as one Arrow table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from neptune_exporter.contract import Parameter, RunView
from neptune_exporter.model import AttributeType
from neptune_exporter.schema import FULL_SCHEMA, VALUE_COLUMN

KEYS = ("project", "run")
_Cells = dict[tuple[str, AttributeType], list[object]]


def runs_table(
    runs: Sequence[RunView], has_attribute: Callable[[str], bool], *, type_suffix: bool
) -> pa.Table:
    """A row per run: `project`, `run`, and a column per parameter, sorted by path; null where a run has none.

    A path that has several types, in one run or in different ones, has a column for each of them, called
    `<path>:<type>`; so are paths that are called as another column is, and with `type_suffix` all.
    """
    cells: _Cells = {}
    for row, run in enumerate(runs):
        for parameter in run.parameters().values():
            if has_attribute(parameter.path):
                _column(cells, parameter, len(runs))[row] = parameter.value
    paths = [path for path, _ in cells]
    columns: dict[str, pa.Array] = {
        "project": pa.array([run.key.project_id for run in runs], pa.string()),
        "run": pa.array([run.key.run_id for run in runs], pa.string()),
    }
    for path, kind in sorted(cells):
        name = f"{path}:{kind}" if type_suffix or path in KEYS or paths.count(path) > 1 else path
        columns[name] = pa.array(cells[path, kind], FULL_SCHEMA.field(VALUE_COLUMN[kind]).type)
    return pa.table(columns)


def _column(cells: _Cells, parameter: Parameter, rows: int) -> list[object]:
    key = parameter.path, parameter.type
    if key not in cells:
        cells[key] = [None] * rows
    return cells[key]

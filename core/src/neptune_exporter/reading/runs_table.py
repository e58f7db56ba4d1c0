"""Runs and their parameters as one Arrow table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pyarrow as pa

from neptune_exporter.contract import DatasetError, Parameter, RunView
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import FULL_SCHEMA, VALUE_COLUMN

KEYS = ("project", "run")
_Cells = dict[tuple[str, AttributeType], list[object]]


def runs_table(
    runs: Iterable[tuple[RunView, Mapping[str, Parameter] | DatasetError]],
    has_attribute: Callable[[str], bool],
    *,
    type_suffix: bool,
) -> pa.Table:
    """A row per run: `project`, `run`, and a column per parameter, sorted by path; null where a run has none.

    A path that has several types, in one run or in different ones, has a column for each of them, called
    `<path>:<type>`; so are paths that are called as another column is, and with `type_suffix` all.
    """
    cells: _Cells = {}
    keys: list[RunKey] = []
    for run, parameters in runs:
        if isinstance(parameters, DatasetError):
            raise parameters
        for parameter in parameters.values():
            if has_attribute(parameter.path):
                column = cells.setdefault((parameter.path, parameter.type), [])
                column += [None] * (len(keys) - len(column))
                column.append(parameter.value)
        keys.append(run.key)
    paths = [path for path, _ in cells]
    columns: dict[str, pa.Array] = {
        "project": pa.array([key.project_id for key in keys], pa.string()),
        "run": pa.array([key.run_id for key in keys], pa.string()),
    }
    for path, kind in sorted(cells):
        name = f"{path}:{kind}" if type_suffix or path in KEYS or paths.count(path) > 1 else path
        column = cells[path, kind]
        column += [None] * (len(keys) - len(column))
        columns[name] = pa.array(column, FULL_SCHEMA.field(VALUE_COLUMN[kind]).type)
    return pa.table(columns)

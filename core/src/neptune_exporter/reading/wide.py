"""Tables with a column per attribute: of points, a row per step; of parameters, a row per run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from neptune_exporter.contract import DatasetError, Parameter, RunView
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.reading.points import ranks
from neptune_exporter.schema import FULL_SCHEMA, VALUE_COLUMN

_RUN_KEYS = ("project", "run")
KEYS = (*_RUN_KEYS, "step")
"""Columns that are there in any case: an attribute of that name is called `<name>:float_series`."""
_Ints = npt.NDArray[np.int64]


def wide_table(points: pa.Table, *, with_time: bool) -> pa.Table:
    """A row per run and step, and a column per attribute (null where it has no point there).

    Where a series has several points at one step, the step has as many rows: none is dropped. The points are
    those of `long_table`, ordered by run, attribute and step; `with_time` adds `<attribute>:timestamp`.
    """
    names = pc.unique(points.column("attribute")).cast(pa.string()).sort().to_pylist()
    if not len(points):
        return points.select(KEYS)
    points = points.unify_dictionaries().combine_chunks()
    runs, attributes = _runs(points), ranks(points.column("attribute"))
    steps = points.column("step").to_numpy()
    row_of, first = _rows(runs, attributes, steps)
    result = points.select(KEYS).take(first)
    for code, name in zip(np.unique(attributes), names, strict=True):
        of_it = np.flatnonzero(attributes == code)
        source = np.full(len(first), -1, np.int64)
        source[row_of[of_it]] = of_it
        cells = pa.array(source, mask=source < 0)
        name = f"{name}:float_series" if name in KEYS else name
        result = result.append_column(name, points.column("value").take(cells))
        if with_time:
            result = result.append_column(f"{name}:timestamp", points.column("timestamp").take(cells))
    return result


def _runs(points: pa.Table) -> _Ints:
    """A number for each run, in the order of the rows."""
    projects, runs = ranks(points.column("project")), ranks(points.column("run"))
    changes = (np.diff(projects) != 0) | (np.diff(runs) != 0)
    return np.concatenate([[0], np.cumsum(changes)])


def _rows(
    runs: _Ints, attributes: _Ints, steps: npt.NDArray[np.float64]
) -> tuple[_Ints, npt.NDArray[np.int64]]:
    """The row of each point in the wide table, and a point of each row."""
    order = np.lexsort((_ordinals(runs, attributes, steps), steps, runs))
    ordinals = _ordinals(runs, attributes, steps)[order]
    begins = _differ(runs[order]) | _differ(steps[order]) | _differ(ordinals)
    begins[0] = True
    row_of = np.empty(len(order), np.int64)
    row_of[order] = np.cumsum(begins) - 1
    return row_of, order[begins]


def _ordinals(runs: _Ints, attributes: _Ints, steps: npt.NDArray[np.float64]) -> _Ints:
    """How many points of the same run, attribute and step come before each."""
    begins = _differ(runs) | _differ(attributes) | _differ(steps)
    begins[0] = True
    starts = np.flatnonzero(begins)
    return np.arange(len(runs)) - np.repeat(starts, np.diff(starts, append=len(runs)))


def _differ(values: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """Whether each value is another one than the one before; NaN is no other than NaN."""
    same = values[1:] == values[:-1]
    if values.dtype.kind == "f":
        same |= np.isnan(values[1:]) & np.isnan(values[:-1])
    return np.concatenate([[True], ~same])


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
    keys: list[RunKey] = []
    cells: dict[tuple[str, AttributeType], list[object]] = {}
    for run, parameters in runs:
        if isinstance(parameters, DatasetError):
            raise parameters
        for each in parameters.values():
            if has_attribute(each.path):
                column = cells.setdefault((each.path, each.type), [])
                _filled(column, len(keys)).append(each.value)
        keys.append(run.key)
    paths = [path for path, _ in cells]
    columns: dict[str, pa.Array] = {
        "project": pa.array([key.project_id for key in keys], pa.string()),
        "run": pa.array([key.run_id for key in keys], pa.string()),
    }
    for path, kind in sorted(cells):
        name = f"{path}:{kind}" if type_suffix or path in _RUN_KEYS or paths.count(path) > 1 else path
        columns[name] = pa.array(
            _filled(cells[path, kind], len(keys)), FULL_SCHEMA.field(VALUE_COLUMN[kind]).type
        )
    return pa.table(columns)


def _filled(column: list[object], length: int) -> list[object]:
    """The column itself, made so long with None."""
    column += [None] * (length - len(column))
    return column

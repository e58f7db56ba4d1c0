"""Reads the parameters of thousands of runs, for tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from neptune_exporter.contract import DatasetError, Parameter, parameters_by_path
from neptune_exporter.dataset.format.times import within_python
from neptune_exporter.dataset.read.rows import rows
from neptune_exporter.dataset.read.stored_run import StoredRun
from neptune_exporter.dataset.read.wanted import Wanted, in_order
from neptune_exporter.model import PARAMETER_TYPES
from neptune_exporter.schema import VALUE_COLUMN
from neptune_exporter.toolkit import look_ahead

_THREADS = 2
_AHEAD = 16
"""How many runs are read ahead."""
_COLUMNS = {"attribute_path", "attribute_type", *(VALUE_COLUMN[kind] for kind in PARAMETER_TYPES)}
_WANTED = Wanted(in_order(_COLUMNS), frozenset(kind.value for kind in PARAMETER_TYPES))
_Run = TypeVar("_Run", bound=StoredRun)

Parameters = Mapping[str, Parameter]


def parameters_of(runs: Iterable[_Run]) -> Iterator[tuple[_Run, Parameters | DatasetError]]:
    """Each run, in its order, with its parameters as of `StoredRun.parameters`, or why they cannot be read.

    Takes half the time of reading each run alone, because it decodes only the columns of parameters and
    caches nothing.
    """
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="parameters") as pool:
        for run, read in look_ahead(pool, runs, _read, _AHEAD):
            yield run, read()


def _read(run: StoredRun) -> Parameters | DatasetError:
    if run.problems:
        return DatasetError(f"{run.key}: {run.problems[0]}")
    try:
        batches = (batch for part in run.parts_once() for batch in part.batches(_WANTED, 65_536))
        return parameters_by_path(rows(map(within_python, batches)))
    except DatasetError as error:
        return error

"""A dataset as a command sees it: read-only, and with no more in memory than a call asks for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeAlias

from neptune_exporter.contract.rows import Parameter
from neptune_exporter.contract.run import ExportedRun
from neptune_exporter.errors import DatasetError
from neptune_exporter.model import AttributeType, RunKey

if TYPE_CHECKING:
    import pyarrow as pa

StepRange: TypeAlias = "tuple[float | None, float | None]"
"""Least and greatest step, both included; None is no limit."""
TimeRange: TypeAlias = "tuple[datetime | None, datetime | None]"
"""First and last time, both included; None is no limit."""


@dataclass(frozen=True, order=True)
class AttributeInfo:
    """An attribute of a run. A path that was logged with two types is two attributes.

    Examples:
        >>> [(info.path, info.rows) for info in run.attributes() if info.type.is_series]
        [('gradients', 1), ('logs/stdout', 2), ('train/loss', 3)]
    """

    path: str
    type: AttributeType
    rows: int
    """Of a series the number of its points, else 1."""


class RunView(ExportedRun, ABC):
    """A run of a `DatasetView`.

    Examples:
        >>> for batch in run.series("train/loss", AttributeType.FLOAT_SERIES, step_range=(1, None)):
        ...     print(batch["float_value"].to_pylist())
        [0.5, 0.4]
    """

    @property
    @abstractmethod
    def stamp(self) -> str:
        """As `fingerprint`, but as far as names, sizes and times of files tell: no byte of rows is read."""

    @abstractmethod
    def why_incomplete(self) -> Sequence[str]:
        """Why the run is not `complete`, a line each; empty if it is. Looks at names and sizes of parts."""

    @abstractmethod
    def attributes(self) -> Sequence[AttributeInfo]:
        """All attributes, sorted by path. Reads names, no values.

        Raises:
            DatasetError: a part is damaged or missing.
        """

    @abstractmethod
    def series(
        self,
        attribute: str,
        type: AttributeType,
        *,
        step_range: StepRange = (None, None),
        time_range: TimeRange = (None, None),
        columns: Collection[str] | None = None,
        batch_rows: int = 65_536,
    ) -> Iterator[pa.RecordBatch]:
        """The points of one series, in batches as of `ExportedRun.batches`.

        Reads only the row groups that may hold such points. Points without a step are left out
        if `step_range` has a limit, points without a time if `time_range` has one.

        Raises:
            DatasetError: a part is damaged or missing.
        """

    @abstractmethod
    def file_size(self, file: str) -> int | None:
        """Size in bytes of the file that `file_value.path` names; None if it is not there.

        Raises:
            UnsafePathError: as `open_file`.
        """


class DatasetView(Protocol):
    """A dataset, open for reading. Another process may write to it: each call sees what is there then.

    Examples:
        >>> [str(run.key) for run in dataset.runs("acme/vision")]
        ['acme/vision:RUN-1', 'acme/vision:RUN-2']
        >>> dataset.run(RunKey("acme/vision", "RUN-3")) is None
        True
    """

    @property
    def data_path(self) -> str: ...

    @property
    def files_path(self) -> str: ...

    def runs(self, project: str | None = None) -> Iterator[RunView]:
        """Every run, model and model version of one project or of all, ours and the earlier tool's."""
        ...

    def run(self, key: RunKey) -> RunView | None:
        """One run; None if the dataset does not have it."""
        ...

    def parameters_of(
        self, runs: Iterable[RunView]
    ) -> Iterator[tuple[RunView, Mapping[str, Parameter] | DatasetError]]:
        """Each of these runs of the dataset with its parameters, or why they cannot be read.

        For tables of thousands of runs: takes half of the time of asking each run.
        """
        ...

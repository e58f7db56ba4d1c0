"""A run of a dataset as sinks and reporters see it: read-only, streamed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO

from neptune_exporter.contract.failures import AttributeFailure
from neptune_exporter.contract.rows import Parameter, Row, Step
from neptune_exporter.model import AttributeType, RunKey

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class TypeCount:
    """How much of one attribute type a run holds.

    Examples:
        >>> run.counts()[AttributeType.FLOAT_SERIES]
        TypeCount(attributes=1, rows=3)
    """

    attributes: int
    rows: int


class ExportedRun(ABC):
    """One run of a dataset. Every call reads from the dataset, and memory does not grow with the run.

    Examples:
        >>> run.parameters()["config/lr"].value
        0.1
        >>> for batch in run.batches([AttributeType.FLOAT_SERIES], columns=["step", "float_value"]):
        ...     print(batch["float_value"].to_pylist())
        [0.9, 0.5, 0.4]
    """

    found: object = None
    """What the sink returned for this run: `prepare` to its `load`, `load` (as `sent`) to its `verify`."""

    @property
    @abstractmethod
    def key(self) -> RunKey: ...

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Hex digits that change whenever the rows of the run change."""

    @property
    @abstractmethod
    def complete(self) -> bool:
        """Whether it was published to the end and all parts are there. It may still have `failures`."""

    @property
    @abstractmethod
    def failures(self) -> tuple[AttributeFailure, ...]:
        """What the export could not read, as its receipt says."""

    @property
    @abstractmethod
    def notes(self) -> tuple[str, ...]:
        """Remarks of the source about the run as a whole."""

    @abstractmethod
    def counts(self) -> Mapping[AttributeType, TypeCount]:
        """Attributes and rows (without null ones) by type. Cheap where there is a receipt."""

    @abstractmethod
    def parameters(self) -> Mapping[str, Parameter]:
        """All single values by attribute path. Read once and kept.

        No value is left out: where a path has several, all but the first get names of their own
        (`parameters_by_path`).
        """

    @abstractmethod
    def parent(self) -> RunKey | None:
        """The run that this one was forked from, by `sys/forking/parent`."""

    @abstractmethod
    def fork_step(self) -> Step | None:
        """The last step that this run shares with its parent."""

    @abstractmethod
    def batches(
        self,
        types: Collection[AttributeType] | None = None,
        *,
        attributes: Collection[str] | None = None,
        columns: Collection[str] | None = None,
        batch_rows: int = 65_536,
        encoded: bool = False,
    ) -> Iterator[pa.RecordBatch]:
        """Rows as record batches of `FULL_SCHEMA` (or the named columns of it).

        Rows without any value, which other exporters write, are left out. A row of a float series with a time
        but no value is how they write NaN: here its value is NaN. Within a part, rows are ordered by
        attribute and step; an attribute may continue in a later part, and in exports of other tools rows come
        in any order. Times lie in the years 1 to 9999. For any other time, `timestamp` is null and
        `datetime_value` is the nearest time in that range. Sinks may read in several threads at once.

        Args:
            types: Only these attribute types; reads nothing else where the file allows.
            attributes: Only these attribute paths.
            columns: Only these columns, in the order of the schema.
            batch_rows: At most this many rows a batch.
            encoded: `attribute_path` comes as a dictionary array, which is faster. Its dictionary may
                hold paths that do not occur in the batch.

        Raises:
            DatasetError: a part is damaged or missing; names it.
        """

    @abstractmethod
    def rows(self, types: Collection[AttributeType] | None = None) -> Iterator[Row]:
        """The same as typed objects; convenient, and some fifty times slower."""

    @abstractmethod
    def open_file(self, file: str) -> BinaryIO:
        """Open what `file_value.path` names, for reading bytes.

        Raises:
            MissingFileError: it is not there.
            UnsafePathError: it is absolute, leaves the files folder, or passes a link.
        """

    @property
    def url(self) -> str:
        """Address of the run's page in Neptune; empty if no export recorded it."""
        return ""

    def time_span(self) -> tuple[datetime | None, datetime | None]:
        """First and last timestamp of any series, None if the run has no series."""
        return None, None

    def whole_steps(self) -> tuple[float, float] | None:
        """The lowest and the highest step of all series, if every step is known to be whole without a look at
        the rows; else None. Both are 0 if the run is known to have no series."""
        return None

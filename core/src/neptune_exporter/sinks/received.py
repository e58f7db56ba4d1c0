"""What a loader's hooks get: entries of text and histogram series, and files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from neptune_exporter.contract import ParameterValue
from neptune_exporter.sinks.filekinds import FileKind
from neptune_exporter.sinks.points import Points

_T = TypeVar("_T")


class HistogramValue(NamedTuple):
    """A histogram as Neptune has it: `len(edges) == len(values) + 1` in what Neptune writes."""

    kind: str
    """Neptune's `type`: COUNTING or DENSITY …"""
    edges: list[float]
    values: list[float]


@dataclass(frozen=True)
class Entries(Generic[_T]):
    """Entries of text or histogram series: columns of one length, in the order of the rows."""

    names: Sequence[str]
    """By number of the series."""
    series: npt.NDArray[np.int32]
    step: npt.NDArray[Any]
    """Multiplied, as the steps of points are."""
    time: npt.NDArray[np.int64]
    """ms since 1970."""
    values: list[_T]

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[tuple[str, int, int, _T]]:
        """(name, step, time, value), entry by entry."""
        names = map(self.names.__getitem__, self.series.tolist())
        return zip(names, self.step.tolist(), self.time.tolist(), self.values, strict=True)


@dataclass(frozen=True)
class FileToSend:
    """A file of a run, or one that the loader made of it."""

    name: str
    """Of the attribute; all files of a file series share it."""
    unique_name: str
    """No other file of the run has it; made of the attribute, the step and the extension."""
    step: int | None
    """Of a file series, multiplied; None where it has none that the target can hold."""
    time: int | None
    """ms since 1970."""
    size: int
    """Bytes."""
    kind: FileKind
    open: Callable[[], BinaryIO]
    made: bool = False
    """Made by the loader (texts, histograms or the manifest), not a file of the run."""
    holds: Mapping[str, int] = field(default_factory=dict)
    """Of a made file: by attribute path, how many entries of it are in the file."""


class Receiver(Protocol):
    """Takes all of a run, in this order."""

    def parameters(self, values: Mapping[str, ParameterValue]) -> None: ...

    def points(self, names: Sequence[str], points: Points) -> None: ...

    def texts(self, entries: Entries[str]) -> None: ...

    def histograms(self, entries: Entries[HistogramValue]) -> None: ...

    def file(self, file: FileToSend) -> None: ...

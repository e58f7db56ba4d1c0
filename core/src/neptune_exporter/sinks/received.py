"""What the hooks of a loader get: entries of text and histogram series, and files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from neptune_exporter.contract import ParameterValue
from neptune_exporter.sinks.points import Points
from neptune_exporter.toolkit.filekinds import FileKind

_T = TypeVar("_T")


class HistogramValue(NamedTuple):
    """A histogram as Neptune has it: `len(edges) == len(values) + 1` in what Neptune writes.

    Examples:
        >>> histogram = HistogramValue("COUNTING", [0.0, 1.0, 2.0], [3.0, 4.0])
        >>> sum(histogram.values)
        7.0
    """

    kind: str
    """Neptune's `type`: COUNTING or DENSITY …"""
    edges: list[float]
    values: list[float]


@dataclass(frozen=True)
class Entries(Generic[_T]):
    """Entries of text or histogram series: columns of one length, in the order of the rows.

    Examples:
        >>> steps, times = np.array([0, 1]), np.array([1714557600000, 1714557601000])
        >>> entries = Entries(["logs/stdout"], np.zeros(2, np.int32), steps, times, ["epoch 0", "epoch 1"])
        >>> for name, step, time, text in entries:
        ...     print(name, step, time, text)
        logs/stdout 0 1714557600000 epoch 0
        logs/stdout 1 1714557601000 epoch 1
    """

    names: Sequence[str]
    """The name of each series; `series` holds indices into it."""
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
    """A file of a run, or one that the loader made of it.

    Examples:
        >>> import io
        >>> name, kind = "val/sample_step_10.png", FileKind("image", "png")
        >>> file = FileToSend("val/sample", name, 10, None, 9, kind, lambda: io.BytesIO(b"the bytes"))
        >>> with file.open() as source:  # in `Loader.file`
        ...     source.read(file.size)
        b'the bytes'
    """

    name: str
    """The name of the attribute; all files of a file series share it."""
    unique_name: str
    """No other file of the run has it; made of the attribute, the step and the extension."""
    step: int | None
    """The step of a file series, multiplied; None if the target can hold no such step."""
    time: int | None
    """ms since 1970."""
    size: int
    """Bytes."""
    kind: FileKind
    open: Callable[[], BinaryIO]
    made: bool = False
    """Made by the loader (texts, histograms or the manifest), not a file of the run."""
    holds: Mapping[str, int] = field(default_factory=dict)
    """For a made file: how many entries of each attribute path it holds."""


class Receiver(Protocol):
    """Takes all data of a run, in this order."""

    def parameters(self, values: Mapping[str, ParameterValue]) -> None: ...
    def points(self, names: Sequence[str], points: Points) -> None: ...
    def texts(self, entries: Entries[str]) -> None: ...
    def histograms(self, entries: Entries[HistogramValue]) -> None: ...
    def file(self, file: FileToSend) -> None: ...

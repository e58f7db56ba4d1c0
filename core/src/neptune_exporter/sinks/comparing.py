"""Compares a run with what a loader reads back from its target."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from neptune_exporter.contract import Comparison, Loss, ParameterValue, SinkCapabilities, Verdict
from neptune_exporter.model import RunKey
from neptune_exporter.sinks.files import RESTORABLE
from neptune_exporter.sinks.metadata import RunMetadata
from neptune_exporter.sinks.points import Points
from neptune_exporter.sinks.received import Entries, FileToSend, HistogramValue
from neptune_exporter.sinks.values import as_text, short
from neptune_exporter.toolkit.measuring import measured

_BITS = (1 << 64) - 1
"""Keeps a sum of digests within 64 bits."""

ReadEntries = Callable[[str], Iterable[tuple[int, int, Any]]]


@dataclass(frozen=True)
class Held:
    """What a target holds of a run, by the names under which the loader wrote it.

    Leave out (None) what the target cannot hold or cannot return: the comparison then says `?`.

    Examples:
        >>> rows = {"train/loss": [(0, 1714557600000, 0.9), (1, 1714557601000, 0.5)]}
        >>> held = Held({"config/lr": 0.1}, lambda name: [Points.of_rows(rows[name])], name="baseline")
        >>> [len(points) for points in held.points("train/loss")]
        [2]
    """

    parameters: Mapping[str, Any]
    """Plain values, or as text what `values.as_text` made of them."""
    points: Callable[[str], Iterable[Points]]
    """All points of a series, by name: in pieces of any size, ascending by step."""
    texts: ReadEntries | None = None
    """The texts of a series, by name: (step, time in ms, text) in any order."""
    histograms: ReadEntries | None = None
    """The histograms of a series, by name: (step, time in ms, `HistogramValue`) in any order."""
    file: Callable[[FileToSend], BinaryIO | None] | None = None
    """Opens what the target holds of a file; None if it is not there."""
    names: Mapping[str, Collection[str]] = field(default_factory=dict)
    """All names in the target, by kind (`points`, `texts`, `histograms`; `files` by `unique_name`). Those
    that the run does not have are reported as `+`."""
    name: str | None = None
    status: str | None = None
    """`finished`, `failed` or `active`, as `RunMetadata` has it."""
    created: int | None = None
    ended: int | None = None
    parent_id: str | None = None
    tags: Collection[str] | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    """The bytes of each file whose size the target knows without reading it, by `unique_name`. Such a file is
    only opened if everything is compared."""


@dataclass
class EntrySum:
    """The number of entries, and a sum of their digests that does not depend on their order.

    Examples:
        >>> one, other = EntrySum(), EntrySum()
        >>> for step in (1, 2):
        ...     one.add(step, "epoch")
        ...     other.add(3 - step, "epoch")
        >>> one == other
        True
    """

    count: int = 0
    digest: int = 0

    def add(self, *entry: object) -> None:
        text = repr(entry).encode("utf-8", "surrogatepass")
        self.count += 1
        self.digest += int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
        self.digest &= _BITS


class Comparer:
    """A `Receiver` that compares a run with what the target holds of it.

    Points must come series by series. `lines` is complete after `close`.
    """

    def __init__(self, key: RunKey, held: Held, capabilities: SinkCapabilities, *, full: bool) -> None:
        self._key = key
        self._held = held
        self._capabilities = capabilities
        self._full = full
        self._sums: dict[str, dict[str, EntrySum]] = {"texts": {}, "histograms": {}}
        self._series: _SeriesReading | None = None
        self._seen: dict[str, set[str]] = {k: set() for k in ("points", "texts", "histograms", "files")}
        self.lines: list[tuple[str, str, Verdict, str, str]] = []
        """Kind, name, verdict, expected, found."""

    def parameters(self, values: Mapping[str, ParameterValue]) -> None:
        there = self._held.parameters
        for name, value in values.items():
            if name not in there:
                self._line("parameters", name, Verdict.MISSING, short(value))
            elif not self._same(value, there[name]):
                self._line("parameters", name, Verdict.DIFFERENT, short(value), short(there[name]))
            else:
                self._line("parameters", name, Verdict.EQUAL)
        for name in there:
            if name not in values:
                self._line("parameters", name, Verdict.EXTRA, "", short(there[name]))

    def _same(self, wanted: Any, found: Any) -> bool:
        if isinstance(wanted, float) and isinstance(found, float):
            wanted_array, found_array = np.array([wanted]), np.array([found])
            return bool(_same_values(wanted_array, found_array, self._capabilities.signed_zeros)[0])
        if isinstance(found, str) and not isinstance(wanted, str):
            return found == as_text(wanted)
        if isinstance(wanted, list):
            return isinstance(found, Collection) and sorted(wanted) == sorted(found)
        return type(wanted) is type(found) and bool(wanted == found)

    def points(self, names: Sequence[str], points: Points) -> None:
        if not len(points):
            return
        starts = np.flatnonzero(np.append(True, points.series[1:] != points.series[:-1]))
        for start, end in zip(starts, [*starts[1:], len(points)], strict=True):
            piece = points[int(start) : int(end)]
            name = names[int(piece.series[0])]
            if self._series is None or self._series.name != name:
                self._end_series()
                self._seen["points"].add(name)
                self._series = _SeriesReading(name, iter(self._held.points(name)))
            self._series.compare(piece, full=self._full, signed_zeros=self._capabilities.signed_zeros)

    def _end_series(self) -> None:
        series = self._series
        if series is None:
            return
        series.end()
        self._series = None
        self._counted("points", series.name, series.expected, series.found, series.different)

    def texts(self, entries: Entries[str]) -> None:
        self._add("texts", entries)

    def histograms(self, entries: Entries[HistogramValue]) -> None:
        self._add("histograms", entries)

    def _add(self, kind: str, entries: Entries[Any]) -> None:
        for name, step, time, value in entries:
            self._sums[kind].setdefault(name, EntrySum()).add(step, time, value)

    def file(self, file: FileToSend) -> None:
        self._seen["files"].add(file.unique_name)
        verdict, found = self._compared(file)
        self._line("files", file.unique_name, verdict, f"{file.size} bytes", found)
        for path, count in file.holds.items():
            self._line("entries", path, verdict, count, found)

    def _compared(self, file: FileToSend) -> tuple[Verdict, str]:
        """Compare a file: its size, and with `full` its content."""
        if self._held.file is None:
            return Verdict.UNKNOWN, "the target cannot be read"
        size = None if self._full else self._held.sizes.get(file.unique_name)
        same = True
        if size is None:
            there = self._held.file(file)
            if there is None:
                return Verdict.MISSING, ""
            with there:
                size, digest = measured(there)
            if self._full and size == file.size:
                with file.open() as own:
                    same = digest == measured(own)[1]
        return Verdict.EQUAL if same and size == file.size else Verdict.DIFFERENT, f"{size} bytes"

    def close(self) -> None:
        """Compare what is known only at the end of the run."""
        self._end_series()
        for kind, read in (("texts", self._held.texts), ("histograms", self._held.histograms)):
            for name, wanted in self._sums[kind].items():
                self._seen[kind].add(name)
                if read is None:
                    self._line(kind, name, Verdict.UNKNOWN, wanted.count, "the target cannot be read")
                else:
                    self._entries(kind, name, wanted, read(name))
        for kind, names in self._held.names.items():
            for name in sorted(set(names) - self._seen.get(kind, set())):
                self._line(kind, name, Verdict.EXTRA)

    def _entries(self, kind: str, name: str, wanted: EntrySum, there: Iterable[tuple[int, int, Any]]) -> None:
        found = EntrySum()
        for step, time, value in there:
            found.add(step, time, value)
        different = str(found.count) if self._full and found.digest != wanted.digest else ""
        self._counted(kind, name, wanted.count, found.count, different)

    def _counted(self, kind: str, name: str, expected: int, found: int, different: str) -> None:
        """A line for a series. `different`: what differs, if there are as many entries as expected."""
        if found != expected:
            self._line(kind, name, Verdict.MISSING if found < expected else Verdict.EXTRA, expected, found)
        else:
            verdict = Verdict.DIFFERENT if different else Verdict.EQUAL
            self._line(kind, name, verdict, expected, different or found)

    def metadata(self, run: RunMetadata) -> None:
        """Compare name, status, times, tags and fork, if the target can hold them."""
        held = self._held
        pairs: list[tuple[str, Any, Any]] = [
            ("name", run.name, held.name),
            ("status", run.status, held.status),
            ("time of creation", run.created, held.created),
            ("time of the end", run.ended, held.ended),
            ("fork parent", run.parent_id, held.parent_id),
        ]
        for item, wanted, found in pairs:
            if found is not None or (item == "fork parent" and wanted is not None):
                verdict = Verdict.EQUAL if wanted == found else Verdict.DIFFERENT
                self._line("run", item, verdict, wanted, found)
        if held.tags is not None:
            missing = sorted(set(run.tags) - set(held.tags))
            verdict = Verdict.MISSING if missing else Verdict.EQUAL
            self._line("run", "tags", verdict, sorted(run.tags), sorted(held.tags))

    def _line(
        self, kind: str, name: str, verdict: Verdict, expected: object = "", found: object = ""
    ) -> None:
        self.lines.append((kind, name, verdict, str(expected), str(found)))

    def comparisons(self, paths: Mapping[str, str], losses: Sequence[Loss]) -> Iterator[Comparison]:
        """One line for each item, and one for each attribute of which nothing could be sent.

        `paths`: the attribute path for each name that is not the path itself. An item that differs only by
        one of the losses is `~`.
        """
        lost, seen = {loss.attribute_path for loss in losses}, set[str | None]({None})
        for kind, name, verdict, expected, found in self.lines:
            path = paths.get(name, name)
            seen.add(path)
            is_lost = verdict is Verdict.EQUAL and kind != "run" and path in lost
            item = path if kind == "run" else f"{kind} of {path}"
            yield Comparison(self._key, item, Verdict.LOST if is_lost else verdict, expected, found)
        for loss in losses:  # a file that could not be sent was not compared
            is_file = loss.reason in RESTORABLE
            if is_file or loss.attribute_path not in seen:
                item = f"file {loss.attribute_path}" if is_file else str(loss.attribute_path)
                yield Comparison(self._key, item, Verdict.LOST, str(loss.count), loss.message)


def damage(comparisons: Iterable[Comparison]) -> Iterator[Comparison]:
    """What differs, but for what people do in a tracker: another name, parameters and series of their own."""
    for comparison in comparisons:
        is_added = comparison.verdict is Verdict.EXTRA and not comparison.expected
        if comparison.verdict.is_mismatch and not is_added and comparison.item != "name":
            yield comparison


class _SeriesReading:
    """One series of the run, beside the pieces of it that are read from the target."""

    def __init__(self, name: str, pieces: Iterator[Points]) -> None:
        self.name = name
        self.expected = 0
        self.found = 0
        self.different = ""
        self._pieces = pieces
        self._held = Points.joined([])
        self._more = True

    def compare(self, wanted: Points, *, full: bool, signed_zeros: bool) -> None:
        """Compare the next points of the series, of which no step is divided."""
        found = self._up_to(wanted.step[-1])
        self.expected += len(wanted)
        self.found += len(found)
        if full and not self.different and len(found) == len(wanted):
            self.different = _first_difference(_ordered(wanted), _ordered(found), signed_zeros)

    def end(self) -> None:
        """Count the points of the target beyond the last step."""
        self.found += len(self._held) + sum(map(len, self._pieces))

    def _up_to(self, step: Any) -> Points:
        taken = []
        while self._more and not (len(self._held) and self._held.step[-1] > step):
            taken.append(self._held)
            following = next(self._pieces, None)
            self._more = following is not None
            self._held = Points.joined([]) if following is None else following
        end = int(np.searchsorted(self._held.step, self._held.step.dtype.type(step), "right"))
        taken.append(self._held[:end])
        self._held = self._held[end:]
        return Points.joined(taken)


def _ordered(points: Points) -> Points:
    return points[np.lexsort((points.value.view(np.int64), points.time, points.step))]


def _first_difference(wanted: Points, found: Points, signed_zeros: bool) -> str:
    same = (wanted.step == found.step) & (wanted.time == found.time)
    same &= _same_values(wanted.value, found.value, signed_zeros)
    if same.all():
        return ""
    i = int(np.flatnonzero(~same)[0])
    return (
        f"step {wanted.step[i]}: {wanted.value[i]} at {wanted.time[i]}, "
        f"found {found.value[i]} at step {found.step[i]}, {found.time[i]}"
    )


def _same_values(wanted: Any, found: Any, signed_zeros: bool) -> Any:
    both_nan = np.isnan(wanted) & np.isnan(found)
    same = wanted == found
    if signed_zeros:
        same &= np.signbit(wanted) == np.signbit(found)
    return same | both_nan

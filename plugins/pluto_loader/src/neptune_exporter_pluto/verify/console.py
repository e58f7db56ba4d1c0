"""Console lines, and what Pluto gives no way to read: string series, histograms, tables."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import orjson
import pyarrow as pa

from neptune_exporter.contract import Comparison, Verdict
from neptune_exporter.model import AttributeType
from neptune_exporter_pluto.data_rows import ROW_COLUMNS, ROW_TYPES, take_rows
from neptune_exporter_pluto.histogram_rows import HistogramStream
from neptune_exporter_pluto.limits import pluto_rows
from neptune_exporter_pluto.strings import StringStreams
from neptune_exporter_pluto.verify.context import Check
from neptune_exporter_pluto.verify.values import times_of

_BITS = (1 << 64) - 1


@dataclass
class _Sum:
    """A number of lines, and a sum of their digests that does not depend on their order."""

    lines: int = 0
    digest: int = 0

    def add(self, time: int, number: int, level: str, message: str) -> None:
        text = f"{time} {number} {level} {message}".encode()
        value = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
        self.lines += 1
        self.digest = (self.digest + value) & _BITS


def read_rows(check: Check) -> tuple[StringStreams, _Sum]:
    """Make of string series and histograms what the load made of them, without sending it.

    The two texts are in the check's folder afterwards.
    """
    expected = _Sum()

    def take(lines: pa.Array) -> None:
        if not check.full:
            expected.lines += len(lines)
            return
        for line in lines.to_pylist():
            record = orjson.loads(line)
            expected.add(record["time"], record["lineNumber"], record["logType"], record["message"])

    streams = StringStreams(check.names, check.losses, check.folder, lambda lines: None, take)
    batch_rows = check.session.settings.batch_rows
    rows = pluto_rows(check.run, ROW_TYPES, ROW_COLUMNS, check.multiplier, batch_rows, check.metadata.no_time)
    take_rows(rows, check.names, streams, HistogramStream(check.names, check.losses, lambda lines: None))
    return streams, expected


def compare_console(check: Check, expected: _Sum) -> Iterator[Comparison]:
    found = check.patiently(
        lambda: check.api.log_total(check.project, check.run_id), lambda total: total == expected.lines
    )
    if expected.lines or found:
        yield check.counted("log lines", expected.lines, found)
    if check.full and expected.lines == found and found:
        same = _read(check).digest == expected.digest
        yield check.line("text of the log lines", Verdict.EQUAL if same else Verdict.DIFFERENT)


def _read(check: Check) -> _Sum:
    found = _Sum()
    while True:
        page = check.api.log_page(check.project, check.run_id, found.lines)["logs"]
        if not page:
            return found
        for row, time in zip(page, times_of(page).tolist(), strict=True):
            found.add(time, int(row["lineNumber"]), row["logType"], row["message"])


def untold(check: Check, counts: dict[str, int], strings: StringStreams) -> Iterator[Comparison]:
    """What Pluto gives no way to read: how many there are, and how many it has acknowledged.

    Args:
        counts: What the load counted; empty if another machine loaded the run.
    """
    histograms = check.run.counts().get(AttributeType.HISTOGRAM_SERIES)
    rows = {"histograms": histograms.rows if histograms else 0, "string series entries": strings.entries}
    for what, expected in rows.items():
        if expected:
            arrived = f"{counts[what]} acknowledged; " if what in counts else ""
            yield check.line(what, Verdict.UNKNOWN, expected, f"{arrived}Pluto gives no way to read them")

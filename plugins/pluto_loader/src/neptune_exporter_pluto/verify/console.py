"""Console lines: how many there are, and with `full` each."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from neptune_exporter.contract import Comparison, Verdict
from neptune_exporter.sinks.comparing import EntrySum
from neptune_exporter_pluto.entries import Entries
from neptune_exporter_pluto.form.values import times_of
from neptune_exporter_pluto.verify.context import Check


def read_entries(check: Check) -> tuple[Entries, EntrySum]:
    """Convert string series and histograms as the load did, without sending them; and sum the console lines.

    The two texts are then in the folder of the content.
    """
    entries, expected = Entries(check.content), EntrySum()
    for stream, lines in entries.lines():
        if stream == "logs" and check.full:
            for line in lines.to_pylist():
                record = orjson.loads(line)
                expected.add(record["time"], record["lineNumber"], record["logType"], record["message"])
        elif stream == "logs":
            expected.count += len(lines)
    return entries, expected


def compare_console(check: Check, expected: EntrySum) -> Iterator[Comparison]:
    found = check.patiently(
        lambda: check.api.log_total(check.project, check.run_id), lambda total: total == expected.count
    )
    if expected.count or found:
        yield check.counted("log lines", expected.count, found)
    if check.full and expected.count == found and found:
        same = _read(check).digest == expected.digest
        yield check.line("text of the log lines", Verdict.EQUAL if same else Verdict.DIFFERENT)


def _read(check: Check) -> EntrySum:
    found = EntrySum()
    while True:
        page = check.api.log_page(check.project, check.run_id, found.count)["logs"]
        if not page:
            return found
        for row, time in zip(page, times_of(page).tolist(), strict=True):
            found.add(time, int(row["lineNumber"]), row["logType"], row["message"])

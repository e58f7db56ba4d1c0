"""What Pluto's Logs page shows: console lines, and series that people name like them."""

from __future__ import annotations

from typing import Any

import pytest

from neptune_exporter.model import RunKey
from neptune_exporter.testing.runs import SampleRun, string_series
from neptune_exporter_pluto.entries import console_stream
from neptune_exporter_pluto_server import RehearsalServer

KEY = RunKey("acme/vision", "RUN-1")


@pytest.mark.parametrize(
    ("path", "stream"),
    [
        ("monitoring/a1b2/stdout", "stdout"),
        ("runtime/stderr", "stderr"),
        ("logs/stdout", "stdout"),
        ("logs/stderr", "stderr"),
        ("my/logs/stdout", None),
        ("logs/stdout/old", None),
        ("stdout", None),
        ("notes", None),
    ],
)
def test_what_counts_as_printed(path: str, stream: str | None) -> None:
    assert console_stream(path) == stream


def test_a_series_named_as_the_text_of_all_is_on_the_page_and_the_text_keeps_its_name(
    server: RehearsalServer, stored: Any
) -> None:
    lines = [(0, "hello"), (1, "world")]
    series = (string_series("logs/stdout", lines), string_series("notes", [(0, "a note")]))
    run, _ = stored(SampleRun(KEY, series))
    key = server.key(run)
    assert [row["message"] for row in server.store.log_rows(key)] == ["hello", "world"]
    assert [row["logName"] for row in server.store.string_series(key)] == ["notes"]
    assert run.log_names == {"notes": "DATA", "logs/stdout": "TEXT"}

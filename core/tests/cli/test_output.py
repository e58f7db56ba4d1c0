"""How numbers are told."""

from __future__ import annotations

import pytest

from neptune_exporter.cli.output import counted_of


@pytest.mark.parametrize(
    ("what", "one"),
    [
        ("log lines", "log line"),
        ("string series entries", "string series entry"),
        ("series", "series"),
        ("string series", "string series"),
        ("text", "text"),
    ],
)
def test_one_is_told_in_the_singular(what: str, one: str) -> None:
    assert counted_of(1, what) == f"1 {one}"
    assert counted_of(0, what) == f"0 {what}"
    assert counted_of(1_204, what) == f"1,204 {what}"

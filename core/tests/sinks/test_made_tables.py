"""Tables of string series hold every text as it was, and are found by their attribute."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from neptune_exporter.sinks.made import MadeFile
from neptune_exporter.sinks.made_tables import MadeTables

TEXTS = ["plain", 'quo"te', "two\nlines\r\n", "a,b", "", " ", "\u2028", "\r", "日本"]


def test_rows_that_come_in_any_order_are_whole(tmp_path: Path) -> None:
    tables = MadeTables(tmp_path, "texts")
    paths = ["a", "b/stdout"] * len(TEXTS)
    steps = [str(number) for number in range(len(paths))]
    values = [text for text in TEXTS for _ in range(2)]
    tables.write(paths[:7], steps[:7], [None] * 7, values[:7])
    tables.write(paths[7:], steps[7:], [1_704_067_200_123] * (len(paths) - 7), values[7:])
    found = {}
    for file in tables.files(lambda path, extension: f"{path}.{extension}"):
        with file.open() as source:
            found[file.unique_name] = source.read()
        assert len(found[file.unique_name]) == file.size
    rows = list(csv.DictReader(io.StringIO(found["a.csv"].decode(), newline="")))
    assert [row["text"] for row in rows] == TEXTS
    assert [row["step"] for row in rows] == steps[::2]
    assert [row["time"] for row in rows] == [""] * 4 + ["2024-01-01 00:00:00.123+00:00"] * 5
    assert found.keys() == {"a.csv", "b/stdout.csv"}


def test_what_a_process_printed_is_plain_text_too(tmp_path: Path) -> None:
    tables = MadeTables(tmp_path, "texts")
    tables.write(["runtime/stdout"] * 2, ["0", "1"], [None, None], ["one\n", "two"])
    files = {f.unique_name: f.open().read() for f in tables.files(lambda *name: ".".join(name))}
    assert files["runtime/stdout.log"] == b"one\ntwo\n"
    assert files["runtime/stdout.csv"].splitlines()[1:] == [b'0,,"one', b'"', b"1,,two"]


@pytest.mark.parametrize("kind", [MadeFile, MadeTables])
def test_a_file_is_deleted_once_it_is_sent(tmp_path: Path, kind: type[MadeFile] | type[MadeTables]) -> None:
    made = kind(tmp_path, "texts")
    made.write(["a", "runtime/stdout"], ["0", "0"], [None, None], ["one", "two"])
    sent = [file.open().read() for file in made.files(lambda *name: ".".join(name))]
    assert all(sent) and not [path for path in tmp_path.rglob("*") if path.is_file()]

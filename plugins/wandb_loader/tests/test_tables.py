"""Tables are read row by row, whatever their texts contain."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from neptune_exporter_wandb import tables
from neptune_exporter_wandb.tables import TableWriter, read_table

TEXTS = ["", "]}", "],\n[", '"]}\n', "zwei\r\n", "\u2028 \x85", "x" * 100, "last ]}"]


def written(folder: Path, texts: list[str]) -> Path:
    writer = TableWriter(folder)
    writer.write("a", [b"0.5"] * len(texts), list(range(len(texts))), texts)
    writer.close()
    (table,) = writer.whole
    return folder / table.path


@pytest.mark.parametrize("read_bytes", [1, 1 << 14])
def test_every_text_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_bytes: int) -> None:
    monkeypatch.setattr(tables, "_READ_BYTES", read_bytes)
    rows = list(read_table(written(tmp_path, TEXTS)))
    assert rows == [("0.5", time, text) for time, text in enumerate(TEXTS)]


@pytest.mark.parametrize("missing", [1, 2, 3, 12])
def test_a_table_without_its_end_is_refused(tmp_path: Path, missing: int) -> None:
    path = written(tmp_path, TEXTS)
    path.write_bytes(path.read_bytes()[:-missing])
    with pytest.raises(ValueError):
        list(read_table(path))


def test_many_tables_are_read_side_by_side(tmp_path: Path) -> None:
    """As the console streams of a run are, one of each monitoring namespace."""
    path = written(tmp_path, ["x" * 100] * 10_000)
    tracemalloc.start()
    readers = [read_table(path) for _ in range(20)]
    for reader in readers:
        next(reader)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size

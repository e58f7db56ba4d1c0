"""An exported run straight from sample data behaves as one of a dataset does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import pytest

from neptune_exporter.contract import (
    DatasetError,
    FileEntry,
    Histogram,
    MissingFileError,
    Parameter,
    Point,
    TextLine,
    TypeCount,
    UnsafePathError,
)
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import FULL_SCHEMA
from neptune_exporter.testing import MemoryFiles, MemoryRun, float_series, parameter, themed_runs

(SAMPLE,) = themed_runs("types")
RUN = MemoryRun(SAMPLE)


def test_batches_have_the_whole_schema_and_are_ordered() -> None:
    (batch,) = RUN.batches()
    assert batch.schema == FULL_SCHEMA
    assert batch.num_rows == SAMPLE.rows
    places = list(zip(batch["attribute_path"].to_pylist(), batch["step"].to_pylist(), strict=True))
    assert places == sorted(places, key=lambda p: (p[0], p[1] or 0))
    assert set(batch["run_id"].to_pylist()) == {"types"}
    shuffled = [b["attribute_path"].to_pylist() for b in MemoryRun(SAMPLE, shuffle=1).batches()]
    assert shuffled != [batch["attribute_path"].to_pylist()]


def test_batches_can_be_narrowed() -> None:
    batches = list(RUN.batches([AttributeType.FLOAT_SERIES], columns=["float_value", "step"], batch_rows=3))
    assert [b.num_rows for b in batches] == [3, 3, 2]
    assert batches[0].schema.names == ["step", "float_value"]
    (batch,) = RUN.batches(attributes=["config/lr", "train/sparse"])
    assert batch.num_rows == 4
    assert list(RUN.batches([], columns=["step"])) == []


def test_rows_are_typed() -> None:
    rows = list(RUN.rows())
    kinds = {type(row) for row in rows}
    assert kinds == {Parameter, Point, TextLine, Histogram, FileEntry}
    assert len(rows) == SAMPLE.rows
    points = [r for r in RUN.rows([AttributeType.FLOAT_SERIES]) if r.path == "train/sparse"]
    assert [(r.step, r.value) for r in points if isinstance(r, Point)] == [
        (Decimal("1.000000"), 0.5),
        (Decimal("99.000000"), 0.25),
        (Decimal("199.000000"), 0.125),
    ]
    assert RUN.parameters()["config/labels"].value == ["cat", "dog"]
    assert "train/loss" not in RUN.parameters()


def test_counts_leave_out_series_without_points() -> None:
    (run,) = themed_runs("times")
    counts = MemoryRun(run).counts()
    assert counts[AttributeType.FLOAT_SERIES] == TypeCount(4, 11)
    assert counts[AttributeType.STRING_SERIES] == TypeCount(1, 2)
    assert AttributeType.FILE not in counts


def test_the_fingerprint_follows_the_rows() -> None:
    assert RUN.fingerprint == MemoryRun(SAMPLE, shuffle=5).fingerprint
    others = [
        SAMPLE.plus(parameter("new", 1)),
        SAMPLE.plus(parameter("config/lr", 0.0010000000000000002)),
        replace(SAMPLE, key=RunKey("acme/other", "types")),
    ]
    assert len({RUN.fingerprint, *(MemoryRun(other).fingerprint for other in others)}) == 4


def test_files_are_opened_by_what_rows_name() -> None:
    files = {row.path: row for row in RUN.rows() if isinstance(row, FileEntry)}
    with RUN.open_file(files["model"].file) as stream:
        assert stream.read() == b"weights"
    assert (files["model"].size, len(files["model"].sha256 or "")) == (7, 64)
    bare = [row for row in MemoryRun(SAMPLE, sizes=False).rows() if isinstance(row, FileEntry)]
    assert {(row.size, row.sha256) for row in bare} == {(None, None)}
    with pytest.raises(MissingFileError):
        RUN.open_file("not/there")
    for path in ("/etc/hostname", "../x", "a/../../x", "C:\\x", "C:/x", "a\\..\\x"):
        with pytest.raises(UnsafePathError):
            RUN.open_file(path)


def test_breaks_where_a_test_wants_it() -> None:
    broken = MemoryRun(SAMPLE.plus(float_series("m", enumerate([1.0, 2.0]))), break_after=3)
    batches = broken.batches([AttributeType.FLOAT_SERIES], batch_rows=2)
    assert [next(batches).num_rows, next(batches).num_rows] == [2, 1]
    with pytest.raises(DatasetError, match="acme/vision:types"):
        next(batches)
    assert sum(b.num_rows for b in broken.batches([AttributeType.INT])) == 1


def test_a_file_is_found_while_others_are_stored() -> None:
    """Sources store from threads of their own, while the kit reads what they gave before."""
    files = MemoryFiles()
    first = files.store((SAMPLE.key, "first", None, 0), b"")

    def store() -> None:
        for number in range(5000):
            files.store((SAMPLE.key, str(number), None, 0), b"")

    with ThreadPoolExecutor(1) as pool:
        storing = pool.submit(store)
        while not storing.done():
            assert files.place_of(first.path) == (SAMPLE.key, "first", None, 0)
            assert files.place_of("unknown") is None


def test_the_file_writer_keeps_what_was_written() -> None:
    files, key = MemoryFiles(), SAMPLE.key
    with files.create(key, "a", step=0.1) as opened:
        opened.write(b"wrong")
        assert opened.size == 5
        opened.restart()
        opened.write(b"ri")
        opened.write(b"ght")
        with pytest.raises(RuntimeError):
            opened.stored  # noqa: B018
    stored = opened.stored
    assert (stored.size, files.contents[stored.path]) == (5, b"right")
    assert files.place_of(stored.path) == (key, "a", Decimal("0.100000"), 0)
    with files.create(key, "a", step=Decimal("0.1")) as opened:
        opened.write(b"again")
    assert opened.stored.path == stored.path
    with pytest.raises(ValueError, match="lost"), files.create(key, "b") as opened:
        opened.write(b"half")
        raise ValueError("lost")
    assert [files.contents[p] for p in files.contents] == [b"again"]
    with pytest.raises(RuntimeError):
        opened.write(b"after the end")

"""Parts that were asked for last are known, until they change or too much is known."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from neptune_exporter.dataset.format.local_storage import LocalStorage
from neptune_exporter.dataset.read import recent_parts as recent
from neptune_exporter.dataset.read.recent_parts import RecentParts
from neptune_exporter.schema import SCHEMA

NAMES = [f"part_{number}.parquet" for number in range(12)]


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    for name in NAMES:
        pq.write_table(SCHEMA.empty_table(), tmp_path / name)  # one row group
    return LocalStorage(tmp_path)


def test_a_part_is_known_until_it_changes(storage: LocalStorage, tmp_path: Path) -> None:
    parts = RecentParts()
    first = parts.part(storage, NAMES[0])
    assert parts.part(storage, NAMES[0]) is first
    os.utime(tmp_path / NAMES[0], ns=(1, 1))
    assert parts.part(storage, NAMES[0]) is not first


def test_all_footers_of_a_large_run_are_known(storage: LocalStorage) -> None:
    """Each pass over it would read them anew else: what they take then is not given back."""
    parts = RecentParts()
    known = [parts.part(storage, name) for name in NAMES]
    assert all(part.metadata.num_rows == 0 for part in known)
    assert [parts.part(storage, name) for name in NAMES] == known


def test_rows_are_kept_of_a_few_parts_only(storage: LocalStorage) -> None:
    parts = RecentParts()
    known = [parts.part(storage, name) for name in NAMES]
    for part in known:
        part.keep_if_small()
    for name, part in ((NAMES[-2], known[-2]), (NAMES[-1], known[-1])):
        assert parts.part(storage, name) is part
    assert [part for part in known if part.holds_rows] == known[-recent._WITH_ROWS :]
    assert list(known[0].read_group(0, ["step"], 10)) == list(known[-1].read_group(0, ["step"], 10)) == []


def test_footers_are_forgotten_where_they_are_many(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = RecentParts()
    first = parts.part(storage, NAMES[0])
    monkeypatch.setattr(recent, "_FOOTER_BYTES", 3 * first.metadata.serialized_size)
    known = [parts.part(storage, name) for name in NAMES]
    assert all(part.metadata.num_rows == 0 for part in known)
    parts.part(storage, NAMES[-2])
    assert parts.part(storage, NAMES[0]) is not first
    assert parts.part(storage, NAMES[-1]) is known[-1]

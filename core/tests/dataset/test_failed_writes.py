"""What could not be written is never published, whichever thread met the failure."""

from __future__ import annotations

import contextlib
import gc
import os
import random
from pathlib import Path

import pytest

from neptune_exporter.contract import DatasetError, SourceRun
from neptune_exporter.dataset import Dataset, RunWriter, WriteBudget
from neptune_exporter.dataset.format import local_storage
from neptune_exporter.dataset.format.layout import Place, temporary
from neptune_exporter.dataset.format.local_storage import LocalStorage
from neptune_exporter.model import RunKey

from .writing import ALL, KEY, points, publish, series

OTHER = RunKey(KEY.project_id, "RUN-2")


def in_the_way_of(dataset: Dataset, key: RunKey) -> Path:
    """A folder where the run's first part is to be written."""
    place = Place.of(key)
    folder = dataset.data_path / temporary(place.path(place.part_name(0)))
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("rows", [1_000, 400_000])  # held back; so many that they are written while more come
def test_a_failure_that_another_run_caused_is_raised_by_the_run_it_cost(dataset: Dataset, rows: int) -> None:
    dataset = Dataset(
        dataset.data_path, dataset.files_path, budget=WriteBudget(30_000 if rows == 1_000 else 12 << 20)
    )
    in_the_way = in_the_way_of(dataset, KEY)
    broken, other = dataset.writer(KEY), dataset.writer(OTHER)
    # Where rows are written while more come, the failure may be known this early.
    with contextlib.nullcontext() if rows == 1_000 else contextlib.suppress(DatasetError):
        broken.write(series("a", [1.0] * rows))
    other.write(series("a", [1.0] * rows))  # more than the budget: the other run's rows are written, in vain
    in_the_way.rmdir()
    assert_refuses(broken)
    other.publish(SourceRun(OTHER), "test 1", ALL)
    assert dataset.run(KEY) is None
    assert dataset.folder(OTHER).receipt is not None
    broken.discard()
    again = dataset.writer(KEY)
    again.write(series("a", [1.0] * rows))
    publish(again)
    assert len(points(dataset)) == rows


def assert_refuses(writer: RunWriter) -> None:
    for _ in range(2):
        with pytest.raises(DatasetError, match="cannot be written"):
            writer.write(series("b", [1.0]))
        with pytest.raises(DatasetError, match="cannot be written"):
            writer.flush()
        with pytest.raises(DatasetError, match="cannot be written"):
            publish(writer)


def test_parts_that_hold_fewer_rows_than_came_are_not_published(dataset: Dataset) -> None:
    writer = dataset.writer(KEY)
    writer.write(series("a", [1.0, 2.0]))
    writer.flush()
    writer._parts.close()
    writer._parts._written.clear()
    with pytest.raises(DatasetError, match="not published: of 2 rows 0 were written and 2 counted"):
        publish(writer)
    assert dataset.run(KEY) is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no disk that is always full")
def test_a_file_that_lacks_bytes_cannot_be_closed_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    monkeypatch.setattr(local_storage, "_through_no_link", lambda _, flags: os.open("/dev/full", flags))
    output = LocalStorage(tmp_path).create("folder/file")
    with contextlib.suppress(DatasetError):
        output.write(b"lost")
    with pytest.raises(DatasetError, match="No space left"):
        output.close()
    output.discard()


def test_what_is_thrown_away_in_the_middle_of_a_part_says_nothing(
    dataset: Dataset, capfd: pytest.CaptureFixture[str]
) -> None:
    """Arrow writes what its buffer still holds when that is destroyed, and tells on stderr if it cannot."""
    dataset = Dataset(dataset.data_path, dataset.files_path, budget=WriteBudget(1))
    numbers = random.Random(0)
    writer = dataset.writer(KEY)
    writer.write(series("a", [numbers.random() for _ in range(200_000)]))
    writer.write(series("b", [1.0]))
    writer.discard()
    del writer
    gc.collect()
    assert capfd.readouterr().err == ""
    assert not any(path.is_file() for path in dataset.data_path.rglob("*.parquet*"))

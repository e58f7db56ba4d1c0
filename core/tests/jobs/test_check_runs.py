"""Under every executor a verification finds the same as in one process."""

from __future__ import annotations

import importlib.util
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from neptune_exporter.contract import AttributeSelection, SourceRun
from neptune_exporter.dataset import Dataset
from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.dataset.read.probing import Probed
from neptune_exporter.dataset.read.refused import Stamp
from neptune_exporter.jobs import check_runs
from neptune_exporter.jobs.executors import LostWorkerError
from neptune_exporter.jobs.executors.threads import Threads
from neptune_exporter.jobs.load import LoadJobOptions
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.jobs.verify import VerifyResult, verify_dataset
from neptune_exporter.location import Location
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import attribute_batch
from neptune_exporter.testing import old_layout

KEYS = [RunKey("org/project", f"RUN-{number}") for number in range(4)]
HAS_DASK = importlib.util.find_spec("distributed") is not None


@pytest.fixture
def damaged(tmp_path: Path) -> Dataset:
    """Four runs with a part and a file each. One part changed, one is gone, and two runs name one file."""
    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    shared = dataset.files().create(KEYS[0], "shared")
    with shared as file:
        file.write(b"of both")
    for number, key in enumerate(KEYS):
        writer = dataset.writer(key)
        values = pa.array([float(number)] * 100)
        writer.write(attribute_batch("loss", AttributeType.FLOAT_SERIES, {"float_value": values}))
        with dataset.files().create(key, "own") as own:
            own.write(f"{number}".encode())
        stored = shared.stored if number < 2 else own.stored
        columns = {
            "file_value": pa.array([{"path": stored.path}]),
            "file_size": pa.array([stored.size]),
            "file_sha256": pa.array([stored.sha256]),
        }
        writer.write(attribute_batch("file", AttributeType.FILE, columns))
        writer.publish(SourceRun(key), "test 1", [AttributeSelection()])
    part = next(dataset.data_path.rglob("RUN-2*_part_0.parquet"))
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 0x10
    part.write_bytes(content)
    next(dataset.data_path.rglob("RUN-3*_part_0.parquet")).unlink()
    return dataset


def verified(dataset: Dataset, executor: str | None, workers: int | None = None) -> VerifyResult:
    data, files = Location.of(dataset.data_path), Location.of(dataset.files_path)
    options = LoadJobOptions(data, files, executor=executor, workers=workers)
    return verify_dataset(options, Progress())


@pytest.mark.parametrize(
    "name",
    [
        "threads",
        "processes",
        pytest.param("dask", marks=pytest.mark.skipif(not HAS_DASK, reason="Dask is not installed")),
    ],
)
def test_every_executor_finds_the_same(name: str, damaged: Dataset, request: pytest.FixtureRequest) -> None:
    alone = verified(damaged, None)
    said = [f"{f.severity} {f.run} {f.message}" for f in alone.findings]
    assert sum("named by another row" in each for each in said) == 1, said
    assert sum("changed since it was written" in each for each in said) == 1, said
    assert sum("is missing" in each for each in said) == 1, said
    if name == "dask":
        name = request.getfixturevalue("scheduler")
    divided = verified(damaged, name, 2)
    assert divided.findings == alone.findings
    assert (
        (divided.runs_checked, divided.bytes_checked) == (alone.runs_checked, alone.bytes_checked) != (0, 0)
    )
    assert not divided.failed


@pytest.mark.skipif(not HAS_DASK, reason="Dask is not installed")
def test_a_worker_that_lives_on_knows_the_dataset_of_now(damaged: Dataset, scheduler: str) -> None:
    """Of a changed part it says whose content it has, if that was exported after the job before."""
    assert any("changed since it was written" in f.message for f in verified(damaged, scheduler, 2).findings)
    key = RunKey("org/project", "RUN-9")
    writer = damaged.writer(key)
    values = pa.array([9.0] * 100)
    writer.write(attribute_batch("loss", AttributeType.FLOAT_SERIES, {"float_value": values}))
    writer.publish(SourceRun(key), "test 1", [AttributeSelection()])
    theirs = next(damaged.data_path.rglob("RUN-9*_part_0.parquet")).read_bytes()
    next(damaged.data_path.rglob("RUN-2*_part_0.parquet")).write_bytes(theirs)
    said = [f.message for f in verified(damaged, scheduler, 2).findings]
    assert any("has the content of" in each and "RUN-9" in each for each in said), said


def test_a_run_whose_worker_dies_is_named_and_the_others_are_checked(
    damaged: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = Threads.submit

    def dying(self: Threads, function: Any, unit: Any) -> Future[Any]:
        if isinstance(unit, check_runs.CheckUnit) and unit.run.place.stem.startswith("RUN-0"):
            lost: Future[Any] = Future()
            lost.set_exception(LostWorkerError("its worker was killed or crashed"))
            return lost
        return submit(self, function, unit)

    monkeypatch.setattr(Threads, "submit", dying)
    result = verified(damaged, "threads")
    assert [key for key, _ in result.failed] == [KEYS[0]]
    assert "its worker was killed or crashed" in result.failed[0][1]
    assert result.runs_checked == 4 and not result.whole
    assert not [f for f in result.findings if "no row names" in f.message], "its files are not known"


def test_files_of_the_same_name_are_not_looked_for_in_other_projects(tmp_path: Path) -> None:
    """A path of a file is below its project's folder."""
    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    for project in ("a/b", "a/c"):
        key = RunKey(project, "RUN-1")
        writer = dataset.writer(key)
        with dataset.files().create(key, "x") as file:
            file.write(b"1")
        columns = {"file_value": pa.array([{"path": file.stored.path}])}
        writer.write(attribute_batch("x", AttributeType.FILE, columns))
        writer.publish(SourceRun(key), "test 1", [AttributeSelection()])
    assert verified(dataset, "threads").findings == []


def test_another_tools_parts_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no folder of files is there, which is asked of the receipts alone."""
    values = {"float_value": pa.array([1.0, 2.0])}
    for key in KEYS:
        batch = attribute_batch("loss", AttributeType.FLOAT_SERIES, values)
        old_layout.write_run(tmp_path / "data", key, [batch])
    answered: list[tuple[str, bool]] = []
    take = Probed._take

    def note(self: Probed, storage: Storage, path: str, stamp: Stamp, answer: dict[str, Any]) -> None:
        answered.append((path, answer["facts"]["decoded"] is not None))
        take(self, storage, path, stamp, answer)

    monkeypatch.setattr(Probed, "_take", note)
    assert verified(Dataset(tmp_path / "data", tmp_path / "files"), None).runs_checked == len(KEYS)
    assert len(set(answered)) == len(answered) == len(KEYS)
    assert all(decoded for _, decoded in answered)

"""Layouts of the earlier tool's first weeks: no digests in names, and before that several runs in a part."""

from __future__ import annotations

import shutil
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from neptune_exporter.contract import FileEntry, SourceRun
from neptune_exporter.dataset import Dataset, Stays, summarise
from neptune_exporter.dataset.check.recording import record
from neptune_exporter.dataset.format.local_storage import LocalStorage
from neptune_exporter.dataset.format.storage import Entry
from neptune_exporter.model import FILE_TYPES, AttributeType, RunKey
from neptune_exporter.schema import SCHEMA
from neptune_exporter.testing import old_layout
from neptune_exporter.testing.old_layout import complete, run_batches

from .conftest import EXISTING
from .writing import ALL, problems, series

PROJECT = "acme/vision"
RUNS = [RunKey(PROJECT, name) for name in ("run-a", "run-b", "run-c")]
SHAPE = old_layout.Shape(metrics=2, steps=50, parameters=3, lines=4, histograms=3, files=0, batch_rows=40)


def table_of(key: RunKey) -> pa.Table:
    rows = pa.concat_tables(
        [complete(key, batch) for batch in run_batches(key, int(key.run_id[-1], 16), SHAPE)]
    )
    row = dict.fromkeys(SCHEMA.names) | {"project_id": key.project_id, "run_id": key.run_id}
    row |= {
        "attribute_path": "model",
        "attribute_type": "file",
        "file_value": {"path": f"{key.run_id}/model.bin"},
    }
    return pa.concat_tables([rows, pa.Table.from_pylist([row], schema=SCHEMA)])


def write(dataset: Dataset, layout: str) -> None:
    folder = dataset.data_path / "acme_vision"
    folder.mkdir(parents=True)
    for key in RUNS:
        file = dataset.files_path / "acme_vision" / key.run_id / "model.bin"
        file.parent.mkdir(parents=True)
        file.write_bytes(key.run_id.encode())
    of_many = {"many": RUNS, "own": [], "mixed": RUNS[:2]}[layout]
    if of_many:
        whole = pa.concat_tables([table_of(key) for key in of_many])
        half = len(whole) // 2  # a run may be in two parts, and row groups hold rows of two runs
        for number, part in enumerate((whole.slice(0, half), whole.slice(half))):
            pq.write_table(part, folder / f"part_{number}.parquet", row_group_size=70)
    for key in RUNS:
        if key not in of_many:
            pq.write_table(table_of(key), folder / f"{key.run_id}_part_0.parquet")


LAYOUTS = pytest.mark.parametrize("layout", ["many", "own", "mixed"])


@LAYOUTS
def test_every_run_is_read_with_its_rows_and_files(dataset: Dataset, layout: str) -> None:
    write(dataset, layout)
    runs = list(dataset.runs())
    assert [run.key for run in runs] == RUNS and all(run.complete for run in runs)
    for run in runs:
        whole = table_of(run.key)
        assert run.row_count() == len(whole)
        assert sum(count.rows for count in run.counts().values()) == len(whole)
        assert sum(map(len, run.batches())) == len(whole)
        for each in run.attributes():
            assert sum(map(len, run.series(each.path, each.type))) == each.rows
        (entry,) = [row for row in run.rows(FILE_TYPES) if isinstance(row, FileEntry)]
        assert run.open_file(entry.file).read() == run.key.run_id.encode()
        again = dataset.run(run.key)
        assert again is not None and again.parameters() == run.parameters()
        assert dataset.run_at(run.listed).key == run.key


def test_a_row_group_between_whose_ids_the_run_lies(dataset: Dataset) -> None:
    write(dataset, "own")
    tables = {path.name[:5]: pq.read_table(path) for path in dataset.data_path.rglob("run-*.parquet")}
    folder = dataset.data_path / "acme_vision"
    for path in folder.iterdir():
        path.unlink()
    with pq.ParquetWriter(folder / "part_0.parquet", SCHEMA) as writer:
        writer.write_table(pa.concat_tables([tables["run-a"], tables["run-c"]]))
        writer.write_table(tables["run-b"])
    for run in dataset.runs():
        rows = len(tables[run.key.run_id])
        assert sum(each.rows for each in run.attributes()) == run.row_count() == rows
        assert sum(count.rows for count in run.counts().values()) == rows


@LAYOUTS
def test_summary_and_verify_read_them(dataset: Dataset, layout: str) -> None:
    write(dataset, layout)
    (project,) = summarise(dataset).projects
    assert [(run.key, run.state, run.files, run.problems) for run in project.runs] == [
        (key, "complete", 1, []) for key in RUNS
    ]
    assert all(run.steps.count == next(iter(project.runs)).steps.count for run in project.runs)
    on_disk = sum(path.stat().st_size for path in dataset.data_path.rglob("*.parquet"))
    assert 0 <= on_disk - sum(run.data_bytes for run in project.runs) < 10
    assert len(list(record(dataset))) == 3 and list(record(dataset)) == []
    assert problems(dataset) == []
    part = next(dataset.data_path.rglob("*part_0.parquet"))
    content = bytearray(part.read_bytes())
    content[len(content) // 3] ^= 1
    part.write_bytes(content)
    assert any("SHA-256" in line or "damaged" in line for line in problems(dataset))


@LAYOUTS
def test_beside_newer_ones(dataset: Dataset, layout: str) -> None:
    shutil.copytree(EXISTING, dataset.data_path.parent, dirs_exist_ok=True)
    before = {run.key for run in dataset.runs()}
    shutil.rmtree(dataset.data_path / old_layout.san(PROJECT))
    write(dataset, layout)
    kept = {key for key in before if key.project_id != PROJECT}
    assert kept and {run.key for run in dataset.runs()} == kept | set(RUNS)


@LAYOUTS
def test_they_are_found_where_nothing_can_be_added(dataset: Dataset, layout: str) -> None:
    write(dataset, layout)
    for key in RUNS:
        place = dataset.elsewhere(key)
        assert place is not None and place.folder == "acme_vision"
    assert dataset.elsewhere(RunKey(PROJECT, "run-d")) is None
    with dataset.lock():
        writer = dataset.writer(RunKey(PROJECT, "run-d"))
        writer.write(series("loss", [1.0]))
        writer.publish(SourceRun(RunKey(PROJECT, "run-d")), "test 1", ALL)
    assert sorted(run.key.run_id for run in dataset.runs()) == ["run-a", "run-b", "run-c", "run-d"]
    assert problems(dataset) == []


def test_the_same_run_in_both_layouts_is_told(dataset: Dataset) -> None:
    write(dataset, "many")
    old_layout.write_run(dataset.data_path, RUNS[0], list(run_batches(RUNS[0], 0, SHAPE)))
    states = {(run.place.folder, run.key.run_id): run.problems for run in dataset.runs()}
    assert "is the same run as" in states["acme_vision", "run-a"][0]
    assert [where for where, wrong in states.items() if wrong] == [("acme_vision", "run-a")]


def test_a_damaged_part_of_several_runs_is_damage(dataset: Dataset) -> None:
    write(dataset, "many")
    part = dataset.data_path / "acme_vision" / "part_1.parquet"
    part.write_bytes(part.read_bytes()[:-40])
    assert any("part_1.parquet" in line and "damaged" in line for line in problems(dataset))
    (project,) = summarise(dataset).projects
    assert {run.state for run in project.runs} == {"damaged"}


def test_a_missing_part_of_several_runs_is_told(dataset: Dataset) -> None:
    write(dataset, "many")
    (dataset.data_path / "acme_vision" / "part_0.parquet").unlink()
    runs = list(dataset.runs())
    assert runs and not any(run.complete for run in runs)
    assert all("part_0.parquet is missing" in run.why_incomplete()[0] for run in runs)


def test_names_that_macos_decomposed(dataset: Dataset) -> None:
    """The part of a run with accents, as an archive is unpacked on a Mac: an export adds to it there."""
    key = RunKey("acme/größe", "läuft")
    (part,) = old_layout.write_run(dataset.data_path, key, list(run_batches(key, 0, SHAPE)))
    folder = part.parent.rename(part.parent.with_name(unicodedata.normalize("NFD", part.parent.name)))
    (folder / part.name).rename(folder / unicodedata.normalize("NFD", part.name))
    with dataset.lock():
        writer = dataset.writer(key)
        writer.write(series("later", [1.0]))
        writer.publish(SourceRun(key), "test 1", ALL, stays=Stays.NOT_DELIVERED)
    (run,) = dataset.runs()
    assert run.key == key and run.complete and run.place.folder == folder.name
    assert {"later"} < {each.path for each in run.attributes()}
    assert [p.name for p in dataset.data_path.iterdir() if not p.name.startswith(".")] == [folder.name]


@pytest.mark.parametrize("junk", ["._{}", ".DS_Store", "Thumbs.db", "desktop.ini"])
def test_what_systems_leave_is_no_run(tmp_path: Path, junk: str) -> None:
    shutil.copytree(EXISTING, tmp_path, dirs_exist_ok=True)
    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    before = [run.key for run in dataset.runs()], problems(dataset)
    for path in [p for p in tmp_path.rglob("*") if p.is_file()]:
        (path.parent / junk.format(path.name)).write_bytes(b"\0\5\x16\7")
    for folder in (tmp_path / "data", tmp_path / "files"):
        (folder / junk.format(folder.name)).write_bytes(b"\0")
    assert ([run.key for run in dataset.runs()], problems(dataset)) == before
    loss = AttributeType.FLOAT_SERIES
    assert all(run.counts() for run in dataset.runs()) and loss in next(iter(dataset.runs())).counts()


def test_a_folder_is_not_listed_for_each_run(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the project's folder has its name of today, an export might have added each run there."""
    write(dataset, "own")
    (dataset.data_path / "acme_vision").rename(dataset.data_path / old_layout.san(PROJECT))
    listed: list[str] = []
    list_folder = LocalStorage.list

    def note(self: LocalStorage, folder: str = "", **options: Any) -> list[Entry]:
        listed.append(folder)
        return list_folder(self, folder, **options)

    monkeypatch.setattr(LocalStorage, "list", note)
    assert [run.key for run in dataset.runs() if not run.problems] == RUNS
    assert listed.count(old_layout.san(PROJECT)) == 2, "to find runs, and to see whether they are there twice"

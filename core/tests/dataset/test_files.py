"""Files of runs: stored whole or not at all, and opened only where that is safe."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from neptune_exporter.contract import (
    AttributeSelection,
    FileEntry,
    MissingFileError,
    SourceRun,
    StoredFile,
    UnsafePathError,
)
from neptune_exporter.dataset import Dataset, StoredRun, summarise
from neptune_exporter.dataset.format.layout import Place
from neptune_exporter.model import FILE_TYPES, AttributeType, RunKey, RunKind
from neptune_exporter.schema import attribute_batch
from neptune_exporter.testing import old_layout

KEY = RunKey("org/project", "RUN-1")


def store(
    dataset: Dataset, attribute: str, content: bytes, run: RunKey = KEY, step: float | None = None
) -> StoredFile:
    with dataset.files().create(run, attribute, name=".bin", step=step) as file:
        file.write(content)
    return file.stored


def on_disk(dataset: Dataset) -> list[Path]:
    return [path for path in dataset.files_path.rglob("*") if path.is_file()]


def test_size_digest_and_place(dataset: Dataset) -> None:
    content = b"0123456789" * 100_000
    with dataset.files().create(KEY, "model/best", name="weights.tar.gz") as file:
        for start in range(0, len(content), 70_001):
            file.write(content[start : start + 70_001])
            assert file.size == min(len(content), start + 70_001)
    stored = file.stored
    assert (stored.size, stored.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    path = dataset.files_path / "org_project-ea8dfac2f8d8c39c" / stored.path
    assert path.read_bytes() == content
    assert path.name.endswith(".tar.gz") and path.parent.name == "RUN-1-549fcb30a0f06072"


def test_an_error_leaves_nothing(dataset: Dataset) -> None:
    with pytest.raises(RuntimeError), dataset.files().create(KEY, "a") as file:
        file.write(b"half")
        raise RuntimeError
    assert on_disk(dataset) == []
    with pytest.raises(ValueError, match="not stored"):
        _ = file.stored


def test_restart_forgets_what_was_written(dataset: Dataset) -> None:
    with dataset.files().create(KEY, "a") as file:
        file.write(b"what the server cannot resume")
        file.restart()
        assert file.size == 0
        file.write(b"whole")
    assert file.stored.sha256 == hashlib.sha256(b"whole").hexdigest()
    assert len(on_disk(dataset)) == 1


def test_what_differs_lies_apart(dataset: Dataset) -> None:
    other = RunKey("org/project", "RUN-1", RunKind.MODEL)
    stored = [
        store(dataset, "exp 1", b"1"),
        store(dataset, "exp_1", b"2"),
        store(dataset, "EXP_1", b"3"),
        store(dataset, "../exp_1", b"4"),
        store(dataset, "series", b"5", step=0.2),
        store(dataset, "series", b"6", step=0.25),
        store(dataset, "exp_1", b"7", run=other),
        store(dataset, "exp_1", b"8", run=RunKey("org", "project/RUN-1")),
    ]
    assert len(on_disk(dataset)) == len(stored)
    contents = {path.read_bytes() for path in on_disk(dataset)}
    assert contents == {str(n).encode() for n in range(1, 9)}
    assert stored[6].path.startswith("models/RUN-1-549fcb30a0f06072/")


def test_the_same_again_is_the_same_file_and_other_content_does_not_destroy_it(dataset: Dataset) -> None:
    first = store(dataset, "a", b"old")
    assert store(dataset, "a", b"old") == first
    assert len(on_disk(dataset)) == 1
    second = store(dataset, "a", b"new")
    assert second.path != first.path and second.path.endswith(".bin")
    assert {path.read_bytes() for path in on_disk(dataset)} == {b"old", b"new"}


def test_many_threads(dataset: Dataset) -> None:
    files = dataset.files()

    def work(number: int) -> None:
        for step in range(20):
            with files.create(KEY, f"a/{number}", step=float(step)) as file:
                file.write(f"{number} {step}".encode())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len({path.read_bytes() for path in on_disk(dataset)}) == 80


def a_run_that_names(dataset: Dataset, path: str) -> StoredRun:
    writer = dataset.writer(KEY)
    value = pa.array([{"path": path}])
    writer.write(attribute_batch("a", AttributeType.FILE, {"file_value": value}))
    writer.publish(SourceRun(KEY), "test 1", [AttributeSelection()])
    run = dataset.run(KEY)
    assert run is not None
    return run


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../../../etc/passwd",
        "a/../../b",
        "..",
        "C:\\x",
        "C:x",
        "\\\\host\\share",
        "a\\..\\b",
        "",
        "a\0b",
    ],
)
def test_a_path_out_of_the_folder_is_never_opened(dataset: Dataset, path: str) -> None:
    run = a_run_that_names(dataset, path)
    (row,) = run.rows(FILE_TYPES)
    assert isinstance(row, FileEntry)
    with pytest.raises(UnsafePathError, match=r"org/project:RUN-1"):
        run.open_file(row.file)


@pytest.mark.parametrize("linked", ["file", "folder", "project"])
def test_a_link_is_not_followed(dataset: Dataset, tmp_path: Path, linked: str) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "x.txt").write_text("secret")
    project = dataset.files_path / old_layout.san("org/project")
    run = a_run_that_names(dataset, "folder/x.txt")
    if linked == "project":
        project.parent.mkdir(exist_ok=True)
        (secret / "folder").mkdir()
        (secret / "folder" / "x.txt").write_text("secret")
        project.symlink_to(secret)
    elif linked == "folder":
        project.mkdir(parents=True)
        (project / "folder").symlink_to(secret)
    else:
        (project / "folder").mkdir(parents=True)
        (project / "folder" / "x.txt").symlink_to(secret / "x.txt")
    with pytest.raises(UnsafePathError, match="symbolic link"):
        run.open_file("folder/x.txt")


def test_a_missing_file_says_which(dataset: Dataset) -> None:
    run = a_run_that_names(dataset, "folder/x.txt")
    with pytest.raises(MissingFileError, match=r"folder/x.txt.*org/project:RUN-1"):
        run.open_file("folder/x.txt")


def test_the_files_folder_itself_may_be_a_link(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    dataset.files_path.symlink_to(tmp_path / "elsewhere")
    stored = store(dataset, "a", b"x")
    run = a_run_that_names(dataset, stored.path)
    with run.open_file(stored.path) as file:
        assert file.read() == b"x"


def test_what_lies_behind_a_link_is_never_deleted(dataset: Dataset, tmp_path: Path) -> None:
    stored = store(dataset, "a", b"x")
    a_run_that_names(dataset, stored.path)
    outside = tmp_path / "photos"
    outside.mkdir()
    (outside / "mine.jpg").write_bytes(b"photo")
    folder = dataset.files_path / Place.of(KEY).files_folder
    (folder / "link").symlink_to(outside)
    (folder / "stray-0123456789abcdef.bin").write_bytes(b"of an earlier export")
    (folder / "stray").write_bytes(b"of somebody")
    again = store(dataset, "a", b"y")
    a_run_that_names(dataset, again.path)
    assert not (folder / "stray-0123456789abcdef.bin").exists() and (folder / "stray").exists()
    assert (outside / "mine.jpg").exists() and (folder / "link").is_symlink()


def test_a_summary_tells_of_files_behind_a_link(dataset: Dataset, tmp_path: Path) -> None:
    for name in ("R1", "R2"):
        cells = [{"path": f"{name}/f.bin"}, {"path": f"{name}/g.bin"}]
        batch = attribute_batch("f", AttributeType.FILE, {"file_value": pa.array(cells)})
        old_layout.write_run(dataset.data_path, RunKey("org/project", name), [batch])
    project = dataset.files_path / old_layout.san("org/project")
    (project / "R2").mkdir(parents=True)
    (project / "R2" / "f.bin").write_bytes(b"12")
    (tmp_path / "disk").mkdir()
    (project / "R1").symlink_to(tmp_path / "disk")
    one, other = summarise(dataset).projects[0].runs
    assert one.state == "damaged" and "is a symbolic link" in one.problems[0]
    assert one.problems[0].endswith(", and 1 more") and len(one.problems) == 1
    assert (other.state, other.files, other.file_bytes) == ("damaged", 1, 2)  # what is there
    assert other.problems == ["1 of its 2 files is missing: R2/g.bin"]


def test_a_summary_tells_of_names_of_files_that_cannot_be_read(dataset: Dataset) -> None:
    cells = [{"path": f"R1/{number}" * 9} for number in range(50)]
    batch = attribute_batch("f", AttributeType.FILE, {"file_value": pa.array(cells)})
    (part,) = old_layout.write_run(dataset.data_path, KEY, [batch])
    data = part.read_bytes()
    group = pq.read_metadata(part).row_group(0)
    columns = map(group.column, range(group.num_columns))
    (path,) = (column for column in columns if column.path_in_schema == "file_value.path")
    start = path.dictionary_page_offset
    part.write_bytes(data[:start] + b"\xff" * 20 + data[start + 20 :])
    (run,) = summarise(dataset).projects[0].runs
    assert run.state == "damaged" and "is damaged" in run.problems[0]

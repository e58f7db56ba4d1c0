"""A files folder is of one dataset: another one would delete its files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from neptune_exporter.contract import AttributeSelection, DatasetError, SourceRun, UsageError
from neptune_exporter.dataset import Dataset
from neptune_exporter.dataset.format.files_owner import may_hold
from neptune_exporter.dataset.format.storages import storage_at
from neptune_exporter.location import Location
from neptune_exporter.model import AttributeClass, RunKey
from neptune_exporter.testing import old_layout

from .exporting import KEY, write
from .writing import problems

MARK = Path(".neptune-exporter", "dataset.parquet")
PARAMETERS = [AttributeSelection(classes=frozenset({AttributeClass.PARAMETERS}))]


def export(data: Path, files: Path, value: float = 1.0) -> None:
    """The run with one file, whose content is the value."""
    dataset = Dataset(data, files)
    with dataset.lock():
        dataset.recover()
        writer = dataset.writer(KEY)
        write(dataset, writer, value, 1)
        writer.publish(SourceRun(KEY), "test 1", [AttributeSelection()])


def export_parameters(data: Path, files: Path, run: RunKey = KEY) -> None:
    dataset = Dataset(data, files)
    with dataset.lock():
        dataset.recover()
        dataset.writer(run).publish(SourceRun(run), "test 1", PARAMETERS)


def assert_whole(data: Path, files: Path) -> None:
    assert problems(Dataset(data, files)) == []
    assert len(list(files.rglob("f*.txt"))) == 1


def assert_refused(data: Path, files: Path, message: str) -> None:
    def look(data: Path, files: Path) -> None:
        Dataset(data, files).check_files_folder()

    before = contents(files)
    for attempt in (look, export, export_parameters):
        with pytest.raises(UsageError, match=message):
            attempt(data, files)
    assert contents(files) == before


def contents(files: Path) -> dict[Path, bytes]:
    """Of all that matters."""
    found = [path for path in files.rglob("*") if path.is_file() and path.name != "lock.parquet"]
    return {path: path.read_bytes() for path in found}


def test_a_second_dataset_is_refused(tmp_path: Path) -> None:
    first, second, files = tmp_path / "first", tmp_path / "second", tmp_path / "files"
    export(first, files)
    assert_refused(second, files, f"holds the files of the dataset {first}, .* --files-path")
    export(second, tmp_path / "other")
    assert_refused(second, files, f"holds the files of the dataset {first}, .* --files-path")
    export(first, files, 2.0)
    assert_whole(first, files)


def test_two_do_not_begin_at_the_same_time(tmp_path: Path) -> None:
    first, second = (Dataset(tmp_path / name, tmp_path / "files") for name in ("first", "second"))
    with first.lock(), pytest.raises(DatasetError, match="files is being written by process"), second.lock():
        pass


def test_a_folder_without_files_may_change_hands(tmp_path: Path) -> None:
    first, second, files = tmp_path / "first", tmp_path / "second", tmp_path / "files"
    export_parameters(first, files)
    export(second, files)
    assert_refused(first, files, f"holds the files of the dataset {second}, ")


@pytest.mark.parametrize("bring", [shutil.copytree, shutil.move])
def test_a_dataset_is_moved_or_copied_as_a_whole(tmp_path: Path, bring: Callable[..., object]) -> None:
    export(tmp_path / "a" / "data", tmp_path / "a" / "files")
    bring(tmp_path / "a", tmp_path / "deep" / "b")
    for place in (tmp_path / "a", tmp_path / "deep" / "b"):
        if place.exists():
            export(place / "data", place / "files", 2.0)
            assert_whole(place / "data", place / "files")


def test_either_folder_is_moved_alone(tmp_path: Path) -> None:
    export(tmp_path / "data", tmp_path / "files")
    data = shutil.move(tmp_path / "data", tmp_path / "elsewhere")
    export(data, tmp_path / "files", 2.0)
    files = shutil.move(tmp_path / "files", tmp_path / "a-disk")
    export(data, files, 3.0)
    assert_whole(data, files)


def test_a_copy_of_the_data_alone_is_another_dataset(tmp_path: Path) -> None:
    data, files, copy = tmp_path / "data", tmp_path / "files", tmp_path / "copy"
    export(data, files)
    shutil.copytree(data, copy)
    assert_refused(copy, files, f"holds the files of the dataset {data}, ")
    export(data, files, 2.0)
    assert_whole(data, files)
    # A copy of both whose places have nothing to do with each other cannot be told from it; a person can.
    copied = shutil.copytree(files, tmp_path / "far" / "copied")
    (tmp_path / "far" / "data").symlink_to(data)
    shutil.rmtree(copy)
    shutil.copytree(data, copy)
    assert_refused(copy, copied, f"delete {copied / MARK}")
    (copied / MARK).unlink()
    export(copy, copied, 3.0)
    assert_whole(copy, copied)


def test_a_link_is_the_folder_that_it_leads_to(tmp_path: Path) -> None:
    data, files = tmp_path / "data", tmp_path / "disk" / "files"
    files.mkdir(parents=True)
    (tmp_path / "files").symlink_to(files)
    (tmp_path / "link").symlink_to(data)
    export(data, tmp_path / "files")
    export(tmp_path / "link", files, 2.0)
    assert_whole(data, files)
    assert_refused(tmp_path / "other", tmp_path / "files", f"holds the files of the dataset {data}, ")


@pytest.mark.parametrize("lost", [("files",), ("data",), ("data", "files")])
def test_what_is_without_a_mark_is_of_the_data_that_has_runs(tmp_path: Path, lost: tuple[str, ...]) -> None:
    """As before there were marks, or where a copy left hidden folders out."""
    data, files = tmp_path / "data", tmp_path / "files"
    export(data, files)
    for name in lost:
        shutil.rmtree(tmp_path / name / ".neptune-exporter")
    assert_refused(tmp_path / "other", files, "--files-path")
    export(data, files, 2.0)
    assert_whole(data, files)
    assert_refused(tmp_path / "other", files, "holds the files of the dataset")


def test_what_another_tool_exported(existing: Dataset, tmp_path: Path) -> None:
    assert_refused(tmp_path / "fresh", existing.files_path, "holds files that are not of .*fresh")
    named = sorted(existing.files_path.rglob("*"))
    export(existing.data_path, existing.files_path)
    assert set(named) < set(existing.files_path.rglob("*"))


def test_files_of_data_that_is_gone_are_not_touched(tmp_path: Path) -> None:
    data, files = tmp_path / "data", tmp_path / "files"
    export(data, files)
    kept = shutil.move(data, tmp_path / "kept")
    assert_refused(data, files, "holds files that are not of .*data")
    assert not data.exists()
    export(kept, files, 2.0)
    shutil.rmtree(files / old_layout.san(KEY.project_id))
    export(data, files)
    assert_whole(data, files)


def test_both_may_be_one_folder(tmp_path: Path) -> None:
    export(tmp_path, tmp_path)
    export(tmp_path, tmp_path, 2.0)
    assert_whole(tmp_path, tmp_path)


def test_the_folder_of_data_is_no_folder_of_files(existing: Dataset, tmp_path: Path) -> None:
    assert not may_hold(existing.data, existing.data)
    with existing.lock():  # which leaves files of its own
        pass
    assert not may_hold(existing.data, existing.data)
    export(tmp_path, tmp_path)
    assert may_hold(Dataset(tmp_path, tmp_path).data, Dataset(tmp_path, tmp_path).file_storage)


def test_files_of_another_dataset_are_not_read(tmp_path: Path) -> None:
    (data, files), (other, _) = ((tmp_path / name / "data", tmp_path / name / "files") for name in "ab")
    export(data, files)
    export(other, other.parent / "files")
    Dataset(data, files).check_files_to_read()
    with pytest.raises(UsageError, match="is the folder for files of the dataset"):
        Dataset(other, files).check_files_to_read()


def test_a_folder_without_files_that_another_dataset_took_over_is_no_obstacle(tmp_path: Path) -> None:
    """Two datasets without files, each exported with the default folder of files."""
    (data, files), (other, _) = ((tmp_path / name / "data", tmp_path / name / "files") for name in "ab")
    export(data, files)
    export(other, other.parent / "files")
    shutil.rmtree(files / old_layout.san(KEY.project_id))
    Dataset(other, files).check_files_to_read()


def test_a_folder_of_files_is_no_folder_of_data(tmp_path: Path) -> None:
    export(tmp_path / "data", tmp_path / "files")
    Dataset(tmp_path / "data", tmp_path / "files").check_files_to_read()
    for other in ("data", "gone"):
        with pytest.raises(UsageError, match=f"files is the folder for files of the dataset {tmp_path}/data"):
            Dataset(tmp_path / "files", tmp_path / other).check_files_to_read()
    export(tmp_path / "one", tmp_path / "one")
    Dataset(tmp_path / "one", tmp_path / "one").check_files_to_read()


@pytest.mark.parametrize("folder", ["data", "files"])
def test_a_flipped_byte_of_a_mark_is_found_and_mended(tmp_path: Path, folder: str) -> None:
    data, files = tmp_path / "data", tmp_path / "files"
    export(data, files)
    mark = tmp_path / folder / MARK
    whole = mark.read_bytes()
    at = whole.index(b'"id": "') + 8
    mark.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    (found,) = problems(Dataset(data, files))
    assert f"{folder}/{MARK.as_posix()}" in found and "the next export writes it again" in found
    export(data, files, 2.0)
    assert mark.read_bytes() == whole
    assert_whole(data, files)


def tree(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_what_is_refused_leaves_nothing(tmp_path: Path) -> None:
    data, files = tmp_path / "data", tmp_path / "files"
    export(data, files)
    before = tree(tmp_path)
    new = tmp_path / "new"
    with pytest.raises(UsageError, match="holds the files of the dataset"):
        export(new / "data", files)
    with pytest.raises(UsageError, match="is the folder for files of the dataset"):
        export(files, new / "files")
    assert tree(tmp_path) == before


def test_a_damaged_mark_gives_files_to_no_other_dataset(tmp_path: Path) -> None:
    mine, others, files = tmp_path / "mine", tmp_path / "others", tmp_path / "files"
    export(others, files)
    export_parameters(mine, tmp_path / "my files", RunKey("acme/speech", "RUN-9"))
    (files / MARK).write_bytes(b"x" + (files / MARK).read_bytes()[1:])
    with pytest.raises(UsageError, match="holds files that are not of"), Dataset(mine, files).lock():
        pass
    assert not may_hold(storage_at(Location.of(mine)), storage_at(Location.of(files)))
    with Dataset(others, files).lock():
        pass
    assert_whole(others, files)


def test_a_folder_of_files_stays_beside_data_that_has_none(tmp_path: Path) -> None:
    """A person who named it names it again to look at the dataset."""
    data, files = tmp_path / "data", tmp_path / "files"
    export_parameters(data, files)
    assert (files / MARK).exists()


def test_a_web_server_is_no_place_for_an_export(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="is a web server, to which nothing can be written"),
        Dataset("http://127.0.0.1:1/x", tmp_path / "files").lock(),
    ):
        pass
    assert tree(tmp_path) == set()

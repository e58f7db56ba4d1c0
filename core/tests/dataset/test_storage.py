"""What the one module that touches storage does for the rest."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from pathlib import Path

import pytest

from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.format import local_storage
from neptune_exporter.dataset.format.local_storage import LocalStorage


def _write_and_sync(folder: Path, name: str) -> None:
    storage = LocalStorage(folder)
    paths = [f"{name}/{number}" for number in range(3)]
    for path in paths:
        storage.create_whole(path, b"x")
    storage.sync(paths)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_forked_from_one_that_has_synced_can_sync_too(tmp_path: Path) -> None:
    """As a worker of a ProcessPoolExecutor on Linux is, when an export in threads went before."""
    _write_and_sync(tmp_path, "parent")
    child = multiprocessing.get_context("fork").Process(target=_write_and_sync, args=(tmp_path, "child"))
    child.start()
    child.join(20)
    hangs = child.is_alive()
    child.kill()
    child.join()
    assert not hangs
    assert child.exitcode == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot sync a folder")
def test_the_name_of_a_new_folder_is_synced_in_the_folder_that_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a loss of power right after the first export of a project could lose all of it."""
    synced: list[str] = []
    monkeypatch.setattr(
        local_storage, "_sync", lambda path, _: synced.append(os.path.relpath(path, tmp_path))
    )
    storage = LocalStorage(tmp_path / "exports" / "data")
    with storage.lock():
        assert synced == ["exports", "."]
    synced.clear()
    storage.create_whole("project/models/_receipts/run", b"x")
    storage.sync_folders(["project/models/_receipts"])
    assert set(synced) == {
        f"exports/data{path}" for path in ("", "/project", "/project/models", "/project/models/_receipts")
    }
    synced.clear()
    storage.sync_folders(["project/models/_receipts", "project"])
    storage.create_whole("project/_receipts/run", b"x")
    storage.sync_folders(["project/_receipts"])
    assert synced == [f"exports/data/project{path}" for path in ("/models/_receipts", "", "/_receipts", "")]


def test_what_lies_behind_a_link_is_not_listed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "photo").write_text("mine")
    storage = LocalStorage(tmp_path / "files")
    storage.create_whole("run/a/b", b"x")
    (tmp_path / "files" / "run" / "folder").symlink_to(outside)
    (tmp_path / "files" / "run" / "file").symlink_to(outside / "photo")
    (tmp_path / "files" / "other").symlink_to(outside)
    (tmp_path / "files" / "loop").symlink_to(tmp_path / "files" / "loop")
    found = storage.list("run", recursive=True)
    assert [(entry.path, entry.is_file, entry.size) for entry in found] == [
        ("run/a", False, 0),
        ("run/a/b", True, 1),
    ]
    for folder in ("other", "nothing", "loop", "loop/run"):
        assert storage.list(folder, recursive=True) == []


@pytest.mark.parametrize("name", ["a.gz", "a.bz2", "a.tar.gz", "a.lz4", "a.zst"])
def test_bytes_are_what_they_are_whatever_the_name_says(tmp_path: Path, name: str) -> None:
    """pyarrow unpacks and packs streams by the ending of their names, unless it is told not to."""
    storage = LocalStorage(tmp_path)
    path = f"in/{name}"
    output = storage.create(path)
    output.write(b"not packed")
    output.close()
    assert (tmp_path / "in" / name).read_bytes() == storage.read(path) == b"not packed"
    assert storage.sha256(path) == output.sha256 == hashlib.sha256(b"not packed").hexdigest()


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="the system follows every link")
def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "photo"
    outside.write_text("mine")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "part").symlink_to(outside)
    with pytest.raises(DatasetError, match="part"):
        LocalStorage(tmp_path / "data").create("part")
    assert outside.read_text() == "mine"

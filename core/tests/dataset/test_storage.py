"""What the one module that touches storage does for the rest."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from neptune_exporter.dataset.storage import Storage


def _write_and_sync(folder: Path, name: str) -> None:
    storage = Storage(folder)
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

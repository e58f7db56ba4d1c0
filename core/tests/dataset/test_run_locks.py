"""The lock of each run: one writer at a time, also where workers outlive the command that started them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest

from neptune_exporter.dataset.format.layout import Place
from neptune_exporter.dataset.format.local_storage import LocalStorage
from neptune_exporter.dataset.format.run_locks import clear, held, lock_name
from neptune_exporter.model import RunKey

ONE, TWO = (Place.of(RunKey("acme/vision", run_id)) for run_id in ("RUN-1", "RUN-2"))
HOLDER = """
import sys
from pathlib import Path
from typing import IO
from neptune_exporter.dataset.format.layout import Place
from neptune_exporter.dataset.format.local_storage import LocalStorage
from neptune_exporter.dataset.format.run_locks import held
from neptune_exporter.model import RunKey
with held(LocalStorage(Path(sys.argv[1])), [Place.of(RunKey("acme/vision", "RUN-1"))], 0):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def another_process(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that holds the first run's lock."""
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()


def busy(folder: Path, *places: Place) -> list[Place]:
    with held(LocalStorage(folder), places, 0) as found:
        return found


def test_another_worker_gets_only_what_is_free(tmp_path: Path) -> None:
    with held(LocalStorage(tmp_path), [ONE], 0) as mine:
        assert mine == []
        assert busy(tmp_path, TWO, ONE) == [ONE]
    assert busy(tmp_path, TWO, ONE) == []


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    with another_process(tmp_path) as process:
        assert busy(tmp_path, ONE) == [ONE]
        process.kill()
        process.wait()
        assert busy(tmp_path, ONE) == []


def test_a_lock_that_is_given_back_is_waited_for(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as other, contextlib.ExitStack() as holding:
        holding.enter_context(held(LocalStorage(tmp_path), [ONE], 0))

        def wait() -> list[Place]:
            with held(LocalStorage(tmp_path), [ONE], 60) as found:
                return found

        waiting = other.submit(wait)
        assert not waiting.done()
        holding.close()
        assert waiting.result(60) == []


def test_two_that_want_the_same_runs_in_another_order_do_not_wait_for_each_other(tmp_path: Path) -> None:
    def hold(places: tuple[Place, Place]) -> int:
        free = 0
        for _ in range(50):
            with held(LocalStorage(tmp_path), places, 60) as found:
                free += not found
        return free

    with ThreadPoolExecutor(2) as workers:
        assert list(workers.map(hold, [(ONE, TWO), (TWO, ONE)])) == [50, 50]


def test_free_locks_are_cleared_away_and_held_ones_are_named(tmp_path: Path) -> None:
    busy(tmp_path, ONE, TWO)
    assert not list(tmp_path.rglob("*.parquet")), "they go when they are given back"
    with another_process(tmp_path):
        assert clear(LocalStorage(tmp_path), lambda note: None) == {lock_name(ONE)}
        assert [path.name for path in tmp_path.rglob("*.parquet")] == [lock_name(ONE)]
    assert [path.name for path in tmp_path.rglob("*.parquet")] == [lock_name(ONE)], "its process was killed"
    assert clear(LocalStorage(tmp_path), lambda note: None) == set()
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_file_that_is_deleted_while_it_is_locked_locks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the job clears away the file of a worker that has just opened it."""
    from neptune_exporter.dataset.format import lock as format_lock

    deleted: list[Path] = []
    real = format_lock.lock_file

    def lock(file: IO[bytes]) -> bool:
        is_ours = real(file)
        if not deleted:
            (path,) = tmp_path.rglob("*.parquet")
            path.unlink()
            deleted.append(path)
        return is_ours

    monkeypatch.setattr(format_lock, "lock_file", lock)
    with held(LocalStorage(tmp_path), [ONE], 0) as found:
        assert found == [] and deleted and deleted[0].exists()
        assert busy(tmp_path, ONE) == [ONE]

"""Databases of neptune-scale that were not closed, were sent in part, are damaged, old or in use."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.contract import SourceError
from neptune_exporter_offline import sqlite

from .folders import Logging, change, database_of, work_of

KILLED = """
import os, signal
from neptune_scale import Run

if __name__ == "__main__":
    run = Run(run_id="killed", project="acme/vision", mode="offline", enable_console_log_capture=False,
              source_tracking_config=None)
    for n in range(500):
        run.log_metrics({"m": float(n)}, step=n)
    run.assign_files({"f": b"bytes"})
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_only_the_write_ahead_log_holds(read: Any, run_script: Any, tmp_path: Path) -> None:
    assert run_script(KILLED).returncode == -signal.SIGKILL
    database = database_of(tmp_path)
    wal = database.with_name(database.name + "-wal")
    assert wal.stat().st_size > 0
    found = read(work_of(tmp_path))
    assert found.values("m") == [float(n) for n in range(500)]
    assert found.value("f") == b"bytes"
    assert found.run.key.run_id == "killed"
    assert found.failures == []
    lonely = tmp_path / "lonely" / "run_operations.sqlite3"
    lonely.parent.mkdir()
    shutil.copyfile(database, lonely)
    assert len(read(lonely.parent).rows) < len(found.rows), "this database had no need of its log"


AWAY = """
import base64, json, os, signal, sys, time
from neptune_scale import Run

if __name__ == "__main__":
    urls = {"api_address": "http://127.0.0.1:9", "api_url": "http://127.0.0.1:9", "api_key": "none"}
    run = Run(run_id="away", project="acme/vision", mode="async", enable_console_log_capture=False,
              source_tracking_config=None, api_token=base64.b64encode(json.dumps(urls).encode()).decode())
    for n in range(100):
        run.log_metrics({"m": float(n)}, step=n)
    run._sync_process.kill()
    run._sync_process.join()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_whose_server_was_away(read: Any, run_script: Any, tmp_path: Path) -> None:
    assert run_script(AWAY).returncode == -signal.SIGKILL
    found = read(work_of(tmp_path))
    assert found.values("m") == [float(n) for n in range(100)]
    assert found.failures == []


def test_leftovers_say_what_was_sent_before(scale: Logging, read: Any, tmp_path: Path) -> None:
    from neptune_scale.sync.operations_repository import OperationsRepository

    with scale() as run:
        for n in range(10):
            run.log_metrics({"m": float(n)}, step=n)
    repository = OperationsRepository(database_of(tmp_path))
    repository.delete_operations(5)
    repository.close(cleanup_files=False)
    found = read(work_of(tmp_path))
    assert found.values("m") == [4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    (note,) = found.run.notes
    assert "operations 1 to 5 were sent" in note
    assert found.value("sys/custom_run_id") == "run-1"
    assert found.values("sys/creation_time") == []


def test_several_processes_of_one_run_are_merged(scale: Logging, read: Any, tmp_path: Path) -> None:
    with scale(experiment_name="first") as run:
        run.log_metrics({"m": 1.0}, step=1)
        run.log_configs({"who": "first"})
        run.assign_files({"f": b"one"})
    with scale(experiment_name="second") as run:
        run.log_metrics({"m": 2.0}, step=2)
        run.log_configs({"who": "second"})
        run.log_files({"s": b"two"}, step=0)
    found = read(work_of(tmp_path))
    assert found.values("m") == [1.0, 2.0]
    assert (found.value("who"), found.value("sys/name"), found.run.name) == ("second", "second", "second")
    assert (found.value("f"), found.value("s")) == (b"one", b"two")


def test_databases_of_older_clients(scale: Logging, read: Any, tmp_path: Path) -> None:
    """Until 0.12 they lie in `.neptune` itself, without a list of files and without errors."""
    with scale() as run:
        run.log_metrics({"m": 1.0}, step=1)
    database = database_of(tmp_path)
    change(database, ("DROP TABLE file_upload_requests",), ("DROP TABLE operation_errors",))
    flat = database.parent.with_suffix(".sqlite3")
    database.rename(flat)
    database.parent.rmdir()
    found = read(work_of(tmp_path))
    assert found.value("m") == 1.0
    assert (found.run.key.project_id, found.run.key.run_id) == ("acme/vision", "run-1")
    flat.write_bytes(flat.read_bytes()[:5000])
    (message,) = read(work_of(tmp_path)).messages("")
    assert message.startswith(f"{flat.name}: the database")


def test_a_damaged_database_costs_only_its_run(scale: Logging, tmp_path: Path, read_all: Any) -> None:
    with scale("good") as run:
        run.log_metrics({"m": 1.0}, step=1)
    with scale("bad") as run:
        for n in range(2000):
            run.log_configs({f"text/{n}": "x" * 200})
    bad = next(p for p in work_of(tmp_path).rglob("*.sqlite3") if "_bad_" in str(p))
    content = bytearray(bad.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = b"\xa5" * 20_000
    bad.write_bytes(content)
    whole = work_of(tmp_path) / ".neptune" / "acme_vision_ruin_1700000000000000000" / "run_operations.sqlite3"
    whole.parent.mkdir()
    whole.write_bytes(b"this is no database" * 1000)
    found = read_all(work_of(tmp_path))
    assert found["acme/vision", "good"].values("m") == [1.0]
    damaged = found["acme/vision", "bad"]
    assert 0 < len(damaged.rows) < 2000
    assert any("the database is damaged after operation" in m for m in damaged.messages(""))
    ruin = found["offline/work", "acme_vision_ruin_1700000000000000000"]
    assert any("the database cannot be read" in m for m in ruin.messages(""))


@pytest.mark.parametrize("operation", ["'a text'", "CAST(X'ff' AS TEXT)"])
def test_a_malformed_operation_does_not_hide_which_log_it_is_in(
    scale: Logging, read: Any, tmp_path: Path, operation: str
) -> None:
    """Logs are recognised by their first operation. SQLite can decode only the first of these texts."""
    with scale(experiment_name="known") as run:
        for n in range(10):
            run.log_metrics({"m": float(n)}, step=n)
    whole = read(work_of(tmp_path)).run
    statement = f"UPDATE run_operations SET operation = {operation} WHERE sequence_id = "
    change(database_of(tmp_path), (f"{statement} 5",))
    damaged = read(work_of(tmp_path))
    assert (damaged.run.logs, damaged.run.name) == (whole.logs, "known")
    assert len(damaged.failures) == 1
    change(database_of(tmp_path), (f"{statement} 1",))
    assert read(work_of(tmp_path)).run.key == whole.key


def test_a_database_that_is_being_written_to(
    scale: Logging, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scale() as run:
        run.log_metrics({"m": 1.0}, step=1)
        path = database_of(tmp_path)
        assert path.with_name(path.name + "-wal").stat().st_size > 0
        with sqlite.open_database(path) as copy:
            assert copy.execute("SELECT count(*) FROM run_operations").fetchone() == (2,)
        copyfile, count = shutil.copyfile, [0]

        def copy_and_write(source: Path, target: Path) -> None:
            copyfile(source, target)
            count[0] += 1
            run.log_metrics({"m": 1.0}, step=1 + count[0])

        monkeypatch.setattr(shutil, "copyfile", copy_and_write)
        with (
            pytest.raises(SourceError, match="let the run that writes to it end"),
            sqlite.open_database(path),
        ):
            pass

"""Logs of the 2.x client: cut off, damaged, rotated, of several processes and of older clients."""

from __future__ import annotations

import json
import shutil
import signal
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from neptune_exporter_offline import replay
from neptune_exporter_offline.oplog import OperationLog
from neptune_exporter_offline.union import Scan, covered

from .conftest import read_all
from .folders import Logging, folder_of, log_of, work_of
from .test_repeats import point, points, run_folder, write


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_torn_last_record_is_reported_and_the_rest_read(
    neptune2: Logging, read: Any, tmp_path: Path, cut: int
) -> None:
    with neptune2() as run:
        run["x"].extend([1.0, 2.0], steps=[1, 2])
        run["last"] = "lost"
    log = log_of(tmp_path)
    log.write_bytes(log.read_bytes()[: -1 - cut])
    found = read(work_of(tmp_path))
    assert found.values("x") == [1.0, 2.0]
    assert found.values("last") == []
    (failure,) = found.failures
    assert failure.attribute_path == "" and failure.permanent
    assert "not in the log" in failure.message and "the last record is cut off" in failure.message


def test_operations_that_never_reached_the_disk_are_counted(
    neptune2: Logging, read: Any, tmp_path: Path
) -> None:
    with neptune2() as run:
        run["x"] = 1
    put = folder_of(tmp_path) / "last_put_version"
    count = int(put.read_text())
    put.write_text(str(count + 20))
    (message,) = read(work_of(tmp_path)).messages()
    assert f"operations {count + 1} to {count + 20} are not in the log" in message


def test_damage_inside_a_log_costs_only_the_record(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    with neptune2() as run:
        for n in range(5):
            run[f"x{n}"] = n
    log = log_of(tmp_path)
    lines = log.read_bytes().splitlines(keepends=True)
    broken = next(n for n, line in enumerate(lines) if b'"x2"' in line)
    lines[broken] = b"\x00" * 10 + lines[broken][10:]
    log.write_bytes(b"".join(lines))
    found = read(work_of(tmp_path))
    assert [found.values(f"x{n}") for n in range(5)] == [[0], [1], [], [3], [4]]
    (message,) = found.messages("")
    assert f"data-1.log, byte {sum(map(len, lines[:broken])):,}: no operation" in message


def test_thousands_of_unreadable_lines_take_a_few_passes(
    read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    union = Mock(wraps=covered)
    monkeypatch.setattr(replay, "covered", union)
    log = write(run_folder(tmp_path), [*points(1, 2), *["\x00\n"] * 2_000, *points(2_003, 2_004)])
    shutil.copytree(log, run_folder(tmp_path / "copy"))
    found = read(tmp_path)
    assert found.values("loss") == [1.0, 2.0, 2_003.0, 2_004.0]
    assert len(found.failures) == 2_000, "each once, although a copy has the same"
    assert union.call_count < 10


@pytest.mark.parametrize("rest", ["", point(3)[:20], point(3)[:20] + "\n" + point(4), point(7)])
def test_a_log_that_changes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rest: str
) -> None:
    log = write(run_folder(tmp_path), points(1, 5)) / "data-1.log"
    scan = OperationLog.scan

    def then_change(self: OperationLog) -> Scan:
        found = scan(self)
        log.write_text("".join(points(1, 2)) + rest)
        return found

    monkeypatch.setattr(OperationLog, "scan", then_change)
    (found,) = read_all(tmp_path).values()
    assert found.values("loss") == [1.0, 2.0]
    (failure,) = found.failures
    assert failure.message.endswith(
        "operations 3 to 5 can no longer be read: the log changed while it was read"
    )
    assert not failure.permanent


def test_folders_of_older_clients(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    """Without `metadata.json` and `at`, in `exec-…` below the container's folder."""
    with neptune2() as run:
        run["x"] = 1
    folder = folder_of(tmp_path)
    records = [json.loads(line) for line in (folder / "data-1.log").read_text().splitlines()]
    uuid = folder.name.split("__")[1]
    old = work_of(tmp_path) / ".neptune" / "async" / f"run__{uuid}" / "exec-1653-2022-05-20"
    old.mkdir(parents=True)
    lines = [json.dumps({"obj": r["obj"], "version": r["version"]}) + "\n" for r in records]
    (old / "data-1.log").write_text("".join(lines))
    for file in sorted(folder.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    folder.rmdir()
    found = read(work_of(tmp_path))
    assert found.run.key.run_id == uuid
    assert found.value("x") == 1
    assert found.values("sys/creation_time") == []
    (note,) = found.run.notes
    assert "own log is here from the start" in note


def test_several_processes_of_one_run_are_merged_by_time(
    neptune2: Logging, read: Any, tmp_path: Path
) -> None:
    with neptune2() as run:
        run["x"].append(1.0)
        run["who"] = "first"
    folder = folder_of(tmp_path)
    other = folder.with_name(f"{folder.name.split('__', 2)[0]}__{folder.name.split('__')[1]}__999__zzzzzzzz")
    other.mkdir()
    (other / "metadata.json").write_text((folder / "metadata.json").read_text())
    lines = (folder / "data-1.log").read_text().splitlines()
    at = json.loads(lines[-1])["at"]

    def record(version: int, offset: float, operation: dict[str, Any]) -> str:
        return json.dumps({"obj": operation, "version": version, "at": at + offset}) + "\n"

    point = {"type": "LogFloats", "path": ["x"], "values": [{"value": 0.5, "step": 9, "ts": 1.0}]}
    before = record(1, -100, {"type": "AssignString", "path": ["who"], "value": "too early to win"})
    after = record(2, 100, point)
    (other / "data-1.log").write_text(before + after)
    found = read(work_of(tmp_path))
    assert found.value("who") == "first"
    assert found.points("x") == [(Decimal(0), 1.0), (Decimal(9), 0.5)]


def write_rotated(tmp_path: Path, *, acknowledged: int = 0) -> None:
    """200 points through the client's own queue, which begins a new file every 2,000 bytes."""
    from neptune.core.components.queue.disk_queue import DiskQueue
    from neptune.internal.operation import LogFloats, Operation

    folder = work_of(tmp_path) / ".neptune" / "async" / "run__cafe__1__abcdefgh"
    folder.mkdir(parents=True)
    queue = DiskQueue(
        folder, lambda op: op.to_dict(), Operation.from_dict, threading.RLock(), max_file_size=2000
    )
    for n in range(200):
        queue.put(LogFloats(["x"], [LogFloats.ValueType(float(n), None, 1.7e9 + n)]))
    if acknowledged:
        queue.ack(acknowledged)
    queue.flush()
    queue.close()


def test_rotated_logs_are_read_in_order_of_versions(read: Any, tmp_path: Path) -> None:
    write_rotated(tmp_path)
    logs = list((tmp_path / "work" / ".neptune" / "async").glob("*/data-*.log"))
    assert len(logs) > 5
    found = read(work_of(tmp_path))
    assert found.points("x") == [(Decimal(n), float(n)) for n in range(200)]
    assert found.failures == []


def test_leftovers_say_what_was_sent_before(read: Any, tmp_path: Path) -> None:
    write_rotated(tmp_path, acknowledged=100)
    found = read(work_of(tmp_path))
    values = found.values("x")
    assert values == [float(n) for n in range(200 - len(values), 200)]
    assert 100 <= len(values) < 200
    (note,) = found.run.notes
    assert f"operations 1 to {200 - len(values)} were sent" in note
    assert found.notes == ("Points logged without a step are counted from 0 in what is left here",)


def test_a_missing_log_in_the_middle_is_reported(read: Any, tmp_path: Path) -> None:
    write_rotated(tmp_path)
    logs = sorted((tmp_path / "work").rglob("data-*.log"), key=lambda p: int(p.stem[5:]))
    first, after = int(logs[3].stem[5:]), int(logs[4].stem[5:])
    logs[3].unlink()
    found = read(work_of(tmp_path))
    assert len(found.values("x")) == 200 - (after - first)
    (message,) = found.messages("")
    assert f"operations {first} to {after - 1} are missing" in message


KILLED = """
import os, signal, threading, time
from queue import Queue
from neptune.common.exceptions import NeptuneConnectionLostException
from neptune.internal.container_type import ContainerType
from neptune.internal.operation import AssignString, LogFloats, UploadFile
from neptune.internal.operation_processors.async_operation_processor import AsyncOperationProcessor
from neptune.types import File


class Backend:
    def execute_operations(self, container_id, container_type, operations, operation_storage):
        raise NeptuneConnectionLostException(ConnectionError("the server is away"))


processor = AsyncOperationProcessor("cafe", ContainerType.RUN, Backend(), threading.RLock(), Queue(), 0.1)
processor.start()
for n in range(1000):
    processor.enqueue_operation(LogFloats(["x"], [LogFloats.ValueType(float(n), n, 1.7e9 + n)]), wait=False)
content = File.from_content(b"copied")
processor.enqueue_operation(UploadFile.of_file(content, ["f"], processor.operation_storage), wait=False)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_whose_server_was_away(read: Any, run_script: Any, tmp_path: Path) -> None:
    assert run_script(KILLED).returncode == -signal.SIGKILL
    found = read(work_of(tmp_path))
    values = found.values("x")
    assert 0 < len(values) <= 1000 and values == [float(n) for n in range(len(values))]
    assert "Left over" in found.run.notes[0]
    put = int(next((tmp_path / "work").rglob("last_put_version")).read_text())
    ends = (f"to {put:,} are not in the log", f"operation {put:,} is not in the log")
    lost = [m for m in found.messages("") if any(end in m for end in ends)]
    assert put == 1001 and len(lost) == (0 if found.values("f") else 1)

"""Folders of the 2.x client: every operation that it writes, replayed in order."""

from __future__ import annotations

import json
import signal
import threading
import zipfile
from collections.abc import Callable
from datetime import datetime, timezone
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.contract import AttributeSelection
from neptune_exporter.model import AttributeClass
from neptune_exporter_offline.testing.neptune2 import append_operations

Logging = Callable[..., Any]


def work_of(tmp_path: Path) -> Path:
    return tmp_path / "work"


def folder_of(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "work" / ".neptune" / "offline").iterdir()
    return folder


def log_of(tmp_path: Path) -> Path:
    return folder_of(tmp_path) / "data-1.log"


def test_last_assignment_wins_and_types_are_kept(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    moment = datetime(2024, 5, 6, 7, 8, 9, 123999, tzinfo=timezone.utc)
    with neptune2(name="first try", description="why", tags=["a", "b"]) as run:
        run["lr"] = 0.1
        run["lr"] = 0.2
        run["epochs"] = 3
        run["amp"] = True
        run["text"] = "naïve – 日本語"
        run["began"] = moment
        run["nested"] = {"a": 1, "b": {"c": "d"}}
    found = read(work_of(tmp_path))
    assert found.value("lr") == 0.2
    assert (found.value("epochs"), found.types["epochs"]) == (3, "int")
    assert found.value("amp") is True
    assert found.value("text") == "naïve – 日本語"
    assert found.value("began") == moment.replace(microsecond=123000)
    assert (found.value("nested/a"), found.value("nested/b/c")) == (1, "d")
    assert (found.value("sys/name"), found.value("sys/description")) == ("first try", "why")
    assert found.value("sys/tags") == ["a", "b"]
    assert found.value("sys/failed") is False
    assert found.value("sys/id") == found.run.key.run_id
    created = json.loads((folder_of(tmp_path) / "metadata.json").read_text())["createdAt"]
    assert abs(found.value("sys/creation_time") - datetime.fromisoformat(created)).total_seconds() < 0.001
    assert found.run.name == "first try"
    assert found.failures == []
    assert found.notes == found.run.notes == ()


def test_series_keep_steps_times_duplicates_and_order(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    with neptune2() as run:
        run["loss"].append(1.0, step=0.5, timestamp=1_700_000_000.123)
        run["loss"].append(2.0, step=0.5, timestamp=1_700_000_000.124)
        run["loss"].append(3.0, step=1, timestamp=1_700_000_000.001)
        run["back"].extend([1, 2, 3], steps=[2, 0, 1])
        run["lines"].extend(["a\nb", "c"], steps=[1, 2])
        run["counted"].append(5)
        run["counted"].append(6, step=7.5)
        run["counted"].append(7)
    found = read(work_of(tmp_path))
    assert found.points("loss") == [(Decimal("0.5"), 1.0), (Decimal("0.5"), 2.0), (Decimal(1), 3.0)]
    assert [t.timestamp() for t in found.times("loss")] == [
        1_700_000_000.123,
        1_700_000_000.124,
        1_700_000_000.001,
    ]
    assert found.points("back") == [(Decimal(0), 2.0), (Decimal(1), 3.0), (Decimal(2), 1.0)]
    assert found.values("lines") == ["a\nb", "c"]
    assert found.points("counted") == [(Decimal(0), 5.0), (Decimal("7.5"), 6.0), (Decimal("8.5"), 7.0)]


def test_clears_deletes_and_set_changes(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    with neptune2(tags=["a", "b"]) as run:
        run["sys/tags"].add("c")
        run["sys/tags"].remove("a")
        run["cleared"].append(1)
        run["cleared"].clear()
        run["cleared"].append(2)
        run["other"].append("x")
        del run["other"]
        run["other"] = 1.5
        run["gone"].append(3)
        del run["gone"]
        run["set"].add(["x", "y"])
        run["set"].clear()
        run["set"].add("z")
    found = read(work_of(tmp_path))
    assert found.value("sys/tags") == ["b", "c"]
    assert found.points("cleared") == [(Decimal(0), 2.0)]
    assert (found.value("other"), found.types["other"]) == (1.5, "float")
    assert found.values("gone") == []
    assert found.value("set") == ["z"]
    assert found.failures == []


def test_copies_within_the_run_and_not_from_elsewhere(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    with neptune2() as run:
        run["lr"] = 0.1
        run["copy"] = run["lr"]
        run["lr"] = 0.2
    log = log_of(tmp_path)
    copy = json.loads(next(line for line in log.read_text().splitlines() if "CopyAttribute" in line))["obj"]
    append_operations(
        folder_of(tmp_path), {**copy, "path": ["from", "elsewhere"], "container_id": "another-run"}
    )
    found = read(work_of(tmp_path))
    assert found.value("copy") == 0.1
    assert found.values("from/elsewhere") == []
    (message,) = found.messages("from/elsewhere")
    assert "another-run" in message


def test_what_has_no_place_is_noted(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    from neptune.types import FloatSeries

    with neptune2() as run:
        run["m"] = FloatSeries([1.0, 2.0], min=0, unit="kg")
    found = read(work_of(tmp_path))
    assert found.values("m") == [1.0, 2.0]
    assert found.notes == ("Units and value ranges of charts have no place in the dataset",)


def test_a_second_type_is_refused_as_neptune_does(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    with neptune2() as run:
        run["x"] = 1.5
    append_operations(
        folder_of(tmp_path),
        {"type": "LogFloats", "path": ["x"], "values": [{"value": 1.0, "step": 0, "ts": 1.0}]},
        {"type": "AssignString", "path": ["x"], "value": "text"},
        {"type": "AddStrings", "path": ["x"], "values": ["a"]},
    )
    found = read(work_of(tmp_path))
    assert (found.value("x"), found.types["x"]) == (1.5, "float")
    assert {f.attribute_type for f in found.failures} == {"float_series", "string", "string_set"}
    only_files = AttributeSelection(classes=frozenset({AttributeClass.FILES}))
    assert read(work_of(tmp_path), wanted=only_files).failures == []


def test_unknown_and_malformed_operations_are_named(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    with neptune2() as run:
        run["x"].append(1.0, step=1)
    append_operations(
        folder_of(tmp_path),
        *[{"type": "LogHolograms", "path": ["holo"], "values": [1]}] * 3,
        {"type": "LogFloats", "path": ["x"], "values": [{"value": None, "step": 2, "ts": 1.0}]},
        {"type": "LogFloats", "path": ["x"], "values": [{"value": 2.0, "step": "three", "ts": 1.0}]},
        {"type": "AssignDatetime", "path": ["far"], "value": 10**18},
        {"type": "AssignFloat", "value": 1.0},
        {"type": "LogFloats", "path": ["x"], "values": [{"value": 4.0, "step": 4, "ts": 1.0}]},
    )
    found = read(work_of(tmp_path))
    assert found.points("x") == [(Decimal(1), 1.0), (Decimal(4), 4.0)]
    assert found.messages("holo") == [
        "operations of the type 'LogHolograms' are not known and were not applied (3 times)"
    ]
    assert found.messages("x") == ["a malformed LogFloats operation was not applied (2 times)"]
    assert found.messages("far") == ["a malformed AssignDatetime operation was not applied"]
    assert found.messages("") == ["an operation without a path was not applied"]


def test_numbers_that_json_does_not_know(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    """Clients before 1.0 wrote NaN and integers of any size."""
    with neptune2():
        pass
    append_operations(
        folder_of(tmp_path),
        {"type": "LogFloats", "path": ["x"], "values": [{"value": float("nan"), "step": 0, "ts": 1.0}]},
        {"type": "LogFloats", "path": ["x"], "values": [{"value": float("inf"), "step": 1, "ts": 1.0}]},
        {"type": "AssignInt", "path": ["i"], "value": 2**53 + 1},
    )
    found = read(work_of(tmp_path))
    nan, infinity = found.values("x")
    assert nan != nan and infinity == float("inf")
    assert found.value("i") == 2**53 + 1
    assert found.failures == []


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
    assert "lost" in failure.message and "the last record is cut off" in failure.message


def test_operations_that_never_reached_the_disk_are_counted(
    neptune2: Logging, read: Any, tmp_path: Path
) -> None:
    with neptune2() as run:
        run["x"] = 1
    put = folder_of(tmp_path) / "last_put_version"
    count = int(put.read_text())
    put.write_text(str(count + 20))
    (message,) = read(work_of(tmp_path)).messages()
    assert f"operations {count + 1} to {count + 20} are lost" in message


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
    lost = [m for m in found.messages("") if f"to {put:,} are lost" in m or f"operation {put:,} is lost" in m]
    assert put == 1001 and len(lost) == (0 if found.values("f") else 1)


def test_file_sets_hold_what_the_client_would_upload(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    code = tmp_path / "code"
    (code / "lib").mkdir(parents=True)
    for name, text in {"train.py": "a", "lib/net.py": "b", "lib/old.py": "c", ".hidden": "d"}.items():
        (code / name).write_text(text)
    with neptune2(source_files=[str(code / "*.py")]) as run:
        run["set"].upload_files(str(code))
        run["set"].delete_files("lib/old.py")
        run["globs"].upload_files([str(code / "*"), str(code / "nothing*")])
        run["reset"].upload_files(str(code / "lib"))
        run["reset"] = __import__("neptune").types.FileSet([str(code / "train.py")])
        run["all"].upload_files(str(code / "lib"))
        run["all"].delete_files(["net.py", "old.py"])
    found = read(work_of(tmp_path))

    def members(path: str) -> dict[str, bytes]:
        with zipfile.ZipFile(BytesIO(found.value(path))) as archive:
            assert archive.testzip() is None
            return {name: archive.read(name) for name in archive.namelist()}

    assert members("source_code/files") == {"train.py": b"a"}
    assert members("set") == {"train.py": b"a", "lib/net.py": b"b", ".hidden": b"d"}
    assert members("globs") == {"train.py": b"a", "lib/net.py": b"b", "lib/old.py": b"c"}
    assert members("reset") == {"train.py": b"a"}
    assert found.values("all") == []
    assert found.types["set"] == "file_set"
    (message,) = found.messages("globs")
    assert message == f"nothing on this machine matches {code / 'nothing*'}"
    assert len(found.failures) == 1


def test_sets_below_the_working_directory_are_named_from_it(
    neptune2: Logging, read: Any, tmp_path: Path
) -> None:
    source = work_of(tmp_path) / "src" / "deep" / "a.py"
    source.parent.mkdir(parents=True)
    source.write_text("a")
    with neptune2(source_files=[str(source)]):
        pass
    found = read(work_of(tmp_path))
    with zipfile.ZipFile(BytesIO(found.value("source_code/files"))) as archive:
        assert archive.namelist() == ["src/deep/a.py"]


def test_artifacts_become_the_list_of_their_files(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    from neptune.internal.artifacts.drivers.local import LocalArtifactDriver

    data = tmp_path / "data"
    (data / "sub").mkdir(parents=True)
    (data / "b.csv").write_text("1,2")
    (data / "sub" / "a.csv").write_text("3")
    with neptune2() as run:
        run["all"].track_files(str(data))
        run["one"].track_files(f"file://{data}/b.csv", destination="to")
        run["remote"].track_files("s3://bucket/key")
        run["gone"].track_files(str(tmp_path / "gone"))
    append_operations(folder_of(tmp_path), {"type": "AssignArtifact", "path": ["hash"], "hash": "ab12"})
    found = read(work_of(tmp_path))
    listed = json.loads(found.value("all"))
    expected = LocalArtifactDriver.get_tracked_files(str(data))
    assert {(e["filePath"], e["fileHash"], e["size"], e["type"]) for e in listed} == {
        (e.file_path, e.file_hash, e.size, e.type) for e in expected
    }
    assert {e["filePath"]: e["metadata"] for e in listed} == {e.file_path: e.metadata for e in expected}
    assert [e["filePath"] for e in json.loads(found.value("one"))] == ["to/b.csv"]
    assert found.types["all"] == "artifact"
    assert {f.attribute_path for f in found.failures} == {"remote", "gone", "hash"}
    assert "ab12" in found.messages("hash")[0]

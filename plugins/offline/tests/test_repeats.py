"""What repeats itself is read once: forked workers, copies of folders, older states of them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from .folders import Logging, change, container, database_of, folder_of, log_of, work_of

UUID = "44444444-4444-4444-8444-444444444444"


def point(version: int, *, value: float | None = None, at: float = 1.7e9, path: str = "loss") -> str:
    """A record of a point without a step, as the 2.x client writes it."""
    number = float(version if value is None else value)
    entry = {"value": number, "step": None, "ts": at + version}
    operation = {"type": "LogFloats", "path": [path], "values": [entry]}
    return json.dumps({"obj": operation, "version": version, "at": at + version}) + "\n"


def write(folder: Path, records: Iterable[str], put: int | None = None) -> Path:
    """A folder of the offline mode with a log of these records."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = list(records)
    (folder / "data-1.log").write_text("".join(lines))
    if put is not None:
        (folder / "last_put_version").write_text(str(put))
    return folder


def run_folder(work: Path, process: str = "1__abcdefgh") -> Path:
    return work / ".neptune" / "offline" / f"run__{UUID}__{process}"


def points(first: int, last: int) -> list[str]:
    return [point(version) for version in range(first, last + 1)]


def numbered(last: int) -> list[tuple[Decimal, float]]:
    return [(Decimal(n), float(n + 1)) for n in range(last)]


def test_what_forked_workers_write_again_is_read_once(read: Any, tmp_path: Path) -> None:
    """Two children write the buffer that they inherited, then the parent goes on with it."""
    log = points(1, 40) + 2 * points(31, 40) + points(31, 50) + points(49, 50) + points(41, 60)
    write(run_folder(tmp_path), log, put=60)
    found = read(tmp_path)
    assert found.points("loss") == numbered(60)
    assert found.failures == []


FORKED = """
import os, neptune

run = neptune.init_run(mode="offline", capture_stdout=False, capture_stderr=False, git_ref=False,
                       capture_hardware_metrics=False, capture_traceback=False, source_files=[])
for epoch in range(5):
    for n in range(10):
        run["loss"].append(float(10 * epoch + n))
        run["stepped"].append(float(10 * epoch + n), step=10 * epoch + n)
    for _ in range(2):
        child = os.fork()
        if child == 0:
            raise SystemExit
        os.waitpid(child, 0)
run.stop()
"""


def test_forked_children_of_the_real_client(read: Any, run_script: Any, tmp_path: Path) -> None:
    done = run_script(FORKED)
    assert done.returncode == 0, done.stderr
    versions = [json.loads(line)["version"] for line in log_of(tmp_path).read_text().splitlines()]
    assert len(versions) > len(set(versions)), "this client no longer repeats what it inherited"
    found = read(work_of(tmp_path))
    expected = [(Decimal(n), float(n)) for n in range(50)]
    assert found.points("loss") == found.points("stepped") == expected
    assert found.failures == []


def test_a_repeat_replaces_what_is_damaged_in_the_first(read: Any, tmp_path: Path) -> None:
    first = points(1, 10)
    first[4] = "\0" * 30 + first[4][30:]
    write(run_folder(tmp_path), first + points(4, 12), put=12)
    found = read(tmp_path)
    assert found.points("loss") == numbered(12)
    assert found.failures == []


def test_records_of_one_number_that_differ_are_all_kept_and_reported(read: Any, tmp_path: Path) -> None:
    other = [point(version, value=-version) for version in (9, 10)]
    write(run_folder(tmp_path), points(1, 10) + other + points(9, 12), put=12)
    found = read(tmp_path)
    assert sorted(found.values("loss")) == sorted([*map(float, range(1, 13)), -9.0, -10.0])
    (failure,) = found.failures
    assert failure.attribute_path == "" and "have the same number (9 to 10); all were read" in failure.message


@pytest.mark.parametrize("name", ["1__abcdefgh", "1__abcdefgh (copy)"])
def test_a_copy_and_an_older_state_elsewhere(read: Any, tmp_path: Path, name: str) -> None:
    """Whatever the copy is called, and where it lies."""
    write(run_folder(tmp_path / "job"), points(1, 50), put=50)
    write(run_folder(tmp_path / "backup" / "job", name), points(1, 30), put=35)
    write(run_folder(tmp_path / "copy", name), points(1, 50), put=50)
    found = read(tmp_path)
    assert found.points("loss") == numbered(50)
    assert found.failures == []


def test_a_copy_whose_beginning_was_sent_since(read: Any, tmp_path: Path) -> None:
    """Its points keep the numbers that they have in the whole log."""
    write(run_folder(tmp_path / "backup"), points(1, 30), put=30)
    later = run_folder(tmp_path / "job", "1__renamed")
    write(later, points(21, 50), put=50)
    (later / "data-1.log").rename(later / "data-21.log")
    found = read(tmp_path)
    assert found.points("loss") == numbered(50)
    assert found.failures == []


def test_logs_for_several_servers_below_the_folder_of_a_process(read: Any, tmp_path: Path) -> None:
    """Their times differ by what it takes to write the one after the other."""
    folder = run_folder(tmp_path)
    for server, late in (("alpha", 0.0), ("beta", 0.001)):
        records = [json.loads(line) for line in points(1, 20)]
        lines = [json.dumps({**record, "at": record["at"] + late}) + "\n" for record in records]
        write(folder / server, lines, put=20)
    found = read(tmp_path)
    assert found.run.key.run_id == UUID
    assert found.points("loss") == numbered(20)
    assert found.failures == []


def test_two_processes_that_logged_the_same_numbers_are_two(read: Any, tmp_path: Path) -> None:
    write(run_folder(tmp_path, "1__aaaaaaaa"), points(1, 5), put=5)
    write(run_folder(tmp_path, "2__bbbbbbbb"), [point(v, at=1.8e9) for v in range(1, 6)], put=5)
    found = read(tmp_path)
    assert found.values("loss") == 2 * [1.0, 2.0, 3.0, 4.0, 5.0]
    assert found.failures == []


def test_copies_of_files_and_file_sets(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    """A copy of the client's is taken from where it still is, and a set holds its files once."""
    from neptune.types import File

    data = tmp_path / "data"
    data.mkdir()
    (data / "a.txt").write_text("a")
    with neptune2() as run:
        run["f"].upload(File.from_content(b"bytes", extension="bin"))
        run["set"].upload_files(str(data / "*"))
    shutil.copytree(work_of(tmp_path) / ".neptune", work_of(tmp_path) / "backup" / ".neptune")
    shutil.rmtree(folder_of(tmp_path) / "upload_path")
    found = read(work_of(tmp_path))
    assert found.value("f") == b"bytes"
    assert len(found.values("set")) == 1
    assert found.failures == []


def test_databases_in_two_places(scale: Logging, read: Any, tmp_path: Path) -> None:
    """A copy under another name, and an older state of it."""
    with scale() as run:
        for n in range(10):
            run.log_metrics({"m": float(n)}, step=n)
        run.assign_files({"f": b"bytes"})
    database = database_of(tmp_path)
    shutil.copytree(database.parent, work_of(tmp_path) / "copy-of-it")
    older = shutil.copytree(database.parent, work_of(tmp_path) / "backup" / database.parent.name)
    change(older / database.name, ("DELETE FROM run_operations WHERE sequence_id > 6",))
    copied = [f for f in database.parent.iterdir() if not f.name.startswith(database.name)]
    assert len(copied) == 1, "the client keeps its copy of a file elsewhere"
    copied[0].unlink()
    found = read(work_of(tmp_path))
    assert found.points("m") == [(Decimal(n), float(n)) for n in range(10)]
    assert found.value("f") == b"bytes"
    assert found.failures == []


def test_a_damaged_database_of_which_there_is_a_copy(scale: Logging, read_all: Any, tmp_path: Path) -> None:
    """It is named in its run, not as another one."""
    with scale() as run:
        run.log_metrics({"m": 1.0}, step=1)
    database = database_of(tmp_path)
    bad = tmp_path / "work" / "backup" / database.parent.name / database.name
    bad.parent.mkdir(parents=True)
    bad.write_bytes(b"this is no database" * 1000)
    (found,) = read_all(work_of(tmp_path)).values()
    assert found.values("m") == [1.0]
    (message,) = found.messages("")
    assert "the database cannot be read" in message


def test_an_unnamed_copy_of_the_client_is_of_one_run(tmp_path: Path, read_all: Any) -> None:
    """The project is that of the folder which changed last."""
    job = container(tmp_path / "mnist", "run", UUID)
    backup = container(tmp_path / "backup", "run", UUID)
    for file in (backup / "data-1.log", backup / "metadata.json", backup / "last_put_version"):
        os.utime(file, (1.6e9, 1.6e9))
    os.utime(backup / "last_ack_version", (1.6e9, 1.6e9))
    assert job.name == backup.name
    ((project, run_id),) = read_all(tmp_path)
    assert (project, run_id) == ("offline/mnist", UUID)


def test_a_log_that_was_copied_alone_is_of_the_run_whose_log_it_copies(tmp_path: Path, read: Any) -> None:
    write(run_folder(tmp_path), points(1, 60), put=60)
    write(tmp_path / ".neptune" / "backup", points(1, 30))
    found = read(tmp_path)
    assert found.points("loss") == numbered(60)
    assert found.failures == []


def test_copies_of_a_log_that_names_no_run_are_one_run(tmp_path: Path, read: Any) -> None:
    write(tmp_path / ".neptune" / "monday", points(1, 30))
    write(tmp_path / ".neptune" / "tuesday", points(1, 60))
    assert read(tmp_path).points("loss") == numbered(60)

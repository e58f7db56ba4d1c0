"""What is not the clients' is no run, and what is theirs is read or named."""

from __future__ import annotations

import json
import shutil
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.contract import SourceError, UsageError
from neptune_exporter_offline.plugin import make_source
from neptune_exporter_offline.settings import OfflineSettings

from .folders import Logging, container, database_of, work_of
from .test_repeats import UUID, points, write

APPLE_DOUBLE = struct.pack(">II16sHIII", 0x00051607, 0x00020000, b"Mac OS X        ", 1, 9, 38, 32) + bytes(
    32
)
"""What a Mac puts beside a file that it copies to a disk of another system: RFC 1740, one entry."""


def projects(*paths: Path) -> list[str]:
    source = make_source(OfflineSettings(path=tuple(map(str, paths))))
    return list(source.projects())


def test_what_systems_put_beside_files(
    neptune2: Logging, scale: Logging, read_all: Any, tmp_path: Path
) -> None:
    with neptune2() as run:
        run["x"] = 1
    with scale() as run:
        run.log_metrics({"m": 1.0}, step=1)
    data = work_of(tmp_path) / ".neptune"
    for file in [path for path in data.rglob("*") if path.is_file()]:
        file.with_name(f"._{file.name}").write_bytes(APPLE_DOUBLE)
    macosx = data / "__MACOSX" / "offline" / "run__x__1__y"
    macosx.mkdir(parents=True)
    (macosx / "data-1.log").write_bytes(APPLE_DOUBLE)
    for folder in [path for path in data.rglob("*") if path.is_dir()]:
        for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
            (folder / name).write_bytes(b"\0")
    found = read_all(work_of(tmp_path))
    assert {project for project, _ in found} == {"offline/work", "acme/vision"} and len(found) == 2
    assert all(run.failures == [] for run in found.values())


@pytest.mark.parametrize("name", ["train.py", "train.sqlite3", "data-1.log"])
def test_a_file_given_as_a_folder(tmp_path: Path, name: str) -> None:
    container(tmp_path, "run", "u-1")
    (tmp_path / name).write_text("print(1)\n")
    with pytest.raises(UsageError, match=r"is a file, and no database of neptune-scale; name the \.neptune"):
        projects(tmp_path / name)
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / ".neptune").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        projects(tmp_path / "else" / ".neptune")


def test_logs_and_databases_of_other_programs(tmp_path: Path) -> None:
    container(tmp_path / "mine", "run", "u-1")
    other = tmp_path / "web"
    other.mkdir()
    (other / "data-1.log").write_text("GET /index.html 200\n")
    with sqlite3.connect(other / "cache.sqlite3") as database:
        database.execute("CREATE TABLE pages (address TEXT)")
    database.close()
    (tmp_path / "mine" / ".neptune" / "notes.sqlite3").write_text("no database")
    assert projects(tmp_path) == ["offline/mine"]
    with pytest.raises(SourceError, match="no Neptune run was found"):
        projects(other)


def test_databases_outside_of_neptune_folders(scale: Logging, read_all: Any, tmp_path: Path) -> None:
    """Clients before 0.13 name the file by project, run and time, in the folder given as `log_directory`."""
    container(tmp_path / "mine", "run", "u-1")
    with scale() as run:
        run.log_metrics({"m": 1.0}, step=1)
    logs = tmp_path / "mylogs"
    logs.mkdir()
    shutil.copyfile(database_of(tmp_path), logs / f"{database_of(tmp_path).parent.name}.sqlite3")
    shutil.rmtree(work_of(tmp_path))
    found = read_all(tmp_path)
    assert set(found) == {("acme/vision", "run-1"), ("offline/mine", "u-1")}
    assert found["acme/vision", "run-1"].value("m") == 1.0


Make = Callable[[Path, str], Path]


def partitioned(work: Path, uuid: str) -> Path:
    """As `neptune_experimental` 0.2.1 lays it out."""
    execution = "exec-1700000000.0-2023-11-14_22.13.20.000000-1"
    return work / ".neptune" / "async" / f"run__{uuid}" / execution / "partition-0"


def bare(work: Path, uuid: str) -> Path:
    """As clients before 0.10 lay it out."""
    return work / ".neptune" / "async" / uuid / "exec-1600000000.0-2020"


@pytest.mark.parametrize("place", [partitioned, bare])
def test_the_run_is_reported_by_a_folder_above(tmp_path: Path, read_all: Any, place: Make) -> None:
    others = (UUID, UUID.replace("4", "5"))
    for number, uuid in enumerate(others, 1):
        write(place(tmp_path, uuid), points(1, number))
    found = read_all(tmp_path)
    assert {run_id: len(run.values("loss")) for (_, run_id), run in found.items()} == dict(
        zip(others, (1, 2), strict=True)
    )
    assert all(run.failures == [] for run in found.values())


def test_partitions_of_one_process_are_one_run(tmp_path: Path, read: Any) -> None:
    """Each counts its own operations from 1."""
    folder = partitioned(tmp_path, UUID).parent
    for number in range(3):
        partition = write(folder / f"partition-{number}", points(1, 4))
        text = (partition / "data-1.log").read_text()
        (partition / "data-1.log").write_text(text.replace("loss", f"loss{number}"))
    found = read(tmp_path)
    assert [found.values(f"loss{number}") for number in range(3)] == 3 * [[1.0, 2.0, 3.0, 4.0]]
    assert found.failures == []


def test_logs_that_do_not_say_which_run_they_are_of_are_runs_of_their_own(
    tmp_path: Path, read_all: Any
) -> None:
    """Moved out of their folders; a copy of one is the same run."""
    for place, at in (("one/logs", 1.7e9), ("two/logs", 1.8e9), ("copy/logs", 1.7e9)):
        records = [json.loads(line) for line in points(1, 3)]
        for record in records:
            record["obj"]["values"][0]["ts"] += at - 1.7e9
        write(tmp_path / place, [json.dumps({**r, "at": r["at"] + at - 1.7e9}) + "\n" for r in records])
    found = read_all(tmp_path)
    assert len(found) == 2 and all(run.values("loss") == [1.0, 2.0, 3.0] for run in found.values())
    assert all(run_id.startswith("logs-") for _, run_id in found)


def test_paths_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="File name too long; name a folder that you may read"):
        projects(Path("a" * 5000))
    with pytest.raises(UsageError, match="null byte; name a folder"):
        projects(Path("a\0b"))
    monkeypatch.delenv("HOME", raising=False)
    with pytest.raises(UsageError, match="the home folder is not known; write the whole path"):
        projects(Path("~nobody-of-that-name/x"))

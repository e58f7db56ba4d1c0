"""What may not be read is named, and costs nothing else."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.contract import RunSelection, SourceError, UsageError
from neptune_exporter_offline.plugin import make_source
from neptune_exporter_offline.settings import OfflineSettings
from neptune_exporter_offline.testing.neptune2 import append_operations

from .conftest import ReadRun, read_all
from .folders import Logging, container, database_of

AsNobody = Callable[[], AbstractContextManager[None]]
Reading = Callable[..., dict[str, ReadRun]]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user may read: pytest's are for its own user."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder).resolve()
        path.chmod(0o755)
        yield path


@pytest.fixture
def as_nobody(tmp_path: Path) -> AsNobody:
    """A context of a user whom permissions stop: root is not one."""
    container(tmp_path, "run", "u-0")
    read_all(tmp_path)  # imports what that user might not

    @contextmanager
    def context() -> Iterator[None]:
        is_root = os.getuid() == 0
        if is_root:
            os.setresuid(65534, 65534, 0)
        try:
            yield
        finally:
            if is_root:
                os.setresuid(0, 0, 0)

    return context


@pytest.fixture
def read_as_nobody(as_nobody: AsNobody) -> Reading:
    """Reads all runs, by run id."""

    def read(path: Path) -> dict[str, ReadRun]:
        with as_nobody():
            return {run_id: run for (_, run_id), run in read_all(path).items()}

    return read


def close(path: Path, mode: int = 0) -> None:
    path.chmod(mode)


@pytest.mark.parametrize("whole", [False, True])
def test_a_log_that_may_not_be_read_fails_alone(read_as_nobody: Reading, place: Path, whole: bool) -> None:
    container(place, "run", "u-1")
    closed = container(place, "run", "u-2")
    if whole:
        close(closed, 0o744)  # names can be read, and nothing else
    else:
        close(closed / "data-1.log")
    found = read_as_nobody(place)
    assert found["u-1"].value("which") == "run u-1 1" and found["u-1"].failures == []
    assert found["u-2"].values("which") == []
    assert [(f.attribute_path, f.permanent) for f in found["u-2"].failures] == [("", False)]
    (message,) = found["u-2"].messages()
    assert message == f"{closed.name}: data-1.log, byte 0: Permission denied; the rest was not read"


def test_one_file_of_a_log_that_may_not_be_read(read_as_nobody: Reading, place: Path) -> None:
    """What is in it is not said to be missing: it is there."""
    folder = container(place, "run", "u-1")
    for first in (2, 4):
        operations = [{"type": "AssignInt", "path": [f"n{v}"], "value": v} for v in (first, first + 1)]
        records = [
            {"obj": operation, "version": v, "at": 1.7e9} for v, operation in enumerate(operations, first)
        ]
        (folder / f"data-{first}.log").write_text("".join(json.dumps(r) + "\n" for r in records))
    (folder / "last_put_version").write_text("5")
    close(folder / "data-2.log")
    (run,) = read_as_nobody(place).values()
    assert {"which", "n4", "n5"} <= set(run.types) and not {"n2", "n3"} & set(run.types)
    assert run.messages() == [f"{folder.name}: data-2.log, byte 0: Permission denied; the rest was not read"]


def test_a_database_that_may_not_be_read_fails_alone(
    scale: Logging, read_as_nobody: Reading, place: Path, tmp_path: Path
) -> None:
    with scale() as run:
        run.log_metrics({"m": 1.0}, step=1)
    for name in ("good", "closed", "closed-folder"):
        shutil.copytree(database_of(tmp_path).parent, place / name)
    database = place / "closed" / "run_operations.sqlite3"
    database.with_name(f"{database.name}-wal").write_bytes(b"not empty")  # so it would be copied
    close(database)
    close(place / "closed-folder", 0o744)
    found = read_as_nobody(place)
    assert set(found) == {"run-1", "closed", "closed-folder"}
    assert found["run-1"].value("m") == 1.0 and found["run-1"].failures == []
    for name in ("closed", "closed-folder"):
        (failure,) = found[name].failures
        assert failure.attribute_path == "" and not failure.permanent
        assert failure.message.startswith(f"{name}: the database cannot be read: ")
        assert "ermission denied" in failure.message


def test_a_folder_that_cannot_be_searched_is_an_error_of_the_listing(
    as_nobody: AsNobody, place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was found is exported all the same."""
    container(place / "mine", "run", "u-1")
    container(place / "theirs", "run", "u-2")
    (place / "also").mkdir()
    close(place / "theirs")
    close(place / "also")
    (place / "link").symlink_to(place / "theirs" / ".neptune")
    settings = OfflineSettings(path=(str(place),))
    listed: list[Any] = []
    with as_nobody():
        source = make_source(settings)
        assert source.projects() == ["offline/mine"]
        with pytest.raises(SourceError, match="cannot be searched: Permission denied, nor can 2 other pl"):
            listed.extend(source.runs("offline/mine", RunSelection()))
        with pytest.raises(SourceError, match=r"no Neptune run was found .*also cannot be searched"):
            make_source(OfflineSettings(path=(str(place / "also"),))).projects()
        with pytest.raises(UsageError, match=r"theirs/\.neptune: Permission denied"):
            make_source(OfflineSettings(path=(str(place / "theirs" / ".neptune"),))).projects()
    assert [run.key.run_id for run in listed] == ["u-1"]
    assert "cannot be searched" in caplog.text
    close(place / "theirs", 0o755)


def test_closed_folders_below_file_sets_and_artifacts(read_as_nobody: Reading, place: Path) -> None:
    data = place / "data"
    for name in ("a.txt", "closed/b.txt", "sub/c.txt", "sub/locked.txt"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(name)
    close(data / "sub" / "locked.txt")
    folder = container(place / "work", "run", "u-1")
    one = data / "closed" / "b.txt"
    sets = {"set": data, "glob": data / "*" / "*.txt", "deep": data / "**" / "*.txt", "one": one}
    append_operations(
        folder,
        *(
            {"type": "UploadFileSet", "path": [path], "file_globs": [str(pattern)], "reset": "True"}
            for path, pattern in sets.items()
        ),
        {"type": "TrackFilesToArtifact", "path": ["art"], "entries": [[str(data), None]]},
        {
            "type": "TrackFilesToArtifact",
            "path": ["art/one"],
            "entries": [[str(one), None]],
        },
    )
    close(data / "closed")
    try:
        (run,) = read_as_nobody(place / "work").values()
    finally:
        close(data / "closed", 0o755)

    def members(path: str) -> list[str]:
        with zipfile.ZipFile(BytesIO(run.value(path))) as archive:
            return archive.namelist()

    assert members("set") == ["a.txt", "sub/c.txt"]
    assert members("glob") == ["c.txt"]
    assert members("deep") == ["a.txt", "sub/c.txt"]
    assert [entry["filePath"] for entry in json.loads(run.value("art"))] == ["a.txt", "sub/c.txt"]
    closed, locked = f"{data / 'closed'}", f"{data / 'sub' / 'locked.txt'} cannot be read: Permission denied"
    assert sorted(run.messages("set")) == [f"{closed} cannot be read: Permission denied", locked]
    assert sorted(run.messages("art")) == [f"{closed} cannot be read: Permission denied", locked]
    assert sorted(run.messages("glob")) == [f"{closed}/ may not be searched for {sets['glob']}", locked]
    assert sorted(run.messages("deep")) == [f"{closed}/ may not be searched for {sets['deep']}", locked]
    assert run.messages("one") == [f"{closed}/ may not be searched for {sets['one']}"]
    assert run.messages("art/one") == [f"{closed}/b.txt cannot be read: Permission denied"]
    assert not any(f.permanent for f in run.failures)

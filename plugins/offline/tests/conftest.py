"""Folders made by the real clients, and reading them into plain rows."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.contract import (
    AttributeFailure,
    AttributeRequest,
    AttributeSelection,
    RunDone,
    RunRequest,
    RunRows,
    RunSelection,
    SourceRun,
)
from neptune_exporter.model import AttributeType, RunKind
from neptune_exporter.schema import VALUE_COLUMN
from neptune_exporter.testing import MemoryFiles
from neptune_exporter_offline.plugin import make_source
from neptune_exporter_offline.settings import OfflineSettings


@dataclass
class ReadRun:
    """What reading a run gave."""

    run: SourceRun
    rows: list[dict[str, Any]] = field(default_factory=list)
    failures: list[AttributeFailure] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    files: MemoryFiles = field(default_factory=MemoryFiles)

    def values(self, path: str) -> list[Any]:
        """The values of an attribute in the order of its rows; of files their bytes."""
        return [self._value(row) for row in self.rows if row["attribute_path"] == path]

    def value(self, path: str) -> Any:
        (value,) = self.values(path)
        return value

    def points(self, path: str) -> list[tuple[Any, Any]]:
        """Steps and values of a series."""
        return [
            (
                row.get("step_float64") if row.get("step_float64") is not None else row["step"],
                self._value(row),
            )
            for row in self.rows
            if row["attribute_path"] == path
        ]

    def times(self, path: str) -> list[Any]:
        return [row["timestamp"] for row in self.rows if row["attribute_path"] == path]

    @property
    def types(self) -> dict[str, str]:
        return {row["attribute_path"]: row["attribute_type"] for row in self.rows}

    def messages(self, path: str | None = None) -> list[str]:
        return [f.message for f in self.failures if path is None or f.attribute_path == path]

    def _value(self, row: dict[str, Any]) -> Any:
        value = row[VALUE_COLUMN[AttributeType(row["attribute_type"])]]
        return (
            self.files.contents[value["path"]]
            if "path" in (value if isinstance(value, dict) else ())
            else value
        )


def read_all(
    path: Path, *, wanted: AttributeSelection | None = None, **settings: Any
) -> dict[tuple[str, str], ReadRun]:
    """Everything below a folder, by project and run id."""
    source = make_source(OfflineSettings(path=(str(path),), **settings))
    read = {}
    for project in source.projects():
        for run in source.runs(project, RunSelection(kinds=frozenset(RunKind))):
            result = ReadRun(run)
            request = RunRequest(run, AttributeRequest(wanted or AttributeSelection()))
            for event in source.read([request], result.files):
                if isinstance(event, RunRows):
                    result.rows += event.batch.to_pylist()
                elif isinstance(event, AttributeFailure):
                    result.failures.append(event)
                else:
                    assert isinstance(event, RunDone)
                    result.notes = event.notes
            read[project, run.key.run_id] = result
    source.close()
    return read


@pytest.fixture(name="read_all")
def read_all_fixture() -> Callable[..., dict[tuple[str, str], ReadRun]]:
    return read_all


@pytest.fixture
def read() -> Callable[..., ReadRun]:
    """Reads the only run below a folder, and checks that nothing there changed."""

    def read_one(path: Path, **options: Any) -> ReadRun:
        before = snapshot(path)
        (run,) = read_all(path, **options).values()
        assert snapshot(path) == before, "reading changed the originals"
        return run

    return read_one


def snapshot(path: Path) -> dict[str, tuple[int, str]]:
    """Every file and folder with its modification time and digest."""
    found = {}
    for entry in [path, *path.rglob("*")]:
        digest = hashlib.sha256(entry.read_bytes()).hexdigest() if entry.is_file() else ""
        found[str(entry.relative_to(path))] = (entry.lstat().st_mtime_ns, digest)
    return found


@pytest.fixture
def neptune2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AbstractContextManager[Any]]:
    """A context with a run of the real 2.x client in offline mode, logging to `tmp_path/work/.neptune`."""
    import neptune

    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setenv("NEPTUNE_DATA_DIRECTORY", str(work / ".neptune"))

    @contextmanager
    def logging(**options: Any) -> Iterator[Any]:
        quiet = dict.fromkeys(("stdout", "stderr", "hardware_metrics", "traceback"), False)
        run = neptune.init_run(
            mode="offline",
            **{f"capture_{what}": value for what, value in quiet.items()},
            **{"source_files": [], "git_ref": False, **options},
        )
        try:
            yield run
        finally:
            run.stop()

    return logging


@pytest.fixture
def scale(tmp_path: Path) -> Callable[..., AbstractContextManager[Any]]:
    """A context with a run of the real neptune-scale in offline mode, logging to `tmp_path/work/.neptune`."""
    from neptune_scale import Run

    def logging(run_id: str = "run-1", **options: Any) -> AbstractContextManager[Any]:
        run: AbstractContextManager[Any] = Run(
            run_id=run_id,
            project="acme/vision",
            mode="offline",
            log_directory=tmp_path / "work" / ".neptune",
            **{"source_tracking_config": None, "enable_console_log_capture": False, **options},
        )
        return run

    return logging


@pytest.fixture
def run_script(tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Runs a script in `tmp_path/work`, for what must die or must not share this process."""
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)

    def run(script: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
        (tmp_path / "script.py").write_text(script, encoding="utf-8")
        command = [sys.executable, str(tmp_path / "script.py")]
        return subprocess.run(
            command, cwd=work, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    return run

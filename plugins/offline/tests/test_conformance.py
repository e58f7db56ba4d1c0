"""The conformance kit, on folders that the real clients write from its corpus."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from neptune_exporter.contract import Source
from neptune_exporter.model import RunKey
from neptune_exporter.testing import SampleRun, SourceConformance, sample_runs
from neptune_exporter.testing.corpus import PROJECT
from neptune_exporter_offline import wire
from neptune_exporter_offline.plugin import make_source, neptune_exporter_sources
from neptune_exporter_offline.settings import OfflineSettings
from neptune_exporter_offline.testing import neptune2, scale

(SPEC,) = neptune_exporter_sources()
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_NO_TIME = datetime(2024, 2, 3, 4, 5, 6, 789000, tzinfo=timezone.utc)


def _set_modified(folder: Path, sample: SampleRun) -> SampleRun:
    """Give the folder the modification time that the sample says."""
    modified = sample.modified_at or _NO_TIME
    nanoseconds = (modified - _EPOCH) // timedelta(microseconds=1) * 1000
    for path in folder.rglob("*"):
        os.utime(path, ns=(nanoseconds, nanoseconds))
    return replace(sample, modified_at=modified)


@pytest.fixture(scope="module")
def scale_runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[SampleRun]]:
    directory = tmp_path_factory.mktemp("scale") / ".neptune"
    held = []
    for sample in filter(scale.can_hold, sample_runs()):
        before = set(directory.glob("*"))
        expected = scale.write_run(sample, directory)
        (folder,) = set(directory.glob("*")) - before
        held.append(_set_modified(folder, expected))
    return directory, held


@pytest.fixture(scope="module")
def neptune2_runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, SampleRun]]:
    """The folder, and what is in it by the name of each run's folder."""
    directory = tmp_path_factory.mktemp("neptune2") / ".neptune"
    scratch = tmp_path_factory.mktemp("scratch")
    held = {}
    for number, sample in enumerate(sample_runs()):
        if neptune2.can_hold(sample) and sample.key.project_id == PROJECT:
            expected, folder = neptune2.write_run(sample, directory, scratch / str(number))
            held[folder.name] = _set_modified(folder, expected)
    return directory, held


class TestNeptuneScale(SourceConformance):
    capabilities = SPEC.capabilities
    directory: Path

    @pytest.fixture
    def source_runs(self, scale_runs: tuple[Path, list[SampleRun]]) -> Sequence[SampleRun]:
        return scale_runs[1]

    @pytest.fixture
    def source(self, scale_runs: tuple[Path, list[SampleRun]], tmp_path: Path) -> Iterator[Source]:
        self.directory = tmp_path / ".neptune"
        shutil.copytree(scale_runs[0], self.directory)
        source = make_source(OfflineSettings(path=(str(self.directory),)))
        yield source
        source.close()

    def break_attribute(self, key: RunKey, path: str) -> bool:
        """A value of a kind that only a later client knows."""
        update = wire.UpdateRunSnapshot()
        update.append[path].SetInParent()
        for database in self.directory.rglob("*.sqlite3"):
            with closing(sqlite3.connect(database)) as connection, connection:
                if connection.execute("SELECT project, run_id FROM metadata").fetchone() == (
                    key.project_id,
                    key.run_id,
                ):
                    connection.execute(
                        "INSERT INTO run_operations "
                        "(timestamp, operation_type, operation, operation_size_bytes) VALUES (0, 0, ?, 0)",
                        (update.SerializeToString(),),
                    )
                    return True
        return False


class TestNeptune2(SourceConformance):
    capabilities = SPEC.capabilities
    ignored_attributes = frozenset({"sys/creation_time", "source_code/entrypoint", "source_code/files"})
    directory: Path
    held: dict[str, SampleRun]

    @pytest.fixture
    def source_runs(self, neptune2_runs: tuple[Path, dict[str, SampleRun]]) -> Sequence[SampleRun]:
        return list(neptune2_runs[1].values())

    @pytest.fixture
    def source(self, neptune2_runs: tuple[Path, dict[str, SampleRun]], tmp_path: Path) -> Iterator[Source]:
        self.directory, self.held = tmp_path / ".neptune", neptune2_runs[1]
        shutil.copytree(neptune2_runs[0], self.directory)
        run_ids = tuple(f"{folder}={sample.key.run_id}" for folder, sample in self.held.items())
        source = make_source(OfflineSettings(path=(str(self.directory),), project=PROJECT, run_id=run_ids))
        yield source
        source.close()

    def break_attribute(self, key: RunKey, path: str) -> bool:
        """An operation that cannot be understood."""
        (folder,) = (name for name, sample in self.held.items() if sample.key == key)
        broken = {"type": "LogFloats", "path": path.split("/"), "values": [{"value": None}]}
        neptune2.append_operations(self.directory / "offline" / folder, broken)
        return True

"""Which run a folder belongs to, and how a person says it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.contract import (
    AttributeRequest,
    RunRequest,
    RunRows,
    RunSelection,
    SourceError,
    UsageError,
)
from neptune_exporter.model import RunKind
from neptune_exporter.testing import MemoryFiles
from neptune_exporter_offline.plugin import make_source
from neptune_exporter_offline.settings import OfflineSettings

from .folders import Logging, container


def keys(path: Path, **settings: Any) -> set[tuple[str, str, str]]:
    source = make_source(OfflineSettings(path=(str(path),), **settings))
    everything = RunSelection(kinds=frozenset(RunKind))
    return {
        (run.key.project_id, run.key.run_id, str(run.key.kind))
        for project in source.projects()
        for run in source.runs(project, everything)
    }


def test_default_project_and_run_id(tmp_path: Path) -> None:
    container(tmp_path / "mnist", "run", "u-1", mode="offline")
    assert keys(tmp_path) == {("offline/mnist", "u-1", "run")}
    assert keys(tmp_path / "mnist" / ".neptune") == {("offline/mnist", "u-1", "run")}
    assert keys(tmp_path / "mnist" / ".neptune" / "offline" / "run__u-1__1__abcdefgh") == {
        ("offline/mnist", "u-1", "run")
    }


def test_project_is_named_only_for_folders_that_do_not_know_it(scale: Logging, tmp_path: Path) -> None:
    with scale("three") as run:
        run.log_metrics({"m": 1.0}, step=1)
    container(tmp_path / "work", "run", "u-1")
    assert keys(tmp_path, project="acme/nlp") == {("acme/nlp", "u-1", "run"), ("acme/vision", "three", "run")}


def test_run_ids_by_folder_uuid_and_pattern(tmp_path: Path) -> None:
    first = container(tmp_path, "run", "u-1")
    container(tmp_path, "run", "u-2")
    container(tmp_path, "run", "u-3")
    ids = (f"{first.name}=RUN-1", "u-2=RUN=2", "OLD-{uuid}")
    assert {run_id for _, run_id, _ in keys(tmp_path, run_id=ids)} == {"RUN-1", "RUN=2", "OLD-u-3"}


def test_one_id_for_the_only_run(tmp_path: Path) -> None:
    container(tmp_path, "run", "u-1", process=1)
    container(tmp_path, "run", "u-1", process=2)
    assert {run_id for _, run_id, _ in keys(tmp_path, run_id=("RUN-7",))} == {"RUN-7"}


def test_one_id_for_several_runs_is_refused(tmp_path: Path) -> None:
    container(tmp_path, "run", "u-1")
    container(tmp_path, "run", "u-2")
    with pytest.raises(
        UsageError, match=r"gives 2 different runs the id RUN-7: run__u-1.*run__u-2.*\{uuid\}"
    ):
        keys(tmp_path, run_id=("RUN-7",))


@pytest.mark.parametrize(
    ("run_id", "message"),
    [
        (("u-9=RUN-9",), "no Neptune 2.x folder or uuid of that name"),
        (("a-{uuid}", "b-{uuid}"), "more than one pattern"),
        (("u-1=",), "the id is empty"),
        (("",), "the id is empty"),
    ],
)
def test_run_id_options_that_cannot_be_meant(tmp_path: Path, run_id: tuple[str, ...], message: str) -> None:
    container(tmp_path, "run", "u-1")
    with pytest.raises(UsageError, match=message):
        keys(tmp_path, run_id=run_id)


def test_models_versions_and_project_metadata(tmp_path: Path, read_all: Any) -> None:
    for kind in ("run", "model", "model_version", "project"):
        container(tmp_path, kind, "same-id")
    assert keys(tmp_path, project="acme/vision") == {
        ("acme/vision", "same-id", "run"),
        ("acme/vision", "same-id", "model"),
        ("acme/vision", "same-id", "model_version"),
        ("acme/vision", "project-same-id", "run"),
    }
    found = read_all(tmp_path, project="acme/vision")["acme/vision", "project-same-id"]
    assert found.value("which") == "project same-id 1"
    assert "Metadata of the project itself, not of a run" in found.run.notes


def test_runs_without_models_by_default(tmp_path: Path) -> None:
    container(tmp_path, "run", "u-1")
    container(tmp_path, "model", "u-2")
    source = make_source(OfflineSettings(path=(str(tmp_path),), project="a/b"))
    assert [run.key.run_id for run in source.runs("a/b", RunSelection())] == ["u-1"]


def test_several_paths_and_one_twice(tmp_path: Path) -> None:
    container(tmp_path / "a", "run", "u-1")
    container(tmp_path / "b", "run", "u-2")
    paths = tuple(str(tmp_path / p) for p in ("a", "b", "a/.neptune", "."))
    source = make_source(OfflineSettings(path=paths))
    assert source.projects() == ["offline/a", "offline/b"]
    assert [len(list(source.runs(p, RunSelection()))) for p in source.projects()] == [1, 1]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no Neptune run was found in"):
        keys(tmp_path)
    with pytest.raises(UsageError, match=r"--offline-path .*/missing: there is no such folder"):
        keys(tmp_path / "missing")


def test_a_project_that_no_folder_is_of(tmp_path: Path) -> None:
    container(tmp_path / "mnist", "run", "u-1")
    source = make_source(OfflineSettings(path=(str(tmp_path),)))
    with pytest.raises(SourceError, match=r"project acme/x .* only of offline/mnist; .* --offline-project"):
        list(source.runs("acme/x", RunSelection()))


def test_a_folder_that_goes_away_between_listing_and_reading(tmp_path: Path) -> None:
    container(tmp_path / "mnist", "run", "u-1")
    settings = OfflineSettings(path=(str(tmp_path),))
    (run,) = make_source(settings).runs("offline/mnist", RunSelection())
    container(tmp_path / "mnist", "run", "u-2")
    gone = tmp_path / "mnist" / ".neptune" / "async" / "run__u-1__1__abcdefgh"
    gone.rename(tmp_path / "elsewhere")
    later = make_source(settings)
    with pytest.raises(SourceError, match="run__u-1__1__abcdefgh is not there any more"):
        list(later.read([RunRequest(run, AttributeRequest())], MemoryFiles()))


def test_reading_a_run_does_not_search_for_all_others(tmp_path: Path) -> None:
    """Each worker has a source of its own: with many runs the search is most of what it would do."""
    container(tmp_path / "mnist", "run", "u-1")
    settings = OfflineSettings(path=(str(tmp_path),))
    (run,) = make_source(settings).runs("offline/mnist", RunSelection())
    reader = make_source(OfflineSettings(path=(str(tmp_path / "nowhere"),)))
    events = list(reader.read([RunRequest(run, AttributeRequest())], MemoryFiles()))
    (rows,) = (event for event in events if isinstance(event, RunRows))
    assert "run u-1 1" in rows.batch.column("string_value").to_pylist()


def test_other_databases_are_never_opened(tmp_path: Path) -> None:
    container(tmp_path, "run", "u-1")
    other = tmp_path / "other.sqlite3"
    other.write_bytes(b"not ours")
    (tmp_path / "other.sqlite3-wal").write_bytes(b"nor this")
    assert len(keys(tmp_path)) == 1

"""Searching: links are followed, each log is found once, and a link that leads nowhere is reported."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.contract import RunSelection, SourceError, UsageError
from neptune_exporter_offline.plugin import make_source
from neptune_exporter_offline.settings import OfflineSettings

from .conftest import ReadRun
from .folders import Logging, container, database_of, work_of


def values(found: dict[tuple[str, str], ReadRun]) -> dict[tuple[str, str], str]:
    return {key: run.value("which") for key, run in found.items()}


def test_links_are_followed_and_every_log_is_found_once(tmp_path: Path, read_all: Any) -> None:
    container(tmp_path / "scratch" / "jobs", "run", "u-1")
    container(tmp_path / "home" / "mnist", "run", "u-2")
    (tmp_path / "home" / "jobs").mkdir()
    (tmp_path / "home" / "jobs" / ".neptune").symlink_to(tmp_path / "scratch" / "jobs" / ".neptune")
    (tmp_path / "home" / "again").symlink_to("jobs")
    (tmp_path / "home" / "loop").symlink_to(tmp_path / "home")
    (tmp_path / "home" / "mnist" / "up").symlink_to("..")
    (tmp_path / "home" / "nowhere").symlink_to("gone")
    expected = {("offline/jobs", "u-1"): "run u-1 1", ("offline/mnist", "u-2"): "run u-2 1"}
    assert values(read_all(tmp_path / "home")) == values(read_all(tmp_path)) == expected
    # The same run, however it was found.
    assert set(read_all(tmp_path / "home" / "jobs" / ".neptune")) == {("offline/jobs", "u-1")}


def test_a_data_folder_that_is_gone_is_reported(tmp_path: Path) -> None:
    container(tmp_path / "here", "run", "u-1")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / ".neptune").symlink_to(tmp_path / "unmounted")
    source = make_source(OfflineSettings(path=(str(tmp_path),)))
    listed: list[Any] = []
    with pytest.raises(SourceError, match=r"there/\.neptune cannot be searched: No such file"):
        listed.extend(source.runs("offline/here", RunSelection()))
    assert [run.key.run_id for run in listed] == ["u-1"]


def test_databases_behind_links(scale: Logging, tmp_path: Path, read_all: Any) -> None:
    """One that lies in `.neptune` itself, as those of older clients, and a link to one alone."""
    with scale() as run:
        run.log_metrics({"m": 1.0}, step=1)
    database = database_of(tmp_path)
    (tmp_path / "scratch").mkdir()
    shutil.copyfile(database, tmp_path / "scratch" / "run-1.SQLITE3")
    for name in ("old", "alone"):
        (tmp_path / name).mkdir()
    (tmp_path / "old" / ".neptune").symlink_to(tmp_path / "scratch")
    (tmp_path / "alone" / database.name).symlink_to(database)
    for path in (tmp_path / "old", tmp_path / "alone", work_of(tmp_path), tmp_path / "old" / ".neptune"):
        (found,) = read_all(path).values()
        assert found.value("m") == 1.0


def test_databases_beside_the_folder_are_not_passed_over_in_silence(
    scale: Logging, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`log_directory` of neptune-scale, in both of its layouts, beside the folder that is read by default."""
    with scale() as run:
        run.log_configs({"which": "default"})
    work, database = work_of(tmp_path), database_of(tmp_path)
    shutil.copytree(database.parent, work / "mylogs" / database.parent.name)
    (work / "older").mkdir()
    shutil.copyfile(database, work / "older" / "acme_vision_1700000000000000000.sqlite3")
    (work / "data").mkdir()
    (work / "data" / "other.sqlite3").write_bytes(b"of another program")
    monkeypatch.chdir(work)

    def warnings(*paths: str) -> list[str]:
        caplog.clear()
        make_source(OfflineSettings(path=paths)).projects()
        return caplog.messages

    (message,) = warnings(".neptune")
    assert f"Neptune runs in {work / 'mylogs'}, {work / 'older'};" in message
    source = make_source(OfflineSettings(path=(".neptune",)))
    listing = source.runs(*source.projects(), RunSelection())
    assert (
        next(listing).key.project_id == "acme/vision"
    )  # what was found is exported, but the export is partial
    with pytest.raises(SourceError, match="not read, because it lies outside"):
        next(listing)
    assert warnings(".") == warnings(".neptune", "mylogs", "older") == []
    shutil.move(work / "older", work / "mylogs" / "below")
    shutil.move(work / "mylogs" / "below" / "acme_vision_1700000000000000000.sqlite3", work)
    (message,) = warnings(".neptune", "mylogs")
    assert f"Neptune runs in {work};" in message
    (work / ".neptune").rename(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=f"there is no such folder; runs lie in {work}, {work / 'mylogs'}$"):
        warnings(".neptune")
    (work / ".neptune").mkdir()
    with pytest.raises(SourceError, match=f"no Neptune run was found.* runs in {work}, {work / 'mylogs'};"):
        warnings(".neptune")

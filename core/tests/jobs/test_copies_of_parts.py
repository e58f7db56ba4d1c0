"""Parts of a run that say which logs they were read from: copies, older states, and what a later one ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from neptune_exporter.contract import AttributeSelection, RunSelection, SourceRun
from neptune_exporter.dataset import Dataset
from neptune_exporter.model import RunKey
from neptune_exporter.testing.runs import FIRST_TIME, SampleRun, parameter

from .test_another_run import Partly, export, paths

KEY = RunKey("acme/vision", "a")


class Logged(Partly):
    """What is left of a run: its logs, and how far they go."""

    def __init__(self, day: int, value: int, *names: str, place: str = "", **logs: int) -> None:
        found = [parameter(name, value) for name in names]
        super().__init__([SampleRun(KEY, tuple(found), modified_at=FIRST_TIME + timedelta(days=day))])
        self.place, self.logs = place or str(day), tuple(logs.items())

    def runs(self, project_id: str, selection: RunSelection) -> Iterator[SourceRun]:
        found = super().runs(project_id, selection)
        return (replace(run, handle=self.place, logs=self.logs) for run in found)


def value(folder: Path, name: str) -> object:
    (run,) = Dataset(folder / "data", folder / "files").runs()
    return run.parameters()[name].value


def test_a_copy_and_an_older_state_are_not_read_again(tmp_path: Path) -> None:
    """Their values would take the place of newer ones."""
    assert export(Logged(1, 7, "x", "y", log=100), tmp_path).complete
    for older in (Logged(2, 6, "x", log=80), Logged(3, 6, "x", log=100)):
        done = export(older, tmp_path)
        assert done.complete and done.projects[0].up_to_date == 1
    assert (value(tmp_path, "x"), paths(tmp_path)) == (7, {"x", "y"})


def test_what_grew_or_is_new_is_read(tmp_path: Path) -> None:
    for day, logs in enumerate(({"log": 10}, {"log": 11}, {"log": 11, "other": 1}, {"other": 2})):
        done = export(Logged(day, day, "x", **logs), tmp_path)
        assert done.complete and done.projects[0].exported == 1
        assert value(tmp_path, "x") == day


def test_what_was_asked_of_another_log_only_is_read(tmp_path: Path) -> None:
    """That all of one log was exported says nothing of the other."""
    only_x = AttributeSelection(pattern="x")
    assert export(Logged(1, 1, "x", "y", log=5), tmp_path, attributes=only_x).complete
    assert export(Logged(2, 2, "z", other=5), tmp_path).complete
    done = export(Logged(1, 1, "x", "y", log=5), tmp_path)
    assert done.projects[0].exported == 1 and paths(tmp_path) == {"x", "y", "z"}


def test_a_failure_ends_when_the_log_is_whole(tmp_path: Path) -> None:
    for place in ("here", "elsewhere"):
        torn = Logged(1, 1, "x", log=10, place="here")
        torn.fail_attribute(KEY, "", permanent=True)
        folder = tmp_path / place
        assert not export(torn, folder).complete
        whole = Logged(2, 1, "x", log=12, place=place)
        assert export(whole, folder).complete
        again = export(whole, folder)
        assert again.complete and again.missing == []


def test_what_failed_in_another_log_is_missing_until_that_is_read(tmp_path: Path) -> None:
    first, second = Logged(1, 1, "x", "broken", log=10), Logged(2, 2, "y", other=10)
    first.fail_attribute(KEY, "broken", times=1)
    assert not export(first, tmp_path).complete
    for _ in range(2):
        again = export(second, tmp_path)
        assert not again.complete and not again.failures, "nothing of this log failed"
        assert [failure.attribute_path for failure in again.missing] == ["broken"]
    assert export(second, tmp_path, attributes=AttributeSelection(pattern="y")).complete
    assert export(first, tmp_path).complete and paths(tmp_path) == {"x", "y", "broken"}
    assert export(second, tmp_path).complete


def test_a_failure_does_not_end_with_another_log_or_a_shorter_one(tmp_path: Path) -> None:
    for number, logs in enumerate(({"other": 99}, {"log": 9}, {"log": 9, "other": 99})):
        folder = tmp_path / str(number)
        torn = Logged(1, 1, "x", log=10)
        torn.fail_attribute(KEY, "", permanent=True)
        assert not export(torn, folder).complete
        export(Logged(2, 1, "x", **logs), folder)
        (run,) = Dataset(folder / "data", folder / "files").runs()
        assert [failure.attribute_path for failure in run.failures] == [""]

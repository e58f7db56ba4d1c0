"""What a source wants back at the next export of a run: kept in the receipt, and given back to it alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from neptune_exporter.contract import FileWriter, ReadEvent, RunDone, RunRequest, RunSelection, SourceRun
from neptune_exporter.dataset import Dataset
from neptune_exporter.model import RunKey
from neptune_exporter.testing.memory_source import MemorySource
from neptune_exporter.testing.runs import FIRST_TIME, SampleRun, parameter

from .test_another_run import PARAMETERS_ONLY, export

KEY = RunKey("acme/vision", "a")


class Remembering(MemorySource):
    """Asks for a text to be given back, and lists what it was given: memory, and whether all is replaced."""

    def __init__(self, name: str = "memory 1", identity: str = "", day: int = 0) -> None:
        super().__init__([SampleRun(KEY, (parameter("lr", 0.1),), modified_at=FIRST_TIME)])
        self.tells: str | None = None
        self.given: list[tuple[str, bool]] = []
        self._name = name
        self._identity = identity
        self._day = day

    @property
    def version(self) -> str:
        return self._name

    def runs(self, project_id: str, selection: RunSelection) -> Iterator[SourceRun]:
        for run in super().runs(project_id, selection):
            yield replace(run, identity=self._identity)

    def read(self, group: Sequence[RunRequest], files: FileWriter) -> Iterator[ReadEvent]:
        self.given += [(request.memory, request.replaces) for request in group]
        for event in super().read(group, files):
            if not isinstance(event, RunDone):
                yield event
            elif self.tells is not None:
                yield replace(event, memory=self.tells)

    def export(self, folder: Path, **options: object) -> tuple[str, bool]:
        """Another state of the run; what the source was given for it."""
        self._day += 1
        self.touch(KEY, FIRST_TIME + timedelta(days=self._day))
        assert export(self, folder, **options).complete
        return self.given[-1]


def test_it_is_given_back_and_stays_until_the_source_says_something_else(tmp_path: Path) -> None:
    source = Remembering()
    source.tells = 'first "ü" \n'
    assert source.export(tmp_path) == ("", False)
    source.tells = None
    assert source.export(tmp_path) == ('first "ü" \n', False)
    assert source.export(tmp_path, attributes=PARAMETERS_ONLY) == ('first "ü" \n', False)
    source.tells = "second"
    assert source.export(tmp_path) == ('first "ü" \n', False)
    assert source.export(tmp_path, force=True) == ("second", True)
    (run,) = Dataset(tmp_path / "data", tmp_path / "files").runs()
    assert run.receipt is not None and run.receipt.memory == "second"


def test_a_later_version_of_the_source_gets_it_and_another_source_does_not(tmp_path: Path) -> None:
    source = Remembering("memory 1")
    source.tells = "mine"
    source.export(tmp_path)
    assert Remembering("memory 2", day=10).export(tmp_path) == ("mine", False)
    assert Remembering("other 1", day=20).export(tmp_path) == ("", False)
    assert Remembering("memory 2", day=30).export(tmp_path) == ("", False), (
        "it is of the rows of another source"
    )


@pytest.mark.parametrize("force", [False, True])
def test_it_is_not_given_for_another_run_of_the_same_id(tmp_path: Path, force: bool) -> None:
    source = Remembering(identity="RUN-1")
    source.tells = "of RUN-1"
    source.export(tmp_path)
    other = Remembering(identity="RUN-2")
    if force:
        assert other.export(tmp_path, force=True) == ("", True)
    else:
        assert export(other, tmp_path).failed and other.given == []

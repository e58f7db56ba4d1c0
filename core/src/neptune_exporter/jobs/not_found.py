"""Projects, runs and attributes that a person named and the source does not have, and similar names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from neptune_exporter.contract import (
    AttributeRequest,
    AttributeSelection,
    NeptuneExporterError,
    RunSelection,
    Source,
)
from neptune_exporter.model import AttributeType, RunKey, RunKind
from neptune_exporter.suggestions import did_you_mean

if TYPE_CHECKING:
    from neptune_exporter.dataset import Dataset

_FEW_PROJECTS = 3
"""Up to this many projects are named in a message."""
_MOST_PATHS = 2_000
"""How many paths are kept to suggest similar ones."""
_MOST_RUNS = 10_000
"""How many runs are listed to suggest similar ids."""
_MOST_LOOKED_AT = 100
"""An attribute is looked for in this many runs of the dataset; only rare names would need more."""


@dataclass
class SeenPaths:
    """Which of the wanted attribute paths a source has shown, and some others, to suggest from."""

    wanted: AttributeSelection
    matched: set[str] = field(default_factory=set)
    """Elements of `wanted.names`; for a pattern, the pattern itself."""
    others: set[str] = field(default_factory=set)

    def see(self, path: str) -> None:
        if self.wanted.includes_path(path):
            self.matched.add(path if self.wanted.names else self.wanted.pattern or "")
        elif len(self.others) < _MOST_PATHS:
            self.others.add(path)

    def add(self, other: SeenPaths) -> None:
        self.matched |= other.matched
        self.others |= set(islice(other.others, max(0, _MOST_PATHS - len(self.others))))

    @property
    def missing(self) -> list[str]:
        """What was requested and no run has."""
        asked = self.wanted.names or ((self.wanted.pattern,) if self.wanted.pattern is not None else ())
        return [name for name in asked if name not in self.matched]

    def look_into(self, dataset: Dataset, keys: Iterable[RunKey]) -> None:
        """Also look at runs that are up to date, because the source does not read those."""
        for key in islice(keys, _MOST_LOOKED_AT):
            if not self.missing:
                return
            if (run := dataset.run(key)) is not None:
                for batch in run.batches(columns=["attribute_path"]):
                    for path in batch.column(0).unique().to_pylist():
                        self.see(path)

    def messages(self) -> list[str]:
        """One line for each requested attribute that no run has."""
        what = "no run has the attribute" if self.wanted.names else "no attribute matches"
        return [f"-a: {what} {name}{did_you_mean(name, self.others)}" for name in self.missing]


@dataclass(frozen=True)
class WatchedRequest(AttributeRequest):
    """Notes each path that the source asks about, which is every attribute that it finds."""

    seen: SeenPaths = field(default_factory=lambda: SeenPaths(AttributeSelection()), compare=False)

    def includes(self, path: str, attribute_type: AttributeType | None) -> bool:
        self.seen.see(path)
        return super().includes(path, attribute_type)


def unknown_project(source: Source, project_id: str, why: str | None) -> str | None:
    """The line about a project that the source does not list. None: it is listed, or no project can be. `why`
    is what the source says of it, which is shown where no project has a similar name."""
    try:
        projects = source.projects()
    except NeptuneExporterError:
        return None
    if project_id in projects:
        return None
    if similar := did_you_mean(project_id, projects):
        return f"-p: there is no project {project_id}{similar}"
    if why is not None:
        return f"-p: {why}"
    some = f"there is {' and '.join(projects)}" if projects else "there is none"
    many = "`neptune-exporter projects` lists those that there are"
    return f"-p: there is no project {project_id}; {some if len(projects) <= _FEW_PROJECTS else many}"


def noun_of(asked: RunSelection) -> str:
    """What messages call a thing that is asked for."""
    return "run" if RunKind.RUN in asked.kinds else "model or model version"


def query_option(asked: RunSelection) -> str:
    """The option that gave the query."""
    return "-q" if RunKind.RUN in asked.kinds else "--models-query"


def unmatched_runs(source: Source, project_ids: Iterable[str], asked: RunSelection) -> list[str]:
    """A line for each condition on runs, if no run of these projects meets all of them.

    Empty if there was no condition, or only one of time: it is no mistake that nothing changed since.
    """
    noun = noun_of(asked)
    if asked.query is not None:
        return [f"{query_option(asked)}: no {noun} matches {asked.query}"]
    names = [*asked.patterns, *sorted(asked.ids)]
    if not names or asked.modified_since or asked.modified_until:
        return []
    everything = RunSelection(include_archived=asked.include_archived, kinds=asked.kinds)
    listed: list[str] = []
    try:
        for project_id in project_ids:
            listed += [run.key.run_id for run in islice(source.runs(project_id, everything), _MOST_RUNS)]
    except NeptuneExporterError:
        listed = []  # only suggestions are lost
    return [f"-r: no {noun} matches {name}{did_you_mean(name, listed)}" for name in names]

"""A run whose journal is open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from functools import cached_property
from typing import Any

from neptune_exporter.contract import ExportedRun, LoadedRun
from neptune_exporter.sinks.metadata import run_name
from neptune_exporter.sinks.names import digest
from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter_pluto.form.config import SECTION
from neptune_exporter_pluto.form.metadata import IDENTITY, external_id
from neptune_exporter_pluto.form.metric_lines import cutting
from neptune_exporter_pluto.state.cachefile import cache_line
from neptune_exporter_pluto.state.disk_errors import named
from neptune_exporter_pluto.state.journal import Journal, Target
from neptune_exporter_pluto.state.multipliers import multiplier_of
from neptune_exporter_pluto.state.progress import Progress
from neptune_exporter_pluto.state.session import Session

MOST_GENERATIONS = 100
"""A run is loaded at most this often into one project."""


class StartAgainError(Exception):
    """It cannot be known any more what a run in Pluto holds: it must be loaded into a new run."""


@dataclass(frozen=True)
class OpenRun:
    """A run whose journal is locked: no other process of this machine loads or verifies it."""

    session: Session
    run: ExportedRun
    parent: LoadedRun | None
    """The result of loading the fork parent in this load, if it was loaded."""
    target: Target
    journal: Journal

    @property
    def now(self) -> Progress:
        return self.journal.begun

    @property
    def run_id(self) -> int:
        """The run in Pluto, which has been created."""
        assert self.now.run_id is not None
        return self.now.run_id

    def loads(self) -> dict[str, dict[str, Any]]:
        """The details of all its loads that Pluto shows, also of other machines, by external id."""
        identity = external_id(self.run.key, 1)
        return self.session.api.find_runs(self.target.project, f"{SECTION}.{IDENTITY}", identity)

    @cached_property
    def line(self) -> str:
        return cache_line(self.target.project, run_name(self.run))

    @cached_property
    def multiplier(self) -> Multiplier:
        """The multiplier of its steps. Reads the run, unless `prepare` has. Raises DatasetError if the run is
        damaged."""
        return multiplier_of(self.session, self.run)

    @cached_property
    def content_digest(self) -> str:
        """Digest of the options that decide what is sent."""
        return digest(str(self.multiplier), *map(str, astuple(self.session.content_options)))

    @cached_property
    def chunking(self) -> str:
        """Digest of the options that decide how metrics are cut into requests."""
        settings = self.session.settings
        return digest(*map(str, (*cutting(), settings.flush_every, settings.batch_rows)))


@contextmanager
def opened(session: Session, run: ExportedRun, parent: LoadedRun | None = None) -> Iterator[OpenRun]:
    """Open a run's journal. Raises SinkError if another process is loading the run, or the state cannot be
    read or written."""
    target = session.target(run.key.project_id)
    journal = Journal.of(session.base_dir, target, run.key)
    with named(session.base_dir), closing(journal.open()):
        yield OpenRun(session, run, parent, target, journal)

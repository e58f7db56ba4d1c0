"""A run on its way to a worker, which may be another process."""

from __future__ import annotations

from dataclasses import dataclass

from neptune_exporter.contract import SinkError
from neptune_exporter.dataset import ListedRun, StoredRun
from neptune_exporter.jobs.opening import dataset_of
from neptune_exporter.location import Location
from neptune_exporter.model import RunKey


@dataclass(frozen=True)
class PlacedRun:
    """Where a run of a dataset lies. Another process needs no more to read it."""

    data_path: Location
    files_path: Location
    key: RunKey
    listed: ListedRun
    fingerprint: str
    """Empty if the run has no receipt."""
    problems: tuple[str, ...]
    """What a look at the whole dataset has found to be wrong with the run."""

    @classmethod
    def of(cls, run: StoredRun) -> PlacedRun:
        data, files = (location.absolute() for location in run.locations)
        fingerprint = run.fingerprint if run.has_receipt else ""
        return cls(data, files, run.key, run.listed, fingerprint, run.problems)


@dataclass(frozen=True)
class RunUnit:
    """A run. When pickled, it holds where the run lies, not what was read of it."""

    run: StoredRun | PlacedRun

    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "run": PlacedRun.of(self.run) if isinstance(self.run, StoredRun) else self.run}

    def opened(self) -> StoredRun:
        """The run as it is now."""
        if isinstance(self.run, StoredRun):
            return self.run
        run = dataset_of(self.run.data_path, self.run.files_path).run_at(self.run.listed)
        run.problems = self.run.problems or run.problems
        return run

    def stored(self) -> StoredRun:
        """The run as the job found it. Raises DatasetError or SinkError if it is no longer there, or it
        changed since."""
        run = self.opened()
        if isinstance(self.run, StoredRun):
            run.check_unchanged()
            return run
        run.check_unchanged(self.run.fingerprint)
        # What the listing showed is no change.
        was_incomplete = self.run.problems or run.listed.is_pending or run.cut_short
        if run.key != self.run.key or not (was_incomplete or run.complete):
            raise SinkError("its parts have changed since the job began: run it again")
        return run

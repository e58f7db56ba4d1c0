"""The results of an export, project by project."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone

from neptune_exporter.contract import (
    AttributeFailure,
    NeptuneExporterError,
    QueryError,
    RunSelection,
    SourceError,
    UnknownProjectError,
    UsageError,
)
from neptune_exporter.dataset import Recovery
from neptune_exporter.jobs.estimating import Estimate
from neptune_exporter.jobs.failing import why_failed
from neptune_exporter.jobs.not_found import query_option
from neptune_exporter.jobs.planning import PlannedRun
from neptune_exporter.suggestions import did_you_mean


@dataclass
class ProjectResult:
    """The result of one project."""

    project_id: str
    listed: int = 0
    exported: int = 0
    up_to_date: int = 0
    failed_runs: int = 0
    empty: int = 0
    """Runs without any of the attributes that were requested by path. They are not written."""
    unknown: bool = False
    """A person named the project, and it does not exist."""
    why_unknown: str | None = None
    """What the source says of that, if it says more."""
    error: str | None = None
    failed_at: datetime | None = None
    """When `error` happened."""

    def fail(self, error: Exception, asked: RunSelection) -> str:
        """Note that the project's runs cannot be listed or read any further: one project must not cost the
        others. Returns the message for the report. Raises the error itself if it ends the job."""
        if isinstance(error, QueryError):
            raise UsageError(f"{query_option(asked)}: {error}") from error
        if isinstance(error, (NeptuneExporterError, ImportError)) and not isinstance(error, SourceError):
            raise error
        if isinstance(error, UnknownProjectError):
            self.why_unknown = str(error)
        self.error, self.failed_at = why_failed(self.project_id, error), datetime.now(timezone.utc)
        return self.error


@dataclass
class Written:
    """What of some runs was written, and what was not."""

    rows: int = 0
    files: int = 0
    file_bytes: int = 0
    failures: list[AttributeFailure] = field(default_factory=list)
    missing: list[AttributeFailure] = field(default_factory=list)
    """What this export was asked for, earlier exports could not read, and nothing has read since."""

    def count(self, other: Written) -> None:
        """Add what was written of other runs."""
        self.rows += other.rows
        self.files += other.files
        self.file_bytes += other.file_bytes
        self.failures.extend(other.failures)
        self.missing.extend(other.missing)


@dataclass
class ExportResult(Written):
    """The result of an export."""

    projects: list[ProjectResult] = field(default_factory=list)
    refused: int = 0
    """How many of the failures are refused runs. The next export would refuse them too."""
    partial: bool = False
    """The source may have only parts of runs: reading a run again by force may remove points."""
    unknown_ids: list[str] = field(default_factory=list)
    """Ids that a person named and no run has. Empty if listing failed, because then it is unknown."""
    near_unknown: str = ""
    """What a person may have meant by an unknown id, if there is only one."""
    not_found: list[str] = field(default_factory=list)
    """A line for each project, run or attribute that a person named and that does not exist."""
    nothing_found: bool = False
    """Nothing that a person named exists, so there is nothing else to report."""
    planned: list[PlannedRun] = field(default_factory=list)
    estimate: Estimate | None = None
    """For a dry run: what reading the planned runs takes."""
    recovered: Recovery = Recovery((), ())
    """What an interrupted export left unfinished and this export recovered first."""

    @property
    def complete(self) -> bool:
        """Whether nothing that was requested is missing."""
        return not (self.failed or self.missing or self.unknown_ids or self.not_found)

    @property
    def failed(self) -> bool:
        """Whether anything failed in this export."""
        return bool(self.failures) or any(p.error is not None or p.failed_runs for p in self.projects)

    @property
    def mendable(self) -> bool:
        """Whether the same export, run again, would retry anything that failed now."""
        failures = sum(not failure.permanent for failure in self.failures)
        return failures > self.refused or any(p.error is not None for p in self.projects)

    def refuse(self, project: ProjectResult, why: AttributeFailure) -> None:
        """Note a run that this export refuses to read."""
        project.failed_runs += 1
        self.failures.append(why)
        self.refused += 1

    def note_unknown(self, runs: RunSelection, listed: set[str]) -> None:
        """Note the ids that no run has, but only if no other option may have left their runs out."""
        limited = runs.query or runs.modified_since or runs.modified_until
        if not limited and all(p.error is None for p in self.projects):
            self.unknown_ids = sorted(runs.named - listed)
            self.near_unknown = (
                did_you_mean(self.unknown_ids[0], listed) if len(self.unknown_ids) == 1 else ""
            )

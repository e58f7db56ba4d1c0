"""A reporter gets read-only records of what a dataset holds, and writes a report of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TextIO

from neptune_exporter.contract.run import ExportedRun, TypeCount
from neptune_exporter.model import AttributeType, RunKey


@dataclass(frozen=True)
class StepStatistics:
    """Steps of the series of a run. None where no series has a step.

    Examples:
        >>> steps = StepStatistics(minimum=0.0, maximum=99.0, count=100)
        >>> f"{steps.count} steps, {steps.minimum:g} to {steps.maximum:g}"
        '100 steps, 0 to 99'
    """

    minimum: float | None = None
    maximum: float | None = None
    count: int = 0
    """How many steps the longest series has. Of another tool's export: how many points."""
    whole: bool = False
    """Whether every step is known to be a whole number."""

    @property
    def whole_range(self) -> tuple[float, float] | None:
        """The lowest and the highest step if all are known to be whole, else None."""
        if not self.whole or self.minimum is None or self.maximum is None:
            return None
        return self.minimum, self.maximum


@dataclass(frozen=True)
class RunSummary:
    """What one run holds.

    Examples:
        >>> first = summary.projects[0].runs[0]
        >>> print(first.key, first.state, first.types[AttributeType.FLOAT_SERIES].rows)
        acme/vision:RUN-1 complete 3
    """

    key: RunKey
    state: str
    """`complete`, `partial` (some attributes failed), `damaged`, or `incomplete` (it was not published to the
    end, or another tool did not finish exporting it)."""
    types: Mapping[AttributeType, TypeCount]
    steps: StepStatistics
    first_time: datetime | None
    last_time: datetime | None
    data_bytes: int
    """Bytes of its parts on disk."""
    file_bytes: int
    """Bytes of its files on disk."""
    files: int
    exported_at: datetime | None = None
    source: str | None = None
    failures: int = 0
    name: str | None = None
    """`sys/name`, None if the run has none."""
    tags: Sequence[str] = ()
    problems: Sequence[str] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class ProjectSummary:
    """The runs, models and model versions of one project.

    Examples:
        >>> for project in summary.projects:
        ...     print(project.project_id, len(project.runs))
        acme/vision 2
    """

    project_id: str
    runs: Sequence[RunSummary]


@dataclass(frozen=True)
class DatasetSummary:
    """What a dataset holds.

    Examples:
        >>> sum(run.failures for run in summary.runs)
        0
    """

    data_path: str
    files_path: str
    projects: Sequence[ProjectSummary]
    problems: Sequence[str] = ()
    """Of the dataset as a whole: unreadable folders, leftovers."""
    not_read: int = 0
    """Parquet files among the parts that are none: `problems` names them."""
    without_checksums: int = 0
    """Number of runs that have parts or files of another tool without checksums, so that changed bytes go
    unnoticed."""
    show_all: bool = False
    """List every problem, instead of one line for all problems of a kind."""
    format_version: int = field(default=1)

    @property
    def runs(self) -> list[RunSummary]:
        """Those of all projects."""
        return [run for project in self.projects for run in project.runs]


class Reporter(ABC):
    """Writes a summary. Made by the factory of its `ReporterSpec`.

    Examples:
        >>> import sys
        >>> class NamesReporter(Reporter):
        ...     def write(self, summary, open_run, out):
        ...         for project in summary.projects:
        ...             for run in project.runs:
        ...                 print(run.key, run.name, file=out)
        >>> NamesReporter().write(summary, dataset.run, sys.stdout)  # `summary --reporter names` does this
        acme/vision:RUN-1 baseline
        acme/vision:RUN-2 smaller rate
    """

    @abstractmethod
    def write(self, summary: DatasetSummary, open_run: Callable[[RunKey], ExportedRun], out: TextIO) -> None:
        """Write the report to `out`; `open_run` gives single runs where series are wanted."""

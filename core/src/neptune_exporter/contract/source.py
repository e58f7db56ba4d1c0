"""A source lists projects and runs, and reads groups of runs as Arrow batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from neptune_exporter.contract.failures import AttributeFailure
from neptune_exporter.contract.files import FileWriter
from neptune_exporter.contract.selection import AttributeRequest, RunSelection
from neptune_exporter.model import RunKey

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")


@dataclass(frozen=True)
class SourceRun:
    """A run as the source lists it, before its attributes are read.

    Examples:
        >>> SourceRun(RunKey("acme/vision", "RUN-1"), handle="logs/RUN-1.csv").modified_at is None
        True
    """

    key: RunKey
    modified_at: datetime | None = None
    """Aware. An export is up to date if its receipt has exactly this time. None: unknown."""
    name: str | None = None
    archived: bool = False
    handle: str = ""
    """The source's own way to find the run again (a uuid, a folder). Opaque to core."""
    size_hint: int = 0
    """Roughly how many rows it holds, 0 if unknown: for the estimate of `--dry-run`, never to decide."""
    requests_hint: int | None = None
    """Roughly how many requests to a server reading it takes: 0 for what is on a disk, None if unknown."""
    notes: tuple[str, ...] = ()
    """What a person must know about this run, kept in the receipt ("only what was not yet sent")."""
    url: str = ""
    """Address of its page, kept in the receipt for people who still have the server. Empty without a page."""
    identity: str = ""
    """What distinguishes it from another run that has or had the same key, kept in the receipt (`sys/id` in
    Neptune 3.x). Empty where the key alone does that."""
    partial: bool = False
    """It may be only a part of the run, such as the unsent rest in a `.neptune` folder. It and an export from
    another source never replace each other; to an export from the same source it is added."""
    logs: tuple[tuple[str, int], ...] = ()
    """If it is partial: the logs that it is read from, by name, and how far each goes (bytes, records). A log
    keeps its name when it is copied, moved or grows. So core does not
    read a copy or an older state of an exported log again, and drops the failures of an earlier export when a
    later one has all of its logs and more."""


@dataclass(frozen=True)
class RunSize:
    """Roughly what reading a run takes.

    Examples:
        >>> RunSize(rows=12_000, requests=3)  # from `Source.sizes`, for the estimate of `export --dry-run`
        RunSize(rows=12000, requests=3)
    """

    rows: int
    requests: int
    """To the server."""


@dataclass(frozen=True)
class RunRequest:
    """One run and what to read of it.

    Examples:
        >>> wanted = AttributeRequest(AttributeSelection(names=("train/loss",)))
        >>> request = RunRequest(SourceRun(run.key), wanted)
        >>> request.attributes.includes("train/loss", AttributeType.FLOAT_SERIES)
        True
    """

    run: SourceRun
    attributes: AttributeRequest
    memory: str = ""
    """The `RunDone.memory` of the last export of this run by this source. Empty if there is none."""
    replaces: bool = False
    """By force: of these attributes, the rows that the dataset has go, so new rows need not match them."""


@dataclass(frozen=True)
class RunRows:
    """Rows of one run: any of the columns of `FULL_SCHEMA`, missing ones are null.

    `project_id` and `run_id` may be left out; the writer knows them. Deliver rows
    ordered by attribute and then step where that costs nothing: parts get larger.

    Examples:
        >>> columns = {**step_columns(pa.array([0.0, 1.0])), "float_value": pa.array([0.9, 0.5])}
        >>> rows = RunRows(run.key, attribute_batch("train/loss", AttributeType.FLOAT_SERIES, columns))
        >>> rows.batch.num_rows
        2
    """

    run: RunKey
    batch: pa.RecordBatch


@dataclass(frozen=True)
class RunDone:
    """Everything requested of this run was delivered or reported as a failure: core can publish it now.

    A run without a `RunDone` is published when `read` ends without an error.

    Examples:
        >>> RunDone(run.key, notes=("2 points had no time",)).notes
        ('2 points had no time',)
        >>> done = RunDone(run.key, memory="read up to record 4711")
        >>> RunRequest(SourceRun(run.key), AttributeRequest(), memory=done.memory).memory  # the next export
        'read up to record 4711'
    """

    run: RunKey
    notes: tuple[str, ...] = ()
    """Found while reading; kept in the receipt after those of the `SourceRun`."""
    memory: str = ""
    """What the source needs at the next export of this run, to give the same rows again after the place that
    it reads from has changed. Core keeps it in the receipt, does not look into it, and gives it back as
    `RunRequest.memory`. Empty: the receipt keeps what it had. Keep it small (kilobytes): every command that
    looks at the run reads it. It must not hold a secret."""
    ended: tuple[str, ...] = ()
    """Messages of failures of the whole run that earlier exports reported, and whose cause has ended or is
    reported again now. Core removes those that can end by what is read now."""


ReadEvent: TypeAlias = "RunRows | AttributeFailure | RunDone"


class Source(ABC):
    """Reads runs. Made by the factory of its `SourceSpec`; heavy imports happen there.

    Unless `SourceCapabilities.max_workers` is 1, `read` is called from several
    threads at once for different groups.

    Examples:
        >>> class OneValueSource(Source):
        ...     version = "one-value 1.0"
        ...     def projects(self):
        ...         return ["acme/vision"]
        ...     def runs(self, project_id, selection):
        ...         yield SourceRun(RunKey(project_id, "RUN-1"))
        ...     def read(self, group, files):
        ...         for request in group:
        ...             key = request.run.key
        ...             yield RunRows(key, parameter_batch([("lr", AttributeType.FLOAT, 0.1)]))
        ...             yield RunDone(key)
        >>> source = OneValueSource()
        >>> [found.key.run_id for found in source.runs("acme/vision", RunSelection())]
        ['RUN-1']
    """

    @property
    @abstractmethod
    def version(self) -> str:
        """Name and version of what does the reading, for the receipt: `neptune-query 1.14.1`."""

    @abstractmethod
    def projects(self) -> Sequence[str]:
        """Project ids that can be read, sorted. For sources that can discover them.

        Raises:
            AuthenticationError: the credentials were refused.
            SourceError: listing failed, or this source cannot discover projects.
        """

    @abstractmethod
    def runs(self, project_id: str, selection: RunSelection) -> Iterator[SourceRun]:
        """Every run of a project that the selection takes, each once, lazily.

        Raises:
            AuthenticationError: the credentials were refused.
            SourceError: the project does not exist or cannot be listed.
        """

    def sizes(self, runs: Sequence[SourceRun]) -> Sequence[RunSize]:
        """Look into these runs, and estimate for each what reading the whole of it takes. Only `--dry-run`
        calls this, for a few runs whose `size_hint` or `requests_hint` is unknown. Default: no estimates.

        Raises:
            AuthenticationError: the credentials were refused.
            SourceError: they cannot be looked at.
        """
        return ()

    def groups(self, requests: Iterable[RunRequest]) -> Iterator[Sequence[RunRequest]]:
        """Split the work into groups that are read together. Default: one run each."""
        return chunked(requests, 1)

    @abstractmethod
    def read(self, group: Sequence[RunRequest], files: FileWriter) -> Iterator[ReadEvent]:
        """Read a group of runs of one project.

        A failure of one attribute is yielded as an `AttributeFailure`; what concerns one run as a whole as an
        `AttributeFailure` without a path. Memory must not grow with the size of a run.

        Raises:
            AuthenticationError: the credentials were refused.
            UnreadError: some runs cannot be read, each with its reason; all others are done.
            SourceError: nothing more of this group can be read. Core then reads the runs that are not done
                one by one, unless it is an AwayError. A run that fails again stays unpublished until the
                next export.
        """

    def close(self) -> None:  # noqa: B027 - optional
        """Release connections and temporary files."""


def chunked(items: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    """Consecutive groups of at most `size` items: requests, as for `Source.groups`, or anything else.

    Examples:
        >>> list(chunked(["RUN-1", "RUN-2", "RUN-3"], 2))
        [['RUN-1', 'RUN-2'], ['RUN-3']]
    """
    remaining = iter(items)
    while group := list(islice(remaining, size)):
        yield group

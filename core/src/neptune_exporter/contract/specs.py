"""What a plugin's hooks return: typed records that name what a plugin has and know how to make it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from neptune_exporter.contract.settings import NoSettings
from neptune_exporter.model import ALL_CLASSES, AttributeClass

if TYPE_CHECKING:
    import click

    from neptune_exporter.contract.reporter import Reporter
    from neptune_exporter.contract.run import ExportedRun
    from neptune_exporter.contract.sink import LoadOptions, Sink
    from neptune_exporter.contract.source import Source

API_VERSION = 1
"""The version of this contract. It rises when something is removed, and stays when something is added."""


@dataclass(frozen=True)
class SourceCapabilities:
    """What a source can do. Requesting anything else is a usage error.

    Examples:
        >>> able = SourceCapabilities(discovers_projects=True, needs_project=False, max_workers=4)
        >>> able.runs_query  # so `export --runs-query` is refused with a usage error
        False
    """

    discovers_projects: bool = False
    archived_runs: bool = False
    metric_previews: bool = False
    runs_query: bool = False
    models: bool = False
    modification_times: bool = False
    """The source knows when a run changed, so that unchanged runs are not read again."""
    needs_project: bool = True
    """The user must name a project with `-p`. If False, the default is every project of `projects()`."""
    max_workers: int | None = None
    """How many threads may read at once; None leaves it to the user."""
    classes: frozenset[AttributeClass] = ALL_CLASSES


class EqualPoints(str, Enum):
    """What a target does with several points of a series at the same step.

    Examples:
        >>> holds = SinkCapabilities(equal_points=EqualPoints.NEWEST)  # the target has one value a step
        >>> holds.equal_points.value
        'newest'
    """

    KEPT = "kept"
    """It keeps all of them."""
    MERGED = "merged"
    """It keeps one of those that have the same time and value too."""
    NEWEST = "newest"
    """It keeps only the one with the latest time."""


@dataclass(frozen=True)
class SinkCapabilities:
    """What the target can hold. The conformance kit checks a loader against it.

    What is True here must arrive exactly. What is False must be reported as a `Loss`, with a count.

    Examples:
        >>> holds = SinkCapabilities(lowest_step=0, nan=False, histograms=False, verifies=True)
        >>> holds.infinities  # so every infinity must arrive, while each NaN may be a counted `Loss`
        True
    """

    fractional_steps: bool = True
    """Steps arrive exactly, or all multiplied by one number that is recorded with the run, as far as
    `highest_step` leaves room for that."""
    lowest_step: int | None = None
    """None: there is no bound. 0: the target has no negative steps."""
    highest_step: int | None = None
    """The bound holds for steps in the target, after they were multiplied. None: there is no bound."""
    equal_points: EqualPoints = EqualPoints.KEPT
    nan: bool = True
    """Of float series."""
    infinities: bool = True
    """Of float series."""
    signed_zeros: bool = True
    """-0.0 stays distinct from 0.0."""
    largest_integer: int = 2**63 - 1
    """Integer parameters above this, or below its negative, arrive as text or are a `Loss`."""
    earliest_time: int | None = None
    """The earliest time of a point, in ms since 1970. None: there is no bound."""
    timestamps: bool = True
    string_series: bool = True
    histograms: bool = True
    """They arrive exactly, with any edges and values."""
    files: bool = True
    forks: bool = True
    models: bool = True
    resumable: bool = True
    """After a load was killed, the next one completes it, and nothing is in the target twice."""
    verifies: bool = False
    max_workers: int | None = None


@dataclass(frozen=True)
class SourceSpec:
    """A source exporter. `factory` gets an instance of `settings`.

    Examples:
        >>> def make_source(settings):
        ...     from acme_exporter.source import AcmeSource  # imports the SDK only when the source is used
        ...     return AcmeSource(settings)
        >>> spec = SourceSpec("acme", "runs of an Acme server", make_source)
        >>> spec.capabilities.needs_project
        True
    """

    name: str
    """What `--exporter` takes."""
    summary: str
    """One line for the help."""
    factory: Callable[[Any], Source]
    settings: type = NoSettings
    capabilities: SourceCapabilities = SourceCapabilities()
    api_version: int = API_VERSION


@dataclass(frozen=True)
class SinkSpec:
    """A loader. `factory` gets an instance of `settings` and the `LoadOptions`.

    Examples:
        >>> def make_sink(settings, options):
        ...     from acme_exporter.loader import AcmeLoader  # imports the SDK only when the loader is used
        ...     return AcmeLoader(settings, options)
        >>> spec = SinkSpec("acme", "an Acme server", make_sink, capabilities=SinkCapabilities(lowest_step=0))
        >>> spec.divided is None  # so one process loads, in threads
        True
    """

    name: str
    """What `--loader` takes."""
    summary: str
    factory: Callable[[Any, LoadOptions], Sink]
    settings: type = NoSettings
    capabilities: SinkCapabilities = SinkCapabilities()
    api_version: int = API_VERSION
    divided: Callable[[Any, int], Any] | None = None
    """Takes the settings and a number of processes, and returns the settings of each process, so that all
    together burden the target no more than one alone. Raises UsageError if that is impossible. None: the
    loader runs in threads only."""
    requests: Callable[[Any, ExportedRun], int | None] | None = None
    """Takes the settings and a run, and estimates from the run's counts how many requests its load makes, for
    `load --dry-run`. None, also as the result: that is unknown."""


@dataclass(frozen=True)
class ReporterSpec:
    """A reporter. `factory` gets an instance of `settings`.

    Examples:
        >>> def make_reporter(settings):
        ...     from acme_exporter.names import NamesReporter
        ...     return NamesReporter()
        >>> ReporterSpec("names", "Each run with its state.", make_reporter).settings is NoSettings
        True
    """

    name: str
    """What `--reporter` takes."""
    summary: str
    factory: Callable[[Any], Reporter]
    settings: type = NoSettings
    api_version: int = API_VERSION


@dataclass(frozen=True)
class CommandSpec:
    """A command that looks at a dataset. `factory` makes it when it is called or its help is shown.

    Core adds the options `--data-path` and `--files-path`, checks them, and calls the callback with
    the argument `dataset`, a `DatasetView`, beside those of the command's own options. A
    `UsageError` or `DatasetError` that it raises is shown in one line; what it returns is the exit code.

    Examples:
        >>> import click
        >>> @click.command(help="Count the runs.")
        ... def count(dataset: DatasetView) -> int:
        ...     click.echo(sum(1 for run in dataset.runs()))
        ...     return 0
        >>> spec = CommandSpec("count", "Count the runs.", lambda: count)
        >>> spec.factory().callback(dataset=dataset)  # `neptune-exporter count` does this
        2
        0
    """

    name: str
    """What is typed after `neptune-exporter`."""
    summary: str
    """One line for the help."""
    factory: Callable[[], click.Command]
    settings: type = NoSettings
    """Always `NoSettings`: the command has options of its own."""
    api_version: int = API_VERSION

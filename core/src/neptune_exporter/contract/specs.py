"""What a plugin's hooks return: typed records that say what there is, and how to make it."""

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
    from neptune_exporter.contract.sink import LoadOptions, Sink
    from neptune_exporter.contract.source import Source

API_VERSION = 1
"""The version of this contract. Adding to it keeps the number; taking away raises it."""


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
    """Knows when a run changed: unchanged runs are not read again."""
    needs_project: bool = True
    """`-p` must be given; otherwise all that `projects()` finds is read."""
    max_workers: int | None = None
    """How many threads may read at once; None leaves it to the user."""
    classes: frozenset[AttributeClass] = ALL_CLASSES


class EqualPoints(str, Enum):
    """What becomes of several points of a series at one step.

    Examples:
        >>> holds = SinkCapabilities(equal_points=EqualPoints.NEWEST)  # the target has one value a step
        >>> holds.equal_points.value
        'newest'
    """

    KEPT = "kept"
    """All stay."""
    MERGED = "merged"
    """Of points with the same step, time and value one stays."""
    NEWEST = "newest"
    """Of each step only the point with the latest time stays."""


@dataclass(frozen=True)
class SinkCapabilities:
    """What the target can hold, and so what the conformance kit demands back.

    What is False here must come back as a `Loss`, counted; what is True must arrive exactly.

    Examples:
        >>> holds = SinkCapabilities(lowest_step=0, nan=False, histograms=False, verifies=True)
        >>> holds.infinities  # so every infinity must arrive, while each NaN may be a counted `Loss`
        True
    """

    fractional_steps: bool = True
    """Steps arrive exactly, or all by one multiplier that is recorded with the run, as far as
    `highest_step` leaves room for it."""
    lowest_step: int | None = None
    """None: there is no bound. 0: the target has no negative steps."""
    highest_step: int | None = None
    """Of steps as the target holds them, which is after they were multiplied."""
    equal_points: EqualPoints = EqualPoints.KEPT
    nan: bool = True
    """Of float series."""
    infinities: bool = True
    """Of float series."""
    signed_zeros: bool = True
    """-0.0 stays distinct from 0.0."""
    largest_integer: int = 2**63 - 1
    """Parameters that are larger, or smaller than its negative, come as text or are lost."""
    earliest_time: int | None = None
    """ms since 1970, of points. None: there is no bound."""
    timestamps: bool = True
    string_series: bool = True
    histograms: bool = True
    """Exactly, with any edges and values."""
    files: bool = True
    forks: bool = True
    models: bool = True
    resumable: bool = True
    """A load that was killed can be run again and nothing is there twice."""
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
    """Gives the settings of each process if this many load side by side, so that together they put no more
    load on the target than one alone. Raises UsageError if that is impossible. None: threads only."""


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
    the argument `dataset`, a `DatasetView`, beside those of the command's own options. What it raises as
    `UsageError` or `DatasetError` is shown in one line; what it returns is the exit code.

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

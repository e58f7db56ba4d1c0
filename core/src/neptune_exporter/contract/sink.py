"""A sink takes runs of a dataset, parents first, and reports what it could not hold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from pathlib import Path

from neptune_exporter.contract.failures import Loss
from neptune_exporter.contract.run import ExportedRun
from neptune_exporter.model import RunKey


@dataclass(frozen=True)
class LoadOptions:
    """Options that every loader takes.

    Examples:
        >>> options = LoadOptions(name_prefix="neptune/", step_multiplier=Decimal(100))
        >>> options.name_prefix + "baseline", Decimal("0.25") * options.step_multiplier
        ('neptune/baseline', Decimal('25.00'))
    """

    name_prefix: str = ""
    """Put before the name of every run in the target."""
    step_multiplier: Decimal | None = None
    """For targets with whole steps: multiply by this, exactly. None: the sink finds one."""
    state_folder: Path = Path()
    """Where a loader keeps what it needs to continue an interrupted load, unless its settings name a folder.
    All workers of a load can write to it; on a cluster it lies in the dataset."""
    only_compares: bool = False
    """For `verify`: nothing is loaded."""


LOADED_COUNTS = frozenset(
    {
        "parameters",
        "points",
        "metrics",
        "texts",
        "string series entries",
        "log lines",
        "histograms",
        "tables",
        "files",
        "file bytes",
        "consolidated texts",
    }
)
"""The names of what a loader may count. They are fixed, so that counts of all loaders can be added up."""


@dataclass(frozen=True)
class LoadedRun:
    """The result of loading one run.

    Examples:
        >>> loaded = LoadedRun("42", "https://acme.example.com/runs/42", counts={"points": 3000, "files": 2})
        >>> loaded.counts.keys() <= LOADED_COUNTS
        True
    """

    target_id: str
    """The id of the run in the target."""
    url: str | None = None
    already_loaded: bool = False
    """An earlier load had finished the run; nothing was sent now."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """What was sent, by names of `LOADED_COUNTS`."""
    losses: Sequence[Loss] = ()
    sent: object = None
    """What `verify` needs in order not to read the run again when it is compared at the end of this load: a
    small value that can be pickled. `verify` gets it as `run.found`, unless the dataset has changed since."""


class Verdict(str, Enum):
    """One line of a comparison, in the manner of `rclone check`.

    Examples:
        >>> def verdict(expected: bytes, found: bytes | None) -> Verdict:
        ...     if found is None:
        ...         return Verdict.MISSING
        ...     return Verdict.EQUAL if found == expected else Verdict.DIFFERENT
        >>> verdict(b"0123", None).value
        '-'
    """

    EQUAL = "="
    MISSING = "-"
    """In the dataset, not in the target."""
    EXTRA = "+"
    """In the target, not in the dataset."""
    DIFFERENT = "*"
    UNKNOWN = "?"
    """The target offers no way to know."""
    LOST = "~"
    """Differs, and a declared `Loss` says why."""

    @property
    def is_mismatch(self) -> bool:
        """Whether the target does not hold the item as the dataset does."""
        return self in (Verdict.MISSING, Verdict.EXTRA, Verdict.DIFFERENT)


@dataclass(frozen=True)
class Comparison:
    """One item of a run compared between dataset and target.

    Examples:
        >>> item = Comparison(run.key, "points of train/loss", Verdict.DIFFERENT, "3", "2")
        >>> print(item.verdict.value, item.item, item.expected, item.found)
        * points of train/loss 3 2
    """

    run: RunKey
    item: str
    """An attribute path, or what is compared: `points of train/loss`."""
    verdict: Verdict
    expected: str = ""
    found: str = ""


class Sink(ABC):
    """Loads runs. Made by the factory of its `SinkSpec`; heavy imports happen there.

    Unless `SinkCapabilities.max_workers` is 1, `load` and `verify` are called from several
    threads at once for different runs; a parent has always been loaded before its children.

    Examples:
        >>> class PrintSink(Sink):
        ...     def load(self, run, parent):
        ...         for path, parameter in run.parameters().items():
        ...             print(path, parameter.value)
        ...         return LoadedRun(run.key.run_id, counts={"parameters": len(run.parameters())})
        >>> PrintSink().load(run, None).counts
        config/lr 0.1
        config/optimizer Adam
        sys/name baseline
        {'parameters': 3}
    """

    def prepare(self, project_id: str, runs: Sequence[ExportedRun]) -> Mapping[RunKey, object]:
        """Look at a project before its first run is loaded.

        Args:
            project_id: The project.
            runs: Those that will be loaded, then all others of the dataset, so that what is decided for a
                project does not depend on the selection. Some of the others may be damaged.

        Returns:
            What loading a run needs to know of the project, such as its step multiplier, run by run:
            small values that can be pickled. `load` gets it as `run.found`, which may be in another
            process, with another sink of the same settings.

        Raises:
            SinkError: the project cannot be loaded. Nothing has been sent.
        """
        return {}

    @abstractmethod
    def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
        """Load one run exactly once: complete what an interrupted load left, and do not repeat it.

        Args:
            run: The run.
            parent: The result of loading its fork parent; None if it has no parent or that was not loaded.

        Raises:
            AuthenticationError: the credentials were refused.
            SinkError: the run did not arrive as a whole.
        """

    def interrupt(self) -> None:  # noqa: B027 - optional
        """The job ends early: loads that are under way in other threads should fail soon.

        Called from the thread of the job. The next load continues from what they have sent.
        """

    def verify(self, run: ExportedRun, *, full: bool = False) -> Iterator[Comparison]:
        """Read the run back from the target and compare: counts, or every value with `full`.

        Raises:
            SinkError: this sink cannot read back, or the run is not there.
        """
        raise NotImplementedError

    def confirm(self, run: ExportedRun) -> None:  # noqa: B027 - optional
        """The comparison at the end of a load found no difference: a later load need not look again.

        Without this call, a load must not take the run for loaded before it has compared it.
        """

    def closing_report(self) -> Mapping[str, str | int]:
        """What to print at the end of a load, label by label (a rehearsal: what was created)."""
        return {}

    def close(self) -> None:  # noqa: B027 - optional
        """Release connections; end what was started."""

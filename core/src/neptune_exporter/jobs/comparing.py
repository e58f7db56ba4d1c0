"""Compares runs with what a target holds: several at once, because each waits mostly for the target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from neptune_exporter.contract import AuthenticationError, Comparison, LoadedRun, Verdict
from neptune_exporter.dataset import StoredRun
from neptune_exporter.jobs.failing import why_failed
from neptune_exporter.jobs.load_run import CompareUnit, compare_run, let_go
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.jobs.spreading import Spread
from neptune_exporter.model import AttributeClass, RunKey
from neptune_exporter.toolkit import look_ahead


@dataclass
class Comparisons:
    """Counts all items by verdict, and keeps those that a report lists: all but the equal ones.

    A load of 10,000 runs compares some hundred thousand items, of which nearly all are equal.

    Example:
        `comparisons.extend(sink.verify(run))`, then `comparisons.counts[Verdict.EQUAL]`
    """

    with_equal: bool = False
    """Keep the equal ones too, if a person asked to see them."""
    counts: Counter[Verdict] = field(default_factory=Counter)
    _kept: list[Comparison] = field(default_factory=list)

    def extend(self, found: Iterable[Comparison]) -> None:
        for comparison in found:
            self.counts[comparison.verdict] += 1
            if self.with_equal or comparison.verdict is not Verdict.EQUAL:
                self._kept.append(comparison)

    def __iter__(self) -> Iterator[Comparison]:
        """The items that are kept, in the order of arrival."""
        return iter(self._kept)

    def __bool__(self) -> bool:
        """Whether anything was compared."""
        return bool(self.counts)

    @property
    def mismatches(self) -> list[Comparison]:
        """The items that the target does not hold as the dataset does."""
        return [each for each in self._kept if each.verdict.is_mismatch]


def compare_runs(
    where: Spread,
    runs: Sequence[StoredRun],
    classes: frozenset[AttributeClass],
    found: Comparisons,
    progress: Progress,
    *,
    full: bool = False,
    loaded: Mapping[RunKey, LoadedRun] | None = None,
) -> list[tuple[RunKey, str]]:
    """Compare these classes of attributes of runs, in their order; with `full` every value, not only counts.
    `loaded`: the results of the load that this ends; the sink then notes which runs have arrived.

    The items go to `found`. The progress is in a stage that has begun; this ends it. Returns the runs that
    could not be compared, and why. Raises AuthenticationError if the credentials were refused.
    """
    failed: list[tuple[RunKey, str]] = []
    after_load, sent = loaded is not None, {key: each.sent for key, each in (loaded or {}).items()}
    units = (CompareUnit(run, where.opening, classes, full, after_load, sent.get(run.key)) for run in runs)
    results = look_ahead(where.executor, units, compare_run, where.executor.at_once)
    try:
        for run, (_, result) in zip(runs, results, strict=True):
            try:
                found.extend(result())
            except AuthenticationError:
                raise
            except Exception as error:  # noqa: BLE001 - one run must not cost the others
                failed.append((run.key, why_failed(run.key, error)))
            let_go(run)
            progress.advance(runs=1)
    finally:
        progress.finish()
    return failed

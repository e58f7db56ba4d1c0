"""Compares runs with what a target holds: several at once, because each waits mostly for the target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from neptune_exporter.contract import AuthenticationError, Comparison, Verdict
from neptune_exporter.dataset import StoredRun
from neptune_exporter.jobs.load_run import CompareUnit, compare_run
from neptune_exporter.jobs.spreading import Spread
from neptune_exporter.model import AttributeClass
from neptune_exporter.toolkit import look_ahead


def compare_runs(
    where: Spread, runs: Sequence[StoredRun], classes: frozenset[AttributeClass], *, full: bool = False
) -> Iterator[tuple[StoredRun, Sequence[Comparison] | Exception]]:
    """Yield the comparison of each run, or why it could not be compared, in the order of the runs.

    Args:
        classes: Only these classes of attributes.
        full: Compare every value, not only counts.

    Raises:
        AuthenticationError: the credentials were refused.
    """
    units = (CompareUnit(where.opening, run, classes, full) for run in runs)
    results = look_ahead(where.executor, units, compare_run, where.executor.at_once)
    for run, (_, result) in zip(runs, results, strict=True):
        try:
            yield run, result()
        except AuthenticationError:
            raise
        except Exception as error:  # noqa: BLE001 - one run must not cost the others
            yield run, error


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

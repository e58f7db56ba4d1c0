"""Compares runs with what a target holds: several at once, because each waits mostly for the target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from neptune_exporter.contract import AuthenticationError, Comparison
from neptune_exporter.jobs.executors import JobExecutor
from neptune_exporter.jobs.load_run import CompareUnit, compare_run
from neptune_exporter.toolkit import look_ahead


def compare_runs(
    executor: JobExecutor, units: Sequence[CompareUnit]
) -> Iterator[tuple[CompareUnit, Sequence[Comparison] | Exception]]:
    """Yield the comparison of each run, or why it could not be compared, in the order of the runs.

    Raises:
        AuthenticationError: the credentials were refused.
    """
    for unit, result in look_ahead(executor, units, compare_run, executor.at_once):
        try:
            yield unit, result()
        except AuthenticationError:
            raise
        except Exception as error:  # noqa: BLE001 - one run must not cost the others
            yield unit, error

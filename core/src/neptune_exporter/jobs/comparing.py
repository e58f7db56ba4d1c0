"""Comparing runs with what a target holds of them, several at once: each waits mostly for the target."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from neptune_exporter.contract import AuthenticationError, Comparison, Sink, SinkCapabilities
from neptune_exporter.dataset import StoredRun
from neptune_exporter.toolkit import look_ahead


def most_workers(asked: int, capabilities: SinkCapabilities) -> int:
    """How many runs at once: as many as were asked for, unless the sink allows fewer."""
    return max(1, min(asked, capabilities.max_workers or asked))


def compare_runs(
    sink: Sink, runs: Sequence[StoredRun], workers: int, compare: Callable[[StoredRun], Sequence[Comparison]]
) -> Iterator[tuple[StoredRun, Sequence[Comparison] | Exception]]:
    """What `compare` says of each run, or why it could not be compared, in the order of the runs.

    Raises:
        AuthenticationError: the credentials were refused.
        KeyboardInterrupt: comparisons that were under way have ended.
    """
    with ThreadPoolExecutor(workers) as executor:
        try:
            for run, result in look_ahead(executor, runs, compare, workers):
                try:
                    yield run, result()
                except AuthenticationError:
                    raise
                except Exception as error:  # noqa: BLE001 - one run must not cost the others
                    yield run, error
        except BaseException:
            sink.interrupt()
            executor.shutdown(wait=True, cancel_futures=True)
            raise

"""Runs by the name that they have in an address, opened once and kept while they are looked at."""

from __future__ import annotations

import threading
from collections import OrderedDict

from neptune_exporter.contract import DatasetError, DatasetView, RunView, UsageError
from neptune_exporter.model import RunKey, RunKind

_KEPT = 128
"""Runs that stay open: their parameters and the footers of their parts are in memory."""


def run_name(key: RunKey) -> str:
    """The run in an address: kind, project and id, which may hold any character but the first `:`.

    Example:
        >>> run_name(RunKey("acme/vision", "RUN-1"))
        'run:10:acme/vision:RUN-1'
    """
    return f"{key.kind}:{len(key.project_id)}:{key.project_id}:{key.run_id}"


def run_key(name: str) -> RunKey:
    """The inverse of `run_name`.

    Raises:
        UsageError: it is not such a name.
    """
    try:
        kind, length, rest = name.split(":", 2)
        project, run_id = rest[: int(length)], rest[int(length) + 1 :]
        return RunKey(project, run_id, RunKind(kind))
    except ValueError:
        raise UsageError(f"this address names no run: {name[:100]}") from None


class OpenRuns:
    """Opens runs; the most recent ones stay open until they change on disk."""

    def __init__(self, dataset: DatasetView) -> None:
        self.dataset = dataset
        self._open: OrderedDict[RunKey, RunView] = OrderedDict()
        self._guard = threading.Lock()

    def __getitem__(self, key: RunKey) -> RunView:
        """Raises DatasetError if there is no such run."""
        with self._guard:
            if key in self._open:
                self._open.move_to_end(key)
                return self._open[key]
        run = self.dataset.run(key)
        if run is None:
            raise DatasetError(f"the dataset has no run {key}")
        self.keep(run)
        return run

    def get(self, key: RunKey) -> RunView | None:
        """One run, None if it is not there."""
        try:
            return self[key]
        except DatasetError:
            return None

    def keep(self, run: RunView) -> None:
        """Have this run open: it was just read."""
        with self._guard:
            self._open[run.key] = run
            self._open.move_to_end(run.key)
            while len(self._open) > _KEPT:
                self._open.popitem(last=False)

    def forget(self, key: RunKey) -> None:
        """The run changed on disk."""
        with self._guard:
            self._open.pop(key, None)

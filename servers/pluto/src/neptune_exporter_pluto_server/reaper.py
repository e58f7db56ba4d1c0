"""The stale-run reaper (pluto-server `py/python/server.py`, `process_runs`).

It looks at RUNNING runs only. A run with a heartbeat is judged by the newer of
its heartbeat and its last metric; one without, by the time of its last visible
metric, or by `updatedAt` if it has none. Historical runs are stale at once.
"""

from __future__ import annotations

import threading

from neptune_exporter_pluto_server.runs import Run, change_status
from neptune_exporter_pluto_server.state import State

_TOO_OLD = 16384 * 86400.0  # such a time is taken for a broken one, and ignored


class Reaper:
    """Runs every `interval` seconds in a thread of its own; never, if None."""

    def __init__(self, state: State, interval: float | None) -> None:
        self._state = state
        self._interval = interval
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._interval is not None:
            self._thread = threading.Thread(target=self._loop, args=(self._interval,), daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def reap(self) -> list[int]:
        """One round; the ids of the runs that it failed."""
        state = self._state
        with state.runs.lock:
            stale = [run for run in state.runs.by_id.values() if not run.terminal and self._stale(run)]
            for run in stale:
                change_status(run, "FAILED", state.now(), source="stale-monitor")
            return [run.id for run in stale]

    def _stale(self, run: Run) -> bool:
        state, settings = self._state, self._state.settings
        metric = state.store.last_metric_time(state.key_of(run))
        if run.heartbeat is not None:
            if state.clock() - state.started < settings.heartbeat_grace:
                return False
            last = max(run.heartbeat, (metric or 0) / 1000)
            grace = settings.heartbeat_grace
        else:
            last = (run.updated_at if metric is None else metric) / 1000
            grace = settings.stale_grace
        return grace < state.clock() - last < _TOO_OLD

    def _loop(self, interval: float) -> None:
        while not self._stop.wait(interval):
            self.reap()

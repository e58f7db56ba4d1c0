"""What the parts of the local Pluto share: settings, keys, runs, data, clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from neptune_exporter_pluto_server.points import Key
from neptune_exporter_pluto_server.runs import Run, Runs
from neptune_exporter_pluto_server.shapes import internal_error, refused
from neptune_exporter_pluto_server.store import Store

ORGANIZATION = "rehearsal"
DEFAULT_KEY = "mlps_rehearsal"
KEY_PREFIXES = ("mlps_", "mlpi_")
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass
class Settings:
    """How the server behaves. May be changed while it runs, from Python or over
    `POST /rehearsal/settings`."""

    visibility_delay: float = 0.0
    """Seconds until an accepted row can be read (the real one takes about 6)."""
    presign_seconds: float = 3600.0
    """How long an upload URL is valid."""
    sign_content_type: bool = False
    """Uploads must carry the Content-Type that belongs to the announced fileType, or
    be refused with 403: older servers, which people host themselves, sign it."""
    quota_exceeded: bool = False
    """New runs are refused with 400 "Organization is at limit"."""
    key_requests: int | None = None
    """The key expires after this many further requests."""
    stale_grace: float = 1800.0
    """Seconds without a metric after which the reaper fails a run without heartbeats."""
    heartbeat_grace: float = 150.0
    """The same for a run that has sent heartbeats; also how long after the start
    such runs are left alone."""
    unindexed_configs: bool = False
    """Runs are not found by their config, as in the moment after it was written."""
    quoted_integers: bool = False
    """Steps and line numbers read back as strings, as from ClickHouse before 25.8."""


class Keys:
    """The api keys that are accepted."""

    def __init__(self, key: str | None, settings: Settings) -> None:
        self.accepted = set() if key is None else {key}
        self.any = key is None
        self.revoked: set[str] = set()
        self._settings = settings
        self._lock = threading.Lock()

    def problem(self, key: str) -> str | None:
        """Why a key is refused, in the words of the real services, or None."""
        with self._lock:
            left = self._settings.key_requests
            if left is not None:
                self._settings.key_requests = max(0, left - 1)
                if left <= 0:
                    return "API key has expired"
            if key in self.revoked:
                return "API key has been revoked"
            if key in self.accepted or (self.any and key.startswith(KEY_PREFIXES)):
                return None
            return "unknown"


@dataclass
class State:
    settings: Settings
    keys: Keys
    runs: Runs
    store: Store
    clock: Callable[[], float]
    url: str = ""
    started: float = field(default_factory=time.time)

    @classmethod
    def create(
        cls,
        settings: Settings,
        api_key: str | None,
        folder: Path | None,
        count_only: bool,
        clock: Callable[[], float],
    ) -> State:
        store = Store(folder, count_only, clock, lambda: settings.visibility_delay)
        return cls(settings, Keys(api_key, settings), Runs(), store, clock, started=clock())

    def now(self) -> int:
        """Epoch milliseconds."""
        return int(self.clock() * 1000)

    def key_of(self, run: Run) -> Key:
        return run.project.name, run.id

    def run(self, run_id: Any) -> Run:
        """The run of this id.

        Raises:
            ApiError: 404; 500 for a number with a fraction.
        """
        if not float(run_id).is_integer():
            raise internal_error()
        run = self.runs.by_id.get(int(run_id))
        if run is None:
            raise refused("Run not found", 404)
        return run


def iso_time(milliseconds: int) -> str:
    """A time of PostgreSQL as the API shows it."""
    moment = EPOCH + timedelta(milliseconds=milliseconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"

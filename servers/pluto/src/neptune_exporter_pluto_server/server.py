"""The local Pluto: one server on 127.0.0.1 in the place of the real four."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from neptune_exporter.testing.loopback import Fault, LoopbackServer, Request, Response
from neptune_exporter_pluto_server.api import Api
from neptune_exporter_pluto_server.faults import from_json
from neptune_exporter_pluto_server.files import Files, object_key
from neptune_exporter_pluto_server.ingest import Ingest
from neptune_exporter_pluto_server.keep import keep
from neptune_exporter_pluto_server.listing import run_record
from neptune_exporter_pluto_server.points import Key
from neptune_exporter_pluto_server.reading import Reading
from neptune_exporter_pluto_server.reaper import Reaper
from neptune_exporter_pluto_server.runs import Run
from neptune_exporter_pluto_server.state import DEFAULT_KEY, Settings, State

_CONTROL = "/rehearsal/"
_Server = TypeVar("_Server", bound="RehearsalServer")


class RehearsalServer(LoopbackServer):
    """A Pluto that keeps what it gets in memory and in a folder, as strict as the real one.

    Use as a context manager; `fail()` adds faults, `settings` can be changed at
    any time, `store` shows what arrived. Nothing listens beyond loopback.

    Args:
        port: 0 lets the system choose.
        api_key: the key that is accepted; None accepts every well-formed key.
        folder: where to keep runs, rows and files when the server stops; without
            one, a temporary folder is used and removed.
        count_only: check and count everything, keep no points, rows and files.
        reaper_interval: seconds between rounds of the stale-run reaper; None never runs it.
        clock: epoch seconds; tests move it instead of waiting.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        api_key: str | None = DEFAULT_KEY,
        folder: Path | None = None,
        count_only: bool = False,
        reaper_interval: float | None = 60.0,
        settings: Settings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(port)
        self.settings = settings or Settings()
        self.api_key = api_key
        self.state = State.create(self.settings, api_key, folder, count_only, clock)
        self.state.url = self.url
        self.store = self.state.store
        self.runs = self.state.runs
        self.keys = self.state.keys
        self._ingest = Ingest(self.state)
        self._reading = Reading(self.state)
        self._reaper = Reaper(self.state, reaper_interval)
        self._stopped = False
        for part in (Api(self.state), self._ingest, Files(self.state), self._reading):
            part.register(self)
        self.route("GET", "/rehearsal/stats", lambda request: Response.of_json(self.stats()))
        self.route("POST", "/rehearsal/faults", self._add_faults)
        self.route("POST", "/rehearsal/settings", self._change_settings)
        self.route("POST", "/rehearsal/reap", lambda request: Response.of_json({"failed": self.reap()}))

    # The four services

    @property
    def url_app(self) -> str:
        return self.url

    @property
    def url_api(self) -> str:
        return self.url

    @property
    def url_ingest(self) -> str:
        return self.url

    @property
    def url_py(self) -> str:
        return self.url

    def environment(self) -> dict[str, str]:
        """What the SDK must find in its environment to talk to this server and to nothing else."""
        return {
            "PLUTO_URL_APP": self.url_app,
            "PLUTO_URL_API": self.url_api,
            "PLUTO_URL_INGEST": self.url_ingest,
            "PLUTO_URL_PY": self.url_py,
            "PLUTO_API_KEY": self.api_key or DEFAULT_KEY,
            "PLUTO_DISABLE_TELEMETRY": "1",
        }

    # Looking inside

    def run(self, external_id: str, project: str | None = None) -> Run:
        """The run of this external id.

        Raises:
            KeyError: no run has it, or several in different projects do.
        """
        with self.runs.lock:
            found = [
                run
                for run in self.runs.by_id.values()
                if run.external_id == external_id and project in (None, run.project.name)
            ]
        if len(found) != 1:
            raise KeyError(f"{len(found)} runs with the external id {external_id!r}")
        return found[0]

    def key(self, run: Run | int) -> Key:
        """Where the store keeps a run's rows: (project, run id)."""
        return self.state.key_of(self.runs.by_id[run] if isinstance(run, int) else run)

    def file_bytes(self, run: Run | int, log_name: str, file_name: str) -> bytes:
        """The stored bytes of a file.

        Raises:
            KeyError: they never came.
        """
        blob = self.store.blobs.get(object_key(self.key(run), log_name, file_name))
        if blob is None:
            raise KeyError(f"{log_name}/{file_name}")
        return blob.path.read_bytes()

    def stats(self) -> dict[str, Any]:
        """What was accepted so far, visible or not. `orphan_points` belong to no run:
        wrong project or run id."""
        counts = self.store.counts
        with self.runs.lock:
            runs = list(self.runs.by_id.values())
            known = {self.state.key_of(run) for run in runs}
        statuses = [run.status for run in runs]
        points = self.store.points
        with self.lock:
            requests = len(self.requests)
        return {
            "runs": len(runs),
            "projects": len(self.runs.projects),
            "statuses": {status: statuses.count(status) for status in sorted(set(statuses))},
            "points": counts["points"],
            "orphan_points": sum(points.rows(key) for key in points.owners() if key not in known),
            "histograms": counts["histograms"],
            "tables": counts["tables"],
            "string_series_rows": counts["string_series_rows"],
            "other_data_rows": counts["other_data_rows"],
            "log_lines": counts["log_lines"],
            "file_rows": counts["file_rows"],
            "files": len(self.store.blobs.all()),
            "files_overwritten": self.store.blobs.overwritten,
            "file_bytes": sum(blob.size for blob in self.store.blobs.all()),
            "ingest_bytes": self._ingest.bytes_received,
            "bytes": self._ingest.bytes_received + self.store.blobs.bytes_received,
            "requests": requests,
        }

    def reap(self) -> list[int]:
        """One round of the stale-run reaper now; the ids of the runs that it failed."""
        return self._reaper.reap()

    # Life

    def start(self: _Server) -> _Server:
        super().start()
        self._reaper.start()
        return self

    def stop(self) -> None:
        super().stop()
        if not self._stopped:
            self._stopped = True
            self._reaper.stop()
            with self.runs.lock:
                runs = [run_record(run) for run in self.runs.by_id.values()]
            if self.store.folder is not None and not self.store.count_only:
                keep(self.store, self.store.folder, runs)
            self.store.close()

    # Faults and counts are for Pluto's routes, not for the controls

    def take_fault(self, request: Request) -> Fault | None:
        return None if request.path.startswith(_CONTROL) else super().take_fault(request)

    def record(self, request: Request, status: int) -> None:
        if not request.path.startswith(_CONTROL):
            super().record(request, status)

    def _add_faults(self, request: Request) -> Response:
        try:
            given = request.json()
            faults = [from_json(value) for value in (given if isinstance(given, list) else [given])]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return Response.of_json({"error": f"not a fault: {error}"}, 400)
        for fault in faults:
            self.fail(fault)
        return Response.of_json({"faults": len(self.faults)})

    def _change_settings(self, request: Request) -> Response:
        """Fields of `Settings`, `latency` in seconds, and `revoke`: the key is refused from now on."""
        try:
            given = dict(request.json())
        except (ValueError, TypeError) as error:
            return Response.of_json({"error": f"not an object: {error}"}, 400)
        if given.pop("revoke", False):
            self.keys.revoked.add(self.api_key or DEFAULT_KEY)
        self.latency = given.pop("latency", self.latency)
        names = {field.name for field in dataclasses.fields(Settings)}
        if not given.keys() <= names:
            return Response.of_json({"error": f"unknown settings: {sorted(given.keys() - names)}"}, 400)
        for name, value in given.items():
            setattr(self.settings, name, value)
        return Response.of_json(dataclasses.asdict(self.settings))

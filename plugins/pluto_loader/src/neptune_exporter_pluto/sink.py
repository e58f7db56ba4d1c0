"""The sink: what core asks of a loader, and who does it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from neptune_exporter.contract import Comparison, ExportedRun, LoadedRun, LoadOptions, Sink
from neptune_exporter.model import RunKey
from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter_pluto import verify
from neptune_exporter_pluto.loading import load
from neptune_exporter_pluto.service.api import PlutoApi
from neptune_exporter_pluto.service.credentials import find_api_key, find_endpoints
from neptune_exporter_pluto.service.storage import Storage
from neptune_exporter_pluto.service.transport import Transport
from neptune_exporter_pluto.settings import PlutoSettings
from neptune_exporter_pluto.state.cachefile import DEFAULT_NAME, check_list
from neptune_exporter_pluto.state.disk_errors import check_writable
from neptune_exporter_pluto.state.journal import FOLDER
from neptune_exporter_pluto.state.multipliers import find_multipliers
from neptune_exporter_pluto.state.open_run import opened
from neptune_exporter_pluto.state.session import Session


class PlutoSink(Sink):
    """Loads runs into Pluto and compares them with it. Thread-safe."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @classmethod
    def connected(cls, settings: PlutoSettings, options: LoadOptions, *, local: bool = False) -> PlutoSink:
        """Find the key and the addresses, and check both with Pluto.

        Args:
            local: The server is on this machine: no proxy is used.

        Raises:
            UsageError: no key, wrong addresses, or a folder for the state in which nothing can be written.
            AuthenticationError: Pluto refused the key.
            SinkError: Pluto cannot be reached.
        """
        endpoints = find_endpoints(settings)
        base_dir = settings.base_dir or options.state_folder
        check_writable("--pluto-base-dir", base_dir / FOLDER)
        check_list(settings.loaded_cache or base_dir / DEFAULT_NAME)
        transport = Transport(
            find_api_key(settings),
            connections=settings.connections,
            timeout=settings.timeout,
            retry_for=settings.retry_for,
            pool=settings.connections + settings.file_connections,
            local=local,
        )
        api = PlutoApi(transport, endpoints)
        try:
            account = api.organization()
        except BaseException:
            transport.close()
            raise
        return cls(
            Session(
                api,
                settings,
                options,
                account,
                ThreadPoolExecutor(settings.connections, "pluto-send"),
                ThreadPoolExecutor(settings.file_connections, "pluto-upload"),
                Storage(transport, settings.file_connections),
            )
        )

    def closing_report(self) -> Mapping[str, str | int]:
        count, path = self.session.with_other_options, self.session.cache.path
        if not count:
            return {}
        runs, lines = ("1 run stays", "its line") if count == 1 else (f"{count:,} runs stay", "their lines")
        return {
            "loaded earlier with other options": f"{runs} as loaded then; "
            f"to load again with these options, take {lines} out of {path}"
        }

    def close(self) -> None:
        self.session.senders.shutdown(cancel_futures=True)
        self.session.uploaders.shutdown(cancel_futures=True)
        self.session.api.transport.close()

    def prepare(self, project_id: str, runs: Sequence[ExportedRun]) -> Mapping[RunKey, object]:
        found = find_multipliers(self.session, project_id, runs)
        self.session.multipliers |= found
        return found

    def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
        if isinstance(run.found, Multiplier):  # `prepare` may have been called in another process
            self.session.multipliers[run.key] = run.found
        with opened(self.session, run, parent) as work, self.session.loading():
            return load(work)

    def interrupt(self) -> None:
        self.session.api.transport.interrupt()

    def verify(self, run: ExportedRun, *, full: bool = False) -> Iterator[Comparison]:
        with opened(self.session, run) as work:
            journal, equal = work.journal, True
            for comparison in verify.compare(work, journal.current, full=full):
                equal = equal and not comparison.verdict.is_mismatch
                yield comparison
            if journal.current is not None and journal.current.loaded is not None:
                journal.note("proven", equal=equal)
                if equal:
                    journal.compact()

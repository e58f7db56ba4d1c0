"""The loader: writes the folders of runs, finds them again, reads them back."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from neptune_exporter.contract import (
    Comparison,
    ExportedRun,
    LoadedRun,
    LoadOptions,
    ParameterValue,
    SinkError,
    Verdict,
)
from neptune_exporter.model import RunKey
from neptune_exporter.sinks.comparing import Held
from neptune_exporter.sinks.found import Found
from neptune_exporter.sinks.loader import Loader
from neptune_exporter.sinks.metadata import RunMetadata
from neptune_exporter.sinks.points import Points
from neptune_exporter.sinks.received import Entries, FileToSend, HistogramValue
from neptune_exporter.sinks.templates import filled
from neptune_exporter.toolkit import failpoint
from neptune_exporter_wandb.arrival import StoredRun
from neptune_exporter_wandb.folders import RunFolders, run_id_in
from neptune_exporter_wandb.formats import unknown_format
from neptune_exporter_wandb.inspecting import compare_inspected
from neptune_exporter_wandb.naming import ATTRIBUTES, FILES, project_of, run_id_of
from neptune_exporter_wandb.reading import DamagedRunError, RunReader
from neptune_exporter_wandb.records import Record, read
from neptune_exporter_wandb.sending import send
from neptune_exporter_wandb.server import Server
from neptune_exporter_wandb.settings import CAPABILITIES, WandbSettings
from neptune_exporter_wandb.writing import MESSAGES, RunStart, RunWriter

_log = logging.getLogger(__name__)


class WandbLoader(Loader):
    """Loads into run folders below `settings.path`."""

    capabilities = CAPABILITIES
    names = ATTRIBUTES
    file_names = FILES
    by_step = True
    messages = MESSAGES

    def __init__(
        self,
        settings: WandbSettings,
        options: LoadOptions,
        server: Server | None = None,
        entity: str = "",
    ) -> None:
        super().__init__(options)
        self._settings = settings
        self._folders = RunFolders(settings.path)
        self._fingerprints: dict[RunKey, str] = {}
        self._writers: dict[str, RunWriter] = {}
        self._server = server
        self._entity = settings.entity or entity
        self._links: dict[str, str] = {}
        self._has_runs = False
        self._inspected, self._is_said = threading.Event(), threading.Event()

    # --- the format

    def open_writer(self, folder: Path, start: RunStart) -> RunWriter:
        from neptune_exporter_wandb.record_output import RecordOutput  # only where its classes are known

        return RecordOutput(folder, start)

    def read_records(self, folder: Path, run_id: str) -> Iterator[Record]:
        return read(folder, run_id)

    # --- once

    def prepare(self, project_id: str, runs: Sequence[ExportedRun]) -> Mapping[RunKey, object]:
        self._has_runs = True
        return super().prepare(project_id, runs)

    def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
        self._fingerprints[run.key] = run.fingerprint
        try:
            loaded = super().load(run, parent)
        except OSError as error:
            if self._folders.has_lost(error.filename):
                raise SinkError(f"{run.key}: another load has begun it again and removed this one") from error
            error.filename = error.filename or str(self._folders.path)  # a full disk does not say where it is
            raise
        return loaded if self._server is None else self._send(run, loaded, self._server)

    def _send(self, run: ExportedRun, loaded: LoadedRun, server: Server) -> LoadedRun:
        """Send a run that is whole in its folder, unless the server has it as a whole."""
        run_id, folder = run_id_in(loaded.target_id), self._folders.folder(loaded.target_id)
        written = self._folders.written(loaded.target_id)
        look = partial(server.run, self._entity, project_of(self._settings, RunMetadata.of(run)), run_id)
        if not self._folders.is_unsent(run_id) and not written.lacking(found := look(), contents=False):
            self._say_what_is_unknown(found, server)
            return replace(loaded, already_loaded=True)
        self._folders.note_unsent(run_id)
        failpoint("wandb.before-sending")
        link = send(folder, run_id, self.check_interrupted, server.entity)
        self._say_what_is_unknown(written.wait(look, self.check_interrupted), server)
        self._folders.note_sent(run_id)
        if link is not None:
            self._links[loaded.target_id] = link
        return replace(loaded, url=link, already_loaded=False)

    def _say_what_is_unknown(self, found: StoredRun | None, server: Server) -> None:
        """Say once that the server lists no files."""
        if found is not None and found.files is None and not self._is_said.is_set():
            self._is_said.set()
            _log.warning(
                "files were sent; %s could not be asked whether it has them: it does not list files of runs "
                "to this key",
                server.url,
            )

    def url(self, target_id: str) -> str | None:
        return self._links.get(target_id)

    def find(self, mark: str) -> Sequence[Found]:
        return self._folders.find(mark)

    def discard(self, target_id: str) -> None:
        self._close(target_id)
        self._folders.discard(target_id)

    def _where(self, run: RunMetadata) -> tuple[str, str]:
        """Entity and project in W&B."""
        return self._settings.entity or "", project_of(self._settings, run)

    def _run_id(self, run: RunMetadata, fingerprint: str) -> str:
        return run_id_of(run, fingerprint, self._where(run))

    def _is_current(self, found: Found, run: ExportedRun, metadata: RunMetadata) -> bool:
        """Whether it also goes to where it is to go now."""
        here = run_id_in(found.target_id) == self._run_id(metadata, run.fingerprint)
        return here and super()._is_current(found, run, metadata)

    def _has_arrived(self, run: ExportedRun, found: Found) -> bool:
        """What was damaged in its folder is also sent again: the server may have it so."""
        arrived = super()._has_arrived(run, found)
        if not arrived:
            self._folders.note_unsent(run_id_in(found.target_id))
        return arrived

    def begin(self, run: RunMetadata) -> str:
        entity, project = self._where(run)
        run_id = self._run_id(run, self._fingerprints[run.key])
        group = filled(self._settings.group, run)
        target_id = self._folders.begin(run_id)
        start = RunStart(run, run_id, project, entity, group, self._multipliers[run.key])
        self._writers[target_id] = self.open_writer(self._folders.folder(target_id), start)
        return target_id

    # --- what a run has

    def parameters(self, target_id: str, values: Mapping[str, ParameterValue]) -> None:
        self._writers[target_id].parameters(values)

    def points(self, target_id: str, names: Sequence[str], points: Points) -> None:
        self._writers[target_id].points(names, points)

    def texts(self, target_id: str, entries: Entries[str]) -> None:
        self._writers[target_id].texts(entries)

    def histograms(self, target_id: str, entries: Entries[HistogramValue]) -> None:
        self._writers[target_id].histograms(entries)

    def file(self, target_id: str, file: FileToSend) -> None:
        self._writers[target_id].file(file)

    def own_losses(self, target_id: str) -> Mapping[str, int]:
        return self._writers[target_id].losses

    def finish(self, target_id: str, run: RunMetadata, record: str) -> None:
        writer = self._writers[target_id]
        writer.finish()
        self._close(target_id)
        self._folders.finish(target_id, run.created, record, writer.rows)

    def replace_record(self, target_id: str, record: str) -> None:
        self._folders.replace_record(target_id, record)

    def _close(self, target_id: str) -> None:
        writer = self._writers.pop(target_id, None)
        if writer is not None:
            writer.close()

    def verify(self, run: ExportedRun, *, full: bool = False) -> Iterator[Comparison]:
        """With `full`, wandb's own reader is also asked, of the first run only: it takes a second a run."""
        try:
            yield from super().verify(run, full=full)
            found = [f for f in self.find(RunMetadata.mark_of(run.key)) if f.record]
            if full and found and not self._inspected.is_set():
                self._inspected.set()
                target_id = found[0].target_id
                folder, rows = self._folders.folder(target_id), self._folders.rows(target_id)
                yield compare_inspected(run.key, folder, run_id_in(target_id), rows)
        except DamagedRunError as error:
            yield Comparison(run.key, "run", Verdict.DIFFERENT, "a folder as it was written", str(error))

    def read_back(self, target_id: str) -> Held:
        folder = self._folders.folder(target_id)
        return RunReader(folder, self.read_records(folder, run_id_in(target_id))).held()

    def closing_report(self) -> Mapping[str, str | int]:
        """Where the runs are. Only from the sink of the job, which prepares them: workers would repeat it."""
        folder = self._folders.path
        if not self._has_runs:
            return {}
        if self._server is not None:
            return {"sent to": self._server.url}
        return {"to send the runs": f"wandb sync {folder}{os.sep}offline-run-*"}

    def close(self) -> None:
        for target_id in list(self._writers):
            self._close(target_id)


def connected(settings: WandbSettings, options: LoadOptions) -> WandbLoader:
    """A loader, once W&B has answered if runs are sent there.

    Raises:
        UsageError: online, and there is no key; or wandb does not take its own settings.
        AuthenticationError: the server refused the key.
        SinkError: the server cannot be reached.
    """
    server = None if settings.mode == "offline" else Server.found()
    if server is not None and settings.mode is None and server.key is None:
        server = None
    entity = "" if server is None else server.entity()
    reason = unknown_format()
    if reason is None:
        return WandbLoader(settings, options, server, entity)
    from neptune_exporter_wandb.sdk_loader import SdkLoader

    return SdkLoader(reason, settings, options, server, entity)

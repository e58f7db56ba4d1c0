"""The sink: decides of each run whether it is loaded, gone on with or begun, and lets the load happen."""

from __future__ import annotations

import logging
import secrets
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any

from neptune_exporter.contract import Comparison, ExportedRun, LoadedRun, LoadOptions, Loss, Sink, SinkError
from neptune_exporter.model import RunKey
from neptune_exporter.sinks.files import RESTORABLE
from neptune_exporter.sinks.metadata import run_name
from neptune_exporter.sinks.names import NameBook, digest
from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter.sinks.survey import look_at_steps
from neptune_exporter.toolkit import failpoint
from neptune_exporter_pluto import lifecycle, metrics, verify
from neptune_exporter_pluto.api import PlutoApi
from neptune_exporter_pluto.cachefile import DEFAULT_NAME, cache_line, check_list
from neptune_exporter_pluto.creation import Creation, Elsewhere
from neptune_exporter_pluto.credentials import find_api_key, find_endpoints
from neptune_exporter_pluto.data_rows import ORDER
from neptune_exporter_pluto.disk_errors import check_writable, disk_errors
from neptune_exporter_pluto.file_tasks import file_tasks
from neptune_exporter_pluto.forks import native_fork, parent_replaced
from neptune_exporter_pluto.journal import Journal
from neptune_exporter_pluto.limits import EXACT_STEPS, NAME
from neptune_exporter_pluto.loading import Outcome, RunLoad, last_step_of, loss_record, told_losses
from neptune_exporter_pluto.losses import NOTHING_LACKS, LossBook, LossCode
from neptune_exporter_pluto.option_changes import OptionChanges
from neptune_exporter_pluto.ordered_ingest import StartAgainError
from neptune_exporter_pluto.pace import Pace
from neptune_exporter_pluto.progress import READING, Progress
from neptune_exporter_pluto.project import find_multipliers, recorded_multiplier
from neptune_exporter_pluto.run_metadata import collect, external_id
from neptune_exporter_pluto.session import ContentOptions, Session
from neptune_exporter_pluto.settings import PlutoSettings
from neptune_exporter_pluto.target import FOLDER, Target
from neptune_exporter_pluto.transport import Transport
from neptune_exporter_pluto.verify import MISMATCH

FAILPOINTS = (
    "pluto.run-created",
    "pluto.run-noted",
    "pluto.data-announced",
    "pluto.data-sent",
    "pluto.logs-announced",
    "pluto.logs-sent",
    "pluto.files-announced",
    "pluto.files-signed",
    "pluto.file-put",
    "pluto.metrics-announced",
    "pluto.metrics-sent",
    "pluto.data-complete",
    "pluto.run-finished",
    "pluto.run-told",
    "pluto.run-listed",
    "pluto.run-loaded",
)
"""Where a test can kill a load; a rerun after any of them gives what an uninterrupted load gives."""

_MOST_ATTEMPTS = 4
_log = logging.getLogger(__name__)


class PlutoSink(Sink):
    """Loads runs into Pluto and compares them with it. Thread-safe."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._option_changes = OptionChanges(ContentOptions.of(session), session.options.step_multiplier)

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
        check_writable("--pluto-base-dir", settings.base_dir / FOLDER)
        check_list(settings.loaded_cache or settings.base_dir / DEFAULT_NAME)
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
                Pace(settings.file_connections),
            )
        )

    @property
    def session(self) -> Session:
        return self._session

    def closing_report(self) -> Mapping[str, str | int]:
        return self._option_changes.report(self._session.cache.path)

    def close(self) -> None:
        self._session.senders.shutdown(cancel_futures=True)
        self._session.uploaders.shutdown(cancel_futures=True)
        self._session.api.transport.close()

    def prepare(self, project_id: str, runs: Sequence[ExportedRun]) -> None:
        self._session.multipliers |= find_multipliers(self._session, project_id, runs)

    def hand_over(self, run: RunKey) -> str:
        multiplier = self._session.multipliers.get(run)
        return "" if multiplier is None else f"{multiplier.numerator}/{multiplier.denominator}"

    def take_over(self, run: RunKey, found: str) -> None:
        if found:
            self._session.multipliers[run] = Multiplier(*map(int, found.split("/")))

    def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
        target = self._session.target(run.key.project_id)
        journal = Journal.of(self._session.settings.base_dir, target, run.key)
        with disk_errors(self._session.settings.base_dir), closing(journal.open()), self._session.loading():
            return self._load(run, parent, target, journal)

    def interrupt(self) -> None:
        self._session.api.transport.interrupt()

    def verify(self, run: ExportedRun, *, full: bool = False) -> Iterator[Comparison]:
        target = self._session.target(run.key.project_id)
        journal = Journal.of(self._session.settings.base_dir, target, run.key)
        with disk_errors(self._session.settings.base_dir), closing(journal.open()):
            equal = True
            for comparison in verify.compare(self._session, run, target, journal.current, journal, full=full):
                equal = equal and comparison.verdict not in MISMATCH
                yield comparison
            if journal.current is not None and journal.current.loaded is not None:
                journal.note_proven(equal)
                if equal:
                    journal.compact()

    # --- whether to load

    def _load(
        self, run: ExportedRun, parent: LoadedRun | None, target: Target, journal: Journal
    ) -> LoadedRun:
        line = cache_line(target.project, run_name(run))
        listed = line in self._session.cache
        now = journal.current
        if now is None and listed and self._session.owners.claim(line, target, str(run.key)):
            _log.warning("%s: taken for loaded because %s lists it", run.key, self._session.cache.path)
            return LoadedRun("", already_loaded=True)
        if now is not None and now.loaded is not None:
            if not listed:
                self._begin(run, target, journal, "it was taken out of the list of loaded runs")
            elif now.fingerprint != run.fingerprint:
                self._begin(run, target, journal, "its export has changed")
            elif self._parent_replaced(now, run, parent, target):
                self._begin(run, target, journal, "the run that it is forked off was loaded anew")
            elif self._is_there(run, target, journal, now):
                self._option_changes.look_at(now.loaded)
                return _told_before(run, now)
        elif now is None or not self._goes_on(now, run):
            self._begin(run, target, journal, "it was begun with other options or another export")
        elif self._parent_replaced(now, run, parent, target):
            self._begin(run, target, journal, "the run that it is forked off was loaded anew")
        for _ in range(_MOST_ATTEMPTS):
            try:
                outcome = self._into_pluto(run, parent, target, journal)
            except StartAgainError as error:
                _log.warning("%s: %s; it is loaded anew into another run", run.key, error)
                self._begin(run, target, journal, str(error))
                continue
            # The line first: a run that the journal calls loaded and no line names was taken out by someone.
            failpoint("pluto.run-told")
            self._session.owners.claim(line, target, str(run.key))
            self._session.cache.add(line)
            failpoint("pluto.run-listed")
            journal.note("loaded", result=outcome.record)
            failpoint("pluto.run-loaded")
            return outcome.loaded
        raise SinkError(
            f"{run.key}: {_MOST_ATTEMPTS} times the connection broke in a way that leaves open what Pluto "
            "has taken; the unfinished runs are tagged, load again when the connection is better"
        )

    def _multiplier(self, run: ExportedRun) -> Multiplier:
        if run.key not in self._session.multipliers:
            look_at_steps(
                run, EXACT_STEPS
            )  # raises what is wrong with a run that has none because it is damaged
            self.prepare(run.key.project_id, [run])
        return self._session.multipliers[run.key]

    def _is_there(self, run: ExportedRun, target: Target, journal: Journal, now: Progress) -> bool:
        """Whether a run that was sent whole is there: reading back has said so, or says so now.

        If only metrics are missing, they are sent again, which is harmless; for anything
        else the run is begun anew.
        """
        if now.proven and not self._has_files_again(run, now):
            return True
        wrong = self._damage(run, target, journal, now, LossBook(run.key))
        if not wrong:
            journal.note_proven(True)
            return True
        _log.warning("%s: Pluto does not show all of it; it is sent again: %s", run.key, wrong[0].item)
        same_options = not now.elsewhere and now.content == self._content(self._multiplier(run))
        if same_options and all(verify.is_repeatable(c) for c in wrong):
            journal.note("reopened")
        else:
            self._begin(run, target, journal, f"Pluto does not show it as it is: {wrong[0].item}")
        return False

    def _has_files_again(self, run: ExportedRun, now: Progress) -> bool:
        """Whether files that were missing or damaged when the run was loaded are there now."""
        assert now.loaded is not None
        told: Counter[tuple[str, str]] = Counter()
        for loss in now.loaded.get("losses", []):
            if loss["reason"] in RESTORABLE:
                told[loss["reason"], loss["attribute_path"]] += int(loss["count"])
        if not told:
            return False
        found = LossBook(run.key)
        most = ContentOptions.of_record(now.loaded["options"]).max_files_per_run
        only = None if most else {path for _, path in told}  # the cap counts files of all attributes
        batch_rows = self._session.settings.batch_rows
        tasks = file_tasks(run, NameBook(NAME), found, Multiplier(1, 1), 0, batch_rows, most, only=only)
        deque(tasks, maxlen=0)
        return any(found.count(LossCode(reason), path) < count for (reason, path), count in told.items())

    def _damage(
        self, run: ExportedRun, target: Target, journal: Journal, now: Progress, losses: LossBook
    ) -> list[Comparison]:
        """What Pluto does not show as it was sent, but for what people change there.

        What another machine wrote of its load it wrote in its own way: nothing is sent anew for that.
        """
        compared = verify.compare(self._session, run, target, now, journal, full=False, losses=losses)
        return [
            c
            for c in compared
            if c.verdict in MISMATCH
            and not verify.is_edit(c)
            and not (now.elsewhere and verify.is_said_of_load(c))
        ]

    def _goes_on(self, now: Progress, run: ExportedRun) -> bool:
        """Whether an unfinished load is one of these rows with these options."""
        begun = now.sent.get("data") or "data" in now.sending
        if begun and now.order != ORDER:
            return False  # what Pluto has of them is known by their number alone
        return now.fingerprint == run.fingerprint and now.content == self._content(self._multiplier(run))

    def _parent_replaced(
        self, now: Progress, run: ExportedRun, parent: LoadedRun | None, target: Target
    ) -> bool:
        if now.fork is None:
            return False
        return parent_replaced(
            now.fork, native_fork(self._session, run, target, self._multiplier(run), parent)
        )

    def _content(self, multiplier: Multiplier) -> str:
        settings = self._session.settings
        options = (self._session.options.name_prefix, settings.log_every, settings.max_files_per_run)
        return digest(str(multiplier), *map(str, options))

    def _chunking(self) -> str:
        settings = self._session.settings
        return digest(*map(str, (*metrics.cutting(), settings.flush_every, settings.batch_rows, READING)))

    def _begin(self, run: ExportedRun, target: Target, journal: Journal, reason: str) -> None:
        """Begin a generation: a new run in Pluto. One that an earlier generation made is marked."""
        before = journal.current
        number = 1
        if before is not None:
            number = before.number + 1
            if before.run_id is not None:
                lifecycle.supersede(self._session.api, target.project, before.run_id, reason)
        self._note_begin(run, journal, number)

    def _note_begin(self, run: ExportedRun, journal: Journal, number: int) -> None:
        journal.note(
            "begin",
            generation=number,
            external_id=external_id(run.key, number),
            fingerprint=run.fingerprint,
            content=self._content(self._multiplier(run)),
            chunking=self._chunking(),
            mark=secrets.token_hex(8),
            order=ORDER,
        )

    def _into_pluto(
        self, run: ExportedRun, parent: LoadedRun | None, target: Target, journal: Journal
    ) -> Outcome:
        """Create the run, unless it is there, and send what is not there."""
        losses = LossBook(run.key)
        metadata = collect(run, self._session.options.name_prefix, losses)
        if target.project != self._session.wanted_project(run.key.project_id):
            losses.add(LossCode.PROJECT_RENAMED)
        multiplier = self._multiplier(run)
        creation = Creation(self._session, run, target, journal, metadata, multiplier, losses)
        elsewhere = creation.ensure(parent, lambda number: self._note_begin(run, journal, number))
        if elsewhere is not None:
            return self._loaded_elsewhere(run, target, journal, elsewhere)
        now = journal.current
        assert now is not None and now.run_id is not None  # `ensure` has noted both
        if now.chunking != self._chunking():
            journal.note("chunking", chunking=self._chunking())
        return RunLoad(
            self._session, run, target.project, journal, now.run_id, now.url, metadata, multiplier, losses
        ).execute()

    def _loaded_elsewhere(
        self, run: ExportedRun, target: Target, journal: Journal, elsewhere: Elsewhere
    ) -> Outcome:
        """Take a run for loaded that another machine has loaded, if Pluto shows all of it.

        Raises:
            StartAgainError: it does not.
        """
        details = self._session.api.details(target.project, elsewhere.run_id)
        told = list(told_losses(details))
        record: dict[str, Any] = {
            "counts": {},
            "last_step": last_step_of(details),
            "elsewhere": True,
            "at": time.time(),  # it may have ended just now
            "options": ContentOptions.read(details, ContentOptions.of(self._session)).recorded(),
            "multiplier": str(recorded_multiplier(details)),
            "losses": told,
        }
        assert journal.current is not None
        found = LossBook(run.key)
        wrong = self._damage(run, target, journal, replace(journal.current, loaded=record), found)
        if wrong:
            raise StartAgainError(
                f"another machine has loaded it, but Pluto does not show it: {wrong[0].item}"
            )
        known = {(loss["reason"], loss["attribute_path"]) for loss in told}
        told += [
            r for r in map(loss_record, found.losses()) if (r["reason"], r["attribute_path"]) not in known
        ]
        self._option_changes.look_at(record)
        return Outcome(
            LoadedRun(
                str(elsewhere.run_id),
                elsewhere.url or None,
                already_loaded=True,
                losses=[Loss(run.key, **loss) for loss in told],
            ),
            record,
        )


def _told_before(run: ExportedRun, now: Progress) -> LoadedRun:
    """A finished load, told again, but for what was told then and costs nothing: all files are there."""
    assert now.loaded is not None
    records = now.loaded.get("losses", [])
    losses = [Loss(run.key, **record) for record in records if record["reason"] not in NOTHING_LACKS]
    return LoadedRun(
        str(now.run_id), now.url or None, True, dict(now.loaded.get("counts", {})), tuple(losses)
    )

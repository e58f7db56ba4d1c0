"""Making a run in Pluto, or finding the one that is there: this machine's own, or another's."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from neptune_exporter.contract import ExportedRun, LoadedRun, SinkError
from neptune_exporter.model import SysAttribute
from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter.toolkit import failpoint, pause
from neptune_exporter_pluto import lifecycle
from neptune_exporter_pluto.api import CreatedRun
from neptune_exporter_pluto.finding import loads_of
from neptune_exporter_pluto.forks import native_fork
from neptune_exporter_pluto.journal import Journal
from neptune_exporter_pluto.journal_events import fork_record
from neptune_exporter_pluto.lifecycle import Found
from neptune_exporter_pluto.losses import LossBook, LossCode
from neptune_exporter_pluto.ordered_ingest import StartAgainError
from neptune_exporter_pluto.progress import Fork, Progress
from neptune_exporter_pluto.run_metadata import PlutoMetadata
from neptune_exporter_pluto.session import ContentOptions, Session
from neptune_exporter_pluto.target import Target
from neptune_exporter_pluto.transport import PlutoRefusedError

_MOST_GENERATIONS = 100
_MARKED_WITHIN = 10.0
"""Seconds in which a machine that has just made a run marks it: its next request does."""
_OVERTAKEN_WITHIN = 1.0
_POLL = 0.25
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Elsewhere:
    """A run in Pluto that another machine has loaded whole."""

    run_id: int
    url: str


@dataclass(frozen=True)
class Creation:
    """One run that is to be in Pluto. Its journal is open and has begun a generation."""

    session: Session
    run: ExportedRun
    target: Target
    journal: Journal
    metadata: PlutoMetadata
    multiplier: Multiplier
    losses: LossBook

    def ensure(self, parent: LoadedRun | None, begin: Callable[[int], None]) -> Elsewhere | None:
        """Create the run, unless the journal knows it or another machine has loaded it.

        Args:
            begin: Notes the beginning of a generation.

        Raises:
            StartAgainError: the run that there is is not this journal's alone.
        """
        api = self.session.api
        fork = native_fork(self.session, self.run, self.target, self.multiplier, parent)
        others: Mapping[str, Mapping[str, Any]] = {}
        if self.journal.current is not None and self.journal.current.run_id is None:
            others = loads_of(api, self.target.project, self.run.key)
        for _ in range(_MOST_GENERATIONS):
            now = self.journal.current
            assert now is not None
            if now.run_id is not None:
                if now.elsewhere:
                    return Elsewhere(now.run_id, now.url)
                self._check_ours(now.run_id, now)
                lifecycle.describe(api, now.run_id, self.metadata, self._section(now, now.url))
                if now.reopened:
                    lifecycle.restore_tags(api, self.target.project, now.run_id, self.metadata.tags)
                self._tell_fork(now.fork if now.fork_noted else fork)
                return None
            other = others.get(now.external_id)
            if other is not None and Found.of(other).mark not in ("", now.mark):
                if self._is_loaded_by_another(Found.of(other), int(other["id"])):
                    return self._elsewhere(int(other["id"]), Found.of(other).page)
                begin(now.number + 1)
                continue
            asked = time.monotonic()
            created, sent = lifecycle.create(
                api,
                self.target.project,
                now.external_id,
                self.metadata,
                fork,
                self.session.settings.visible_within,
            )
            failpoint("pluto.run-created")
            details = self._marked(created, now, asked)
            found = Found.of(details) if created.resumed else None
            if found is None or found.mark == now.mark:
                # At once: Pluto fails every RUNNING run without a recent sign of life, and does not look at
                # ended ones.
                api.set_status(created.run_id, self.metadata.status, self.metadata.ended)
                # Created before a kill: this request forked nothing.
                if "forkedFromRunId" in details:
                    made = Fork.of(details)
                    sent = made and (sent or made)
                self.journal.note("run", run_id=created.run_id, url=created.url, **fork_record(sent))
                self._tell_fork(sent)
                failpoint("pluto.run-noted")
                return None
            self._put_back(found, created.run_id)
            if self._is_loaded_by_another(found, created.run_id):
                return self._elsewhere(created.run_id, created.url)
            begin(now.number + 1)
        raise SinkError(f"{self.run.key}: Pluto holds {_MOST_GENERATIONS} loads of it")

    def _check_ours(self, run_id: int, now: Progress) -> None:
        """Nobody has given up the run, nor taken it for theirs, nor removed it."""
        try:
            details = self.session.api.details(self.target.project, run_id)
        except PlutoRefusedError as error:
            if error.status != 404:
                raise
            raise StartAgainError("somebody has removed what there was of it in Pluto") from None
        if Found.of(details).is_of_others(now.mark):
            raise StartAgainError("another machine has given up what there was of it, or loads into it")

    def _marked(self, created: CreatedRun, now: Progress, asked: float) -> dict[str, Any]:
        """Describe the run, and so mark it as this journal's, unless another machine has marked it.

        One that was there already and has no mark is of a request of ours of which no answer came, or
        another machine has made it a moment ago: that would mark it in a moment.

        Args:
            asked: When the run was asked for, by the monotonic clock.

        Returns:
            What Pluto tells of a run that was there already.
        """
        api = self.session.api
        patience = self.session.settings.visible_within
        marked_within = min(_MARKED_WITHIN, patience)
        if not created.resumed:
            lifecycle.describe(api, created.run_id, self.metadata, self._section(now, created.url))
            if time.monotonic() - asked > marked_within / 2:  # so slow that another may have taken it
                try:
                    self._check_ours(created.run_id, now)
                except StartAgainError:
                    self.journal.note("run", run_id=created.run_id, url=created.url)  # to be given up
                    raise
            return {}
        deadline = time.monotonic() + marked_within
        details = api.details(self.target.project, created.run_id)
        while not (mark := Found.of(details).mark) and time.monotonic() < deadline:
            pause(_POLL)
            details = api.details(self.target.project, created.run_id)
        if mark in ("", now.mark):
            lifecycle.describe(api, created.run_id, self.metadata, self._section(now, created.url))
        if not mark:
            pause(min(_OVERTAKEN_WITHIN, patience))
            details = api.details(self.target.project, created.run_id)
        return details

    def _tell_fork(self, sent: Fork | None) -> None:
        if sent is None and self.run.parent() is not None:
            self.losses.add(LossCode.FORK_NOT_NATIVE, 1, SysAttribute.FORK_PARENT)
        elif sent is not None and sent.is_last:
            self.losses.add(LossCode.FORK_STEP, 1, SysAttribute.FORK_STEP)
        elif sent is not None and not sent.exact:
            self.losses.add(LossCode.FRACTIONAL_STEP, 1, SysAttribute.FORK_STEP)

    def _elsewhere(self, run_id: int, url: str) -> Elsewhere:
        self.journal.note("elsewhere", run_id=run_id, url=url)
        return Elsewhere(run_id, url)

    def _put_back(self, found: Found, run_id: int) -> None:
        """Give a run its status again: creating it anew, where it could not be found, has made it RUNNING."""
        status = "CANCELLED" if found.state == lifecycle.SUPERSEDED else found.status or "CANCELLED"
        lifecycle.finish(self.session.api, self.target.project, run_id, status, found.ended)

    def _is_loaded_by_another(self, found: Found, run_id: int) -> bool:
        """Whether another machine's run is whole and the same. One that is not is given up, if it may be."""
        api = self.session.api
        if found.state == lifecycle.COMPLETE:
            if found.fingerprint == self.run.fingerprint:
                return True
            lifecycle.supersede(api, self.target.project, run_id, "another export of it is loaded")
            _log.warning(
                "%s: another machine has loaded another export of it, as run %s, which is given up for this",
                self.run.key,
                run_id,
            )
            return False
        if found.state == lifecycle.SUPERSEDED:
            return False
        if not self.session.settings.restart_unfinished:
            raise SinkError(
                f"{self.run.key}: another machine has begun to load it, as run {run_id}; let it finish "
                "there, or give --pluto-restart-unfinished to load it anew into another run"
            )
        lifecycle.supersede(api, self.target.project, run_id, "begun by another machine and never finished")
        return False

    def _section(self, now: Progress, url: str) -> Mapping[str, object]:
        """The loader's part of the config, from the first moment on; with the address, as no other route than
        that of the creation tells it."""
        section = opening_section(self.metadata, self.multiplier, ContentOptions.of(self.session))
        own = {
            "mark": now.mark,
            "marks": lifecycle.mark_slots(now.mark),
            "generation": now.number,
            "page": url,
        }
        load = {"state": lifecycle.LOADING, **own, **section["load"]}
        return {**section, "load": load}


def opening_section(
    metadata: PlutoMetadata, multiplier: Multiplier, options: ContentOptions
) -> dict[str, Any]:
    """What there is to know of a run before it is loaded; the same in every load with the same options."""
    load: dict[str, Any] = {"status": metadata.status, "options": options.recorded()}
    if metadata.ended is not None:
        load["ended"] = metadata.ended
    return {**metadata.origin, "step_multiplier": str(multiplier), "load": load}

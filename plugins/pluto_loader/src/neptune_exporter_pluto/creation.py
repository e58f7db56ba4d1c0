"""Makes a run in Pluto, or finds the existing one, of this machine or of another."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neptune_exporter.contract import SinkError
from neptune_exporter.model import SysAttribute
from neptune_exporter.toolkit import failpoint, pause
from neptune_exporter_pluto import lifecycle
from neptune_exporter_pluto.deciding import Action, Decision, Other, Situation, decide
from neptune_exporter_pluto.form.losses import LossBook, LossCode
from neptune_exporter_pluto.form.metadata import PlutoMetadata
from neptune_exporter_pluto.form.section import (
    COMPLETE,
    LOADING,
    SUPERSEDED,
    Found,
    mark_slots,
    opening_section,
)
from neptune_exporter_pluto.service.api import CreatedRun, PlutoApi
from neptune_exporter_pluto.state.open_run import OpenRun, StartAgainError
from neptune_exporter_pluto.state.progress import Fork, Progress, fork_record

_MOST_GENERATIONS = 100
_MARKED_WITHIN = 10.0
"""A machine that has just made a run marks it within this many seconds, with its next request."""
_OVERTAKEN_WITHIN = 1.0
_POLL = 0.25
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Elsewhere:
    """A run in Pluto that another machine has loaded completely."""

    run_id: int
    url: str


@dataclass(frozen=True)
class _OfAnother:
    """A run in Pluto with our external id and the mark of another machine."""

    run_id: int
    url: str
    found: Found


@dataclass(frozen=True)
class Creation:
    """Creates one run in Pluto. Its journal has begun a generation."""

    work: OpenRun
    metadata: PlutoMetadata
    losses: LossBook

    @property
    def _api(self) -> PlutoApi:
        return self.work.session.api

    @property
    def _project(self) -> str:
        return self.work.target.project

    def ensure(self) -> Elsewhere | None:
        """Create the run, unless the journal knows it or another machine has loaded it.

        Raises:
            StartAgainError: another machine has marked the existing run too.
            SinkError: another machine is loading it.
        """
        if self.work.now.run_id is not None:
            return self._go_on()
        fork = self.work.fork()
        others = lifecycle.loads_of(self._api, self._project, self.work.run.key)
        for _ in range(_MOST_GENERATIONS):
            other = self._of_another(others.get(self.work.now.external_id)) or self._create(fork)
            if other is None:
                return None
            decision = decide(self._situation(other))
            if decision.action is Action.TAKE:
                self.work.journal.note("elsewhere", run_id=other.run_id, url=other.url)
                return Elsewhere(other.run_id, other.url)
            self._give_up(other, decision)
            self.work.begin()
        raise SinkError(f"{self.work.run.key}: Pluto holds {_MOST_GENERATIONS} loads of it")

    def _go_on(self) -> Elsewhere | None:
        """Describe again the run that the journal knows."""
        now = self.work.now
        assert now.run_id is not None
        if now.elsewhere:
            return Elsewhere(now.run_id, now.url)
        self._check_ours(now.run_id, now)
        lifecycle.describe(self._api, now.run_id, self.metadata, self._section(now, now.url))
        if now.reopened:
            lifecycle.restore_tags(self._api, self._project, now.run_id, self.metadata.tags)
        self._tell_fork(now.fork)
        return None

    def _of_another(self, details: Mapping[str, Any] | None) -> _OfAnother | None:
        """The run that was found, if it belongs to another machine."""
        if details is None:
            return None
        found = Found.of(details)
        if found.mark in ("", self.work.now.mark):
            return None
        return _OfAnother(int(details["id"]), found.page, found)

    def _create(self, fork: Fork | None) -> _OfAnother | None:
        """Request the run and record it, unless it turns out to belong to another machine."""
        now = self.work.now
        asked = time.monotonic()
        created, sent = lifecycle.create(
            self._api,
            self._project,
            now.external_id,
            self.metadata,
            fork,
            self.work.session.settings.visible_within,
        )
        failpoint("pluto.run-created")
        details = self._marked(created, now, asked)
        found = Found.of(details) if created.resumed else None
        if found is not None and found.mark != now.mark:
            self._put_back(found, created.run_id)
            return _OfAnother(created.run_id, created.url, found)
        # At once, because Pluto sets every RUNNING run without a recent heartbeat to failed. It skips ended
        # runs.
        self._api.set_status(created.run_id, self.metadata.status, self.metadata.ended)
        if "forkedFromRunId" in details:  # created before a kill: this request forked nothing
            made = Fork.of(details)
            sent = made and (sent or made)
        self.work.journal.note("run", run_id=created.run_id, url=created.url, **fork_record(sent))
        self._tell_fork(sent)
        failpoint("pluto.run-noted")
        return None

    def _situation(self, other: _OfAnother) -> Situation:
        return Situation(
            other=self._state_of(other.found),
            may_restart=self.work.session.settings.restart_unfinished,
        )

    def _state_of(self, found: Found) -> Other:
        if found.state == SUPERSEDED:
            return Other.GIVEN_UP
        if found.state != COMPLETE:
            return Other.UNFINISHED
        same = found.fingerprint == self.work.run.fingerprint
        return Other.WHOLE if same else Other.ANOTHER_EXPORT

    def _give_up(self, other: _OfAnother, decision: Decision) -> None:
        """Mark another machine's run as superseded, if that was decided.

        Raises:
            SinkError: the run is left to the other machine.
        """
        key = self.work.run.key
        if decision.action is Action.LEAVE:
            raise SinkError(
                f"{key}: another machine has begun to load it, as run {other.run_id}; let it finish "
                "there, or give --pluto-restart-unfinished to load it again into another run"
            )
        if decision.action is Action.SUPERSEDE:
            lifecycle.supersede(self._api, self._project, other.run_id, decision.reason)
        if self._state_of(other.found) is Other.ANOTHER_EXPORT:
            _log.warning(
                "%s: another machine has loaded another export of it, as run %s, which is given up for this",
                key,
                other.run_id,
            )

    def _check_ours(self, run_id: int, now: Progress) -> None:
        """Check that no other machine has superseded, taken over or removed the run."""
        details = self._api.details_if_there(self._project, run_id)
        if details is None:
            raise StartAgainError("somebody has removed what there was of it in Pluto")
        if Found.of(details).is_of_others(now.mark):
            raise StartAgainError("another machine has given up what there was of it, or loads into it")

    def _marked(self, created: CreatedRun, now: Progress, asked: float) -> dict[str, Any]:
        """Describe the run, and so mark it as this journal's, unless another machine has marked it.

        An existing run without a mark comes from a request of ours whose answer was lost, or another machine
        has just made it and will mark it in a moment.

        Args:
            asked: When the run was asked for, by the monotonic clock.

        Returns:
            Pluto's details of a run that existed already.
        """
        api = self._api
        patience = self.work.session.settings.visible_within
        marked_within = min(_MARKED_WITHIN, patience)
        if not created.resumed:
            section = self._section(now, created.url, created=True)
            lifecycle.describe(api, created.run_id, self.metadata, section)
            # so slow that another machine may have taken the run
            if time.monotonic() - asked > marked_within / 2:
                try:
                    self._check_ours(created.run_id, now)
                except StartAgainError:
                    self.work.journal.note("run", run_id=created.run_id, url=created.url)  # to be given up
                    raise
            return {}
        deadline = time.monotonic() + marked_within
        details = api.details(self._project, created.run_id)
        while not (mark := Found.of(details).mark) and time.monotonic() < deadline:
            pause(_POLL)
            details = api.details(self._project, created.run_id)
        if mark in ("", now.mark):
            lifecycle.describe(api, created.run_id, self.metadata, self._section(now, created.url))
        if not mark:
            pause(min(_OVERTAKEN_WITHIN, patience))
            details = api.details(self._project, created.run_id)
        return details

    def _tell_fork(self, sent: Fork | None) -> None:
        if sent is None and self.work.run.parent() is not None:
            self.losses.add(LossCode.FORK_NOT_NATIVE, 1, SysAttribute.FORK_PARENT)
        elif sent is not None and sent.is_last:
            self.losses.add(LossCode.FORK_STEP, 1, SysAttribute.FORK_STEP)
        elif sent is not None and not sent.exact:
            self.losses.add(LossCode.FRACTIONAL_STEP, 1, SysAttribute.FORK_STEP)

    def _put_back(self, found: Found, run_id: int) -> None:
        """Restore the status of a run: the request to create it has set it to RUNNING."""
        status = "CANCELLED" if found.state == SUPERSEDED else found.status or "CANCELLED"
        lifecycle.finish(self._api, self._project, run_id, status, found.ended)

    def _section(self, now: Progress, url: str, created: bool = False) -> Mapping[str, object]:
        """The loader's section of the config, written first. It has the address, because only the route of
        the creation returns that."""
        section = opening_section(self.metadata, self.work.multiplier, self.work.session.content_options)
        own = {
            "mark": now.mark,
            "marks": mark_slots(now.mark, created),
            "generation": now.number,
            "page": url,
        }
        load = {"state": LOADING, **own, **section["load"]}
        return {**section, "load": load}

"""Forks as Pluto takes them: a parent in the same project, a step that the parent has reached."""

from __future__ import annotations

from decimal import Decimal

from neptune_exporter.contract import LoadedRun
from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter_pluto.form.limits import shown_step
from neptune_exporter_pluto.state.journal import Journal
from neptune_exporter_pluto.state.open_run import OpenRun
from neptune_exporter_pluto.state.progress import Fork, Progress


def parent_replaced(sent: Fork | None, wanted: Fork | None) -> bool:
    """Whether the parent was loaded again since, into another run than the one this run was forked from."""
    return sent is not None and wanted is not None and sent.parent_run_id != wanted.parent_run_id


def wanted_fork(work: OpenRun) -> Fork | None:
    """Where to fork the run in Pluto, from what is known about its parent now."""
    return native_fork(work, work.multiplier, work.parent)


def native_fork(work: OpenRun, multiplier: Multiplier, parent: LoadedRun | None = None) -> Fork | None:
    """From which run of Pluto a run is forked off.

    None: it is no fork, its parent may not be there, or it branched off at a step that Pluto does not have
    (before 0, a fork shares nothing).

    Args:
        multiplier: Of the run's own steps.
        parent: What this load has made of the parent, if anything. What the journal says counts more.
    """
    key, fork_step = work.run.parent(), work.run.fork_step()
    if key is None or fork_step is None:
        return None
    known = None
    if work.session.target(key.project_id) == work.target:
        known = Journal.of(work.session.base_dir, work.target, key).peek()
    run_id = _parent_run_id(known, parent)
    loaded = (known.loaded if known is not None else None) or {}
    if "multiplier" in loaded:
        multiplier = Multiplier.of(Decimal(loaded["multiplier"]))
    scaled = shown_step(multiplier, fork_step)
    return None if run_id is None or scaled is None else _reached(run_id, *scaled, loaded.get("last_step"))


def _parent_run_id(known: Progress | None, parent: LoadedRun | None) -> int | None:
    if known is not None and known.run_id is not None:
        return known.run_id
    return int(parent.target_id) if parent is not None and parent.target_id.isdigit() else None


def _reached(run_id: int, step: int, exact: bool, last: int | None) -> Fork:
    """The fork at a step, or at the parent's last where it does not get that far: it shares all of it."""
    return Fork(run_id, step, exact) if last is None or step <= last else Fork(run_id, last, is_last=True)

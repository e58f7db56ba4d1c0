"""Compares from which run a run is forked off, and at which step."""

from __future__ import annotations

from collections.abc import Iterator

from neptune_exporter.contract import Comparison, Verdict
from neptune_exporter.model import SysAttribute
from neptune_exporter.sinks.losses import CommonLoss
from neptune_exporter_pluto.forks import native_fork, parent_replaced
from neptune_exporter_pluto.form.losses import LossCode
from neptune_exporter_pluto.state.progress import Fork, Progress
from neptune_exporter_pluto.verify.context import Check

_MOST_ANCESTORS = 100


def compare_fork(check: Check, known: Progress | None) -> Iterator[Comparison]:
    """Compare the fork; yields nothing if the run is no fork on either side."""
    found = Fork.of(check.details)
    if check.content.run.parent() is not None:
        yield _of_fork(check, known, found)
    elif found is not None:
        yield check.line("fork", Verdict.EXTRA, "", _text(found))


def _of_fork(check: Check, known: Progress | None, found: Fork | None) -> Comparison:
    computed = native_fork(check.work, check.content.multiplier)
    wanted = _wanted(known, computed)
    if check.recorded([CommonLoss.FORK_NOT_NATIVE], SysAttribute.FORK_PARENT) and found is None:
        return check.line("fork", Verdict.LOST, check.content.run.parent(), "recorded only in the config")
    if wanted is None or "forkedFromRunId" not in check.details:
        return check.line("fork", Verdict.UNKNOWN, check.content.run.parent(), f"{_text(found)} found")
    if found is None:
        return check.line("fork", Verdict.MISSING, _text(wanted))
    if found.parent_run_id != wanted.parent_run_id:
        wanted = _resolved(check, wanted)
    verdict = _of_same(check, found, wanted, computed) if found == wanted else _of_other(check, found, wanted)
    return check.line("fork", verdict, _text(wanted), _text(found))


def _wanted(known: Progress | None, computed: Fork | None) -> Fork | None:
    """What this machine has sent, as the parent may have got further since; unless it was loaded again."""
    sent = known.fork if known is not None else None
    return computed if sent is None or parent_replaced(sent, computed) else sent


def _of_other(check: Check, found: Fork, wanted: Fork) -> Verdict:
    """The verdict for a fork at another step: when it was loaded, its parent may have been shorter."""
    is_early = check.recorded([LossCode.FORK_STEP], SysAttribute.FORK_STEP) > 0
    is_explained = is_early and not wanted.is_last and found.parent_run_id == wanted.parent_run_id
    return Verdict.LOST if is_explained and found.step < wanted.step else Verdict.DIFFERENT


def _of_same(check: Check, found: Fork, wanted: Fork, computed: Fork | None) -> Verdict:
    """The verdict for a fork at the wanted step: `~` if that is not Neptune's step."""
    is_recorded = check.recorded([LossCode.FORK_STEP, CommonLoss.FRACTIONAL_STEP], SysAttribute.FORK_STEP)
    # Another machine does not record FRACTIONAL_STEP in the config: the fork itself shows it.
    is_other = any(f == found and (f.is_last or not f.exact) for f in (wanted, computed) if f is not None)
    return Verdict.LOST if is_recorded or is_other else Verdict.EQUAL


def _resolved(check: Check, fork: Fork) -> Fork:
    """The fork as Pluto stores it: steps up to the parent's own fork step belong to the parent's parent."""
    for _ in range(_MOST_ANCESTORS):
        above = Fork.of(check.api.details(check.project, fork.parent_run_id))
        if above is None or fork.step > above.step:
            break
        fork = Fork(above.parent_run_id, fork.step)
    return fork


def _text(fork: Fork | None) -> str:
    return "no fork" if fork is None else f"run {fork.parent_run_id} at step {fork.step}"

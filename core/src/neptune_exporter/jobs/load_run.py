"""Loading one run, here or in another process: what is checked before it, and what is told beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from neptune_exporter.contract import DatasetError, LoadedRun, Loss, Sink
from neptune_exporter.dataset import StoredRun, advice
from neptune_exporter.jobs.selected_run import left_out, selected
from neptune_exporter.model import ALL_CLASSES, AttributeClass
from neptune_exporter.sinks.files import RESTORABLE

_RESTORABLE = frozenset(reason.value for reason in RESTORABLE)


def load_run(
    sink: Sink,
    run: StoredRun,
    parent: LoadedRun | None,
    classes: frozenset[AttributeClass] = ALL_CLASSES,
) -> LoadedRun:
    """Load a run whose parts are what the export wrote, and tell also what no loader gets of it.

    Raises:
        DatasetError: a part is damaged or changed since it was written.
    """
    check_parts(run)
    if run.receipt is None:
        run.keep_small_parts()  # some of its rows are counted first
    losses = [*unreadable(run), *left_out(run, classes)]
    loaded = sink.load(selected(run, classes), parent)
    return replace(loaded, losses=(*losses, *(_with_advice(run, loss) for loss in loaded.losses)))


def _with_advice(run: StoredRun, loss: Loss) -> Loss:
    """A loader does not know where the run came from, so it cannot say how to get a lost file back."""
    if loss.reason not in _RESTORABLE:
        return loss
    return replace(loss, message=f"{loss.message}: {advice(run, force=True)}")


def unreadable(run: StoredRun) -> list[Loss]:
    """What no loader gets of a run that another tool exported."""
    if run.receipt is not None:
        return []
    losses = [
        Loss(run.key, "unknown-type", f"rows of the unknown type {kind}; they stay in the dataset", count)
        for kind, count in run.left_out.unknown().items()
    ]
    if count := run.left_out.odd_times:
        message = "times outside of the years 1 to 9999: left out, or the nearest one where they are a value"
        losses.append(Loss(run.key, "odd-time", message, count))
    return losses


def check_complete(run: StoredRun) -> None:
    """Raises DatasetError if the run is not whole."""
    if not run.complete:
        raise DatasetError(_why_incomplete(run))


def check_parts(run: StoredRun) -> None:
    """Read every part once, before its rows count as what the export wrote.

    Raises:
        DatasetError: one changed since it was written.
    """
    if changed := run.changed_parts():
        raise DatasetError(_damaged(run, changed))


def _why_incomplete(run: StoredRun) -> str:
    if run.pending:
        return "its export was interrupted while publishing: the next export or `verify --record` finishes it"
    if run.cut_short:
        return f"it may not be whole: {'; '.join(run.what_is_cut_short())}: {advice(run)}"
    problems = [*run.problems, *run.missing_parts()]
    return _damaged(run, problems or ["it has no parts"])


def _damaged(run: StoredRun, problems: Sequence[str]) -> str:
    return f"it is damaged: {'; '.join(problems)}: {advice(run, force=True)}; see `neptune-exporter verify`"

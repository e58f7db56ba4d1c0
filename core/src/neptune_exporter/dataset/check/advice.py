"""Advice about losses. It depends on where the run came from, and whether that server still runs."""

from __future__ import annotations

from urllib.parse import urlsplit

from neptune_exporter.contract import AttributeFailure
from neptune_exporter.dataset.read.stored_run import StoredRun

_HOSTED = ("neptune.ai",)
"""Hosted Neptune closed in March 2026 and all that it held was deleted: nothing can be exported from it."""
_OFFLINE = "neptune-exporter-offline"
"""The source that reads `.neptune` folders, as receipts name it."""
COPY = "restore from a copy"
"""Right for one thing and for several, as lines are grouped."""


def advice(run: StoredRun, *, force: bool = False) -> str:
    """How to get back what a run lost on disk: the end of a message. `force`: an export without --force would
    not notice the loss."""
    again = "export the run again" + (" with --force" if force else "")
    if _is_offline(run):  # by force, points that only the dataset has would go
        condition = ", while the folder is still whole," if force else ""
        return f"{COPY}, or{condition} {again} from its .neptune folder"
    if run.receipt is None:
        return f"{COPY}, or {again} if its Neptune server still runs (hosted Neptune is closed)"
    if host := _hosted_by(run):
        return f"{COPY}: the run came from hosted Neptune ({host}), which is closed"
    if run.receipt.foreign and force:  # what only the other tool's export has would go
        return f"{COPY}, or, if its server still has all of the run, {again}"
    return f"{again} if its server still runs, or {COPY}"


def advice_on_failure(run: StoredRun, failure: AttributeFailure) -> str:
    """What the dataset has of what an export could not read, and how to get it: the end of a message."""
    has = "the value of an earlier export is kept" if failure.kept else "missing, wholly or in part"
    return f"{has}: {_how_to_get(run, failure)}"


def _how_to_get(run: StoredRun, failure: AttributeFailure) -> str:
    if failure.lost:
        return advice(run)
    if failure.permanent:
        return "its source no longer has it"
    if _is_offline(run):
        return "export again from its .neptune folder"
    if host := _hosted_by(run):
        return f"it was only in hosted Neptune ({host}), which is closed"
    return "export again if its server still runs"


def _is_offline(run: StoredRun) -> bool:
    return run.receipt is not None and run.receipt.source.partition(" ")[0] == _OFFLINE


def _hosted_by(run: StoredRun) -> str:
    """The host name of hosted Neptune, if the run came from there."""
    host = (urlsplit(run.url).hostname if run.url else None) or ""
    return host if any(host == hosted or host.endswith("." + hosted) for hosted in _HOSTED) else ""

"""What can be done about a loss: it depends on where the run came from, and whether that still runs."""

from __future__ import annotations

from urllib.parse import urlsplit

from neptune_exporter.dataset.read.stored_run import StoredRun

_HOSTED = ("neptune.ai",)
"""Hosted Neptune closed in March 2026 and all that it held was deleted: nothing can be exported from it."""
_COPY = "restore it from a copy"


def advice(run: StoredRun, *, force: bool = False) -> str:
    """How the run can be had again, for the end of a message.

    Args:
        run: The run that lost something.
        force: An export would not see by itself that anything is wrong.
    """
    again = "export the run again" + (" with --force" if force else "")
    receipt = run.receipt
    if receipt is None:
        return f"{_COPY}, or {again} if its Neptune server still runs (hosted Neptune is closed)"
    if receipt.source.partition(" ")[0] == "offline":
        return f"{_COPY}, or {again} from its .neptune folder"
    host = urlsplit(receipt.url).hostname or ""
    if any(host == hosted or host.endswith("." + hosted) for hosted in _HOSTED):
        return f"{_COPY}: it came from hosted Neptune ({host}), which is closed"
    return f"{again} if its server still runs, or {_COPY}"

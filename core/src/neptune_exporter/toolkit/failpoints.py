"""Named places where a test can end the process the hard way, to prove that a rerun completes the work.

`NEPTUNE_EXPORTER_FAILPOINT=export.part-written:3` kills the process with SIGKILL when
it passes that point for the third time; `NEPTUNE_EXPORTER_FAILPOINT_SIGNAL` names another signal. Without the
variable a failpoint costs nothing.
"""

from __future__ import annotations

import os
import signal
import threading

VARIABLE = "NEPTUNE_EXPORTER_FAILPOINT"
SIGNAL_VARIABLE = "NEPTUNE_EXPORTER_FAILPOINT_SIGNAL"
_armed = ""
_left = 0
_lock = threading.Lock()


def arm(point: str) -> None:
    """Arm `name` or `name:count` for this process; an empty text disarms."""
    global _armed, _left
    _armed, _, count = point.partition(":")
    _left = int(count or 1)


def failpoint(name: str) -> None:
    """End the process here with a signal if the variable names this point."""
    if name != _armed:
        return
    global _left
    with _lock:
        _left -= 1
        if _left <= 0:
            os.kill(os.getpid(), signal.Signals[os.environ.get(SIGNAL_VARIABLE, "SIGKILL")])


arm(os.environ.get(VARIABLE, ""))

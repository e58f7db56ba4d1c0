"""The command line: the only code that prints."""

from __future__ import annotations

import signal
from types import FrameType


def main() -> int:
    """The console script `neptune-exporter`; returns the exit code."""
    from neptune_exporter.cli.app import app
    from neptune_exporter.cli.state import State

    signal.signal(signal.SIGTERM, _interrupt)
    return app.main(prog_name="neptune-exporter", standalone_mode=False, obj=State(owns_process=True))


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C does: a batch system that stops a job sends SIGTERM."""
    raise KeyboardInterrupt

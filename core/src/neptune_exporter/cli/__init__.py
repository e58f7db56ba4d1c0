"""The command line: the only code that prints."""

from __future__ import annotations

import os


def main() -> int:
    """The console script `neptune-exporter`; returns the exit code."""
    try:
        from neptune_exporter.cli.interruption import ended, handle_signals

        handle_signals()
        return ended(_run())
    except KeyboardInterrupt as interrupt:  # before or after the command
        from neptune_exporter.cli.exit_codes import report_error
        from neptune_exporter.cli.interruption import ended

        return ended(report_error(interrupt, verbose=False))


def _run() -> int:
    # Arrow's allocator gives back at once what is free: it would keep a sixth of all that a long run takes.
    os.environ.setdefault("MIMALLOC_PURGE_DELAY", "0")

    from neptune_exporter.cli.app import app
    from neptune_exporter.cli.state import State
    from neptune_exporter.cli.streams import prepare_streams

    prepare_streams()
    return app.main(prog_name="neptune-exporter", standalone_mode=False, obj=State(owns_process=True))

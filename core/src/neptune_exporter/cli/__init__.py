"""The command line: the only code that prints."""

from __future__ import annotations


def main() -> int:
    """The console script `neptune-exporter`; returns the exit code."""
    from neptune_exporter.cli.app import app
    from neptune_exporter.cli.state import State

    return app.main(prog_name="neptune-exporter", standalone_mode=False, obj=State(owns_process=True))

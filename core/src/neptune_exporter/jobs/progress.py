"""How a job reports its progress."""

from __future__ import annotations


class Progress:
    """Gets the progress of a job, and ignores it: what shows it overrides these methods. Several threads call
    them."""

    def start(self, stage: str, total: int | None = None) -> None:
        """Begin a stage, or begin it again; `total` is its number of runs, None if not yet known."""

    def advance(self, runs: int = 0, rows: int = 0, bytes: int = 0) -> None:
        """Add what has been done since the last call."""

    def message(self, text: str) -> None:
        """Show a message that a person should read now."""

    def finish(self) -> None:
        """End the stage."""

"""What a job tells while it runs."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told from several threads; an implementation takes care of that itself."""

    def start(self, stage: str, total: int | None = None) -> None:
        """A stage begins, or begins anew; `total` is its number of runs, None if not yet known."""

    def advance(self, runs: int = 0, rows: int = 0, bytes: int = 0) -> None:
        """So much more is done."""

    def message(self, text: str) -> None:
        """Something that a person should read now."""

    def finish(self) -> None:
        """The stage is over."""


class NoProgress:
    """Tells nobody."""

    def start(self, stage: str, total: int | None = None) -> None: ...

    def advance(self, runs: int = 0, rows: int = 0, bytes: int = 0) -> None: ...

    def message(self, text: str) -> None: ...

    def finish(self) -> None: ...

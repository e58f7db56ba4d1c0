"""Whether W&B has what `wandb sync` has sent.

Seen with wandb 0.31.0: `wandb sync` takes every answer with status 200 for an acknowledgement, also a login
page, for rows and for files, and sends no checksum of either. So only the server knows what has arrived.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from neptune_exporter.contract import AuthenticationError, SinkError

SHOWN_WITHIN = 30.0
"""Seconds; the server may register what has arrived a little later."""
_ASK_EVERY = 1.0
_MOST_NAMED = 3
_ENDED = ("finished", "failed", "crashed")


@dataclass(frozen=True)
class StoredFile:
    """A file of a run, as the server lists it."""

    size: int
    """Bytes."""
    md5: str
    """In base64, as `wandb pull` of wandb 0.31.0 compares it; empty if the server does not say it."""


@dataclass(frozen=True)
class StoredRun:
    """A run, as the server has it."""

    state: str | None
    rows: int
    """Of the history."""
    files: Mapping[str, StoredFile] | None
    """By name; None if the server does not list files."""


@dataclass(frozen=True)
class WrittenRun:
    """A run, as its folder has it."""

    rows: int
    files: Mapping[str, Path]
    """By their name in W&B."""

    def lacking(self, found: StoredRun | None, *, contents: bool) -> str:
        """What the server lacks, in words; empty if it has all. With `contents`, also files of the right size
        with another content: that reads all of them."""
        if found is None:
            return "the run"
        rows = [f"{self.rows - found.rows:,} of {self.rows:,} rows"] if found.rows < self.rows else []
        end = [] if found.state in _ENDED else ["the end of the run"]
        wrong = [] if found.files is None else list(self._wrong(found.files, contents))
        more = f", and {len(wrong) - _MOST_NAMED:,} more files" if len(wrong) > _MOST_NAMED else ""
        return ", ".join([*end, *rows, *wrong[:_MOST_NAMED]]) + more

    def _wrong(self, there: Mapping[str, StoredFile], contents: bool) -> Iterator[str]:
        for name, path in self.files.items():
            size, stored = path.stat().st_size, there.get(name)
            if stored is None or (stored.size != size and not stored.size):
                yield f"the file {name!r}"
            elif stored.size != size:
                yield f"the file {name!r} ({stored.size:,} of {size:,} bytes)"
            elif contents and stored.md5 and stored.md5 != _md5(path):
                yield f"the file {name!r} (it has another content)"

    def wait(self, look: Callable[[], StoredRun | None], check: Callable[[], None]) -> StoredRun | None:
        """Wait until the server has the run as it was sent. Raises SinkError if it lacks something for good.

        Args:
            look: Asks the server.
            check: Ends the waiting by what it raises.
        """
        until = time.monotonic() + SHOWN_WITHIN
        while True:
            is_last = time.monotonic() > until
            try:
                found = look()
                lacking = self.lacking(found, contents=False) or self.lacking(found, contents=True)
            except AuthenticationError:
                raise
            except SinkError as error:
                if is_last:
                    raise SinkError(f"it was sent, but not checked: {error}") from error
                lacking = "an answer"
            if not lacking:
                return found
            if is_last:
                raise SinkError(
                    f"`wandb sync` has sent it and reported no error, but W&B lacks {lacking}: is there a "
                    "proxy or a login page in front of W&B? The next load sends it again"
                )
            check()
            time.sleep(_ASK_EVERY)


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return base64.b64encode(digest.digest()).decode()

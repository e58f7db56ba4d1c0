"""The list of loaded runs that the public page documents, for people who have or expect one.

A line is `<target project>::<run name>`, as the public Trainy-ai/neptune-exporter
writes it. It names neither the account nor the source project, so this loader
keeps its own state beside it; the lines say what another tool has loaded, and
taking one out asks for the run to be loaded again.
"""

from __future__ import annotations

import itertools
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import orjson

from neptune_exporter.contract import UsageError
from neptune_exporter.sinks.names import digest
from neptune_exporter.toolkit import pause
from neptune_exporter_pluto.state.disk_errors import check_writable
from neptune_exporter_pluto.state.journal import Target

DEFAULT_NAME = ".pluto_upload_cache.txt"
OWNERS_NAME = "cache-lines.jsonl"

_COMPARED = 4096
_WRITTEN_WITHIN = 0.01
"""Seconds. A process writes a line with one call, but the disk may show it growing for a moment."""

_Signature: TypeAlias = "tuple[int, int, int]"
"""Size, time of the last change, and inode of a file."""


class _Appended:
    """A text file that is appended to. What others append is read too; after any other change, all of it.

    Not noticed while the file grows: a change of equal length, in the same file, before its last 4,096 bytes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.RLock()
        self._seen: _Signature | None = None
        self._lines: dict[str, None] = {}
        self.generation = 0
        """Rises whenever the whole file is read again: its lines may then differ, or have another order."""
        self._file = 0
        """The inode that `_lines` were read from."""
        self._size = 0
        """The number of bytes from which `_lines` were read."""
        self._end = b""
        """The last of these bytes. If a file that has grown still has them, it was only appended to."""

    def lines(self) -> dict[str, None]:
        """All lines, in order, as the file holds them now. A missing file is an empty one."""
        with self.lock:
            now = self._signature()
            if now is None:
                self._forget()
            elif now != self._seen:
                now = self._read(now)
            self._seen = now
            return self._lines

    def append(self, line: str) -> None:
        """Add a line. It is on disk when this returns."""
        with self.lock:
            self.lines()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                data = line.encode() + b"\n"
                if self._end and not self._end.endswith(b"\n"):
                    data = b"\n" + data
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            now = self._signature()
            if now is not None and now[0] == self._size + len(data):
                self._seen, self._file = now, now[2]
                self._take(data)
                self._lines[line] = None
            else:
                self._seen = None  # other processes may have appended meanwhile, and first

    def _read(self, now: _Signature) -> _Signature | None:
        """Read what is new, or all, and whole lines only, as long as the last one may still be written."""
        while True:
            self._read_up_to(now)
            if self._end.endswith(b"\n"):
                return now
            pause(_WRITTEN_WITHIN)
            before, later = now, self._signature()
            if later is None or later == before:  # edited by hand, and without a line break at its end
                return later
            now = later

    def _read_up_to(self, now: _Signature) -> None:
        size, _, inode = now
        with self.path.open("rb") as file:
            file.seek(self._size - len(self._end))
            grown = size > self._size and inode == self._file and self._end.endswith(b"\n")
            if not grown or file.read(len(self._end)) != self._end:
                self._forget()
                file.seek(0)
            data = file.read(size - self._size)
        text = data.decode("utf-8", "replace")
        self._lines |= dict.fromkeys(line.strip() for line in text.split("\n") if line.strip())
        self._file = inode
        self._take(data)

    def _take(self, data: bytes) -> None:
        self._size += len(data)
        self._end = (self._end + data)[-_COMPARED:]

    def _forget(self) -> None:
        self._lines, self._size, self._end = {}, 0, b""
        self.generation += 1

    def _signature(self) -> _Signature | None:
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return None
        return stat.st_size, stat.st_mtime_ns, stat.st_ino


def check_list(path: Path) -> None:
    """Raise UsageError if lines cannot be added to the list of loaded runs."""
    try:
        if path.exists():
            with path.open("ab"):
                return
        check_writable("--pluto-loaded-cache", path.parent)
    except OSError as error:
        raise UsageError(f"--pluto-loaded-cache: {path} cannot be written: {error.strerror}") from None


class LoadedCache(_Appended):
    """The list of the public page."""

    def __contains__(self, line: str) -> bool:
        return line in self.lines()

    def add(self, line: str) -> None:
        """Append a line, unless the list has it. It is on disk when this returns."""
        with self.lock:
            if line not in self:
                self.append(line)


def cache_line(target_project: str, run_name: str) -> str:
    """The line of a run. Names with line breaks look like two lines, so they are joined."""
    return f"{target_project}::{' '.join(run_name.splitlines())}".strip()


class LineOwners(_Appended):
    """Which run each line of the list stands for: the first run that claimed it.

    Two runs may have one name, two projects one target, and a list knows neither hosts
    nor accounts. Without this a line that was written for one would hide the others.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._owners: dict[str, str] = {}
        self._known_generation = self._known_lines = 0

    def claim(self, line: str, target: Target, run: str) -> bool:
        """Whether the line stands for this run of this target. If it stood for no run yet, it does from now
        on."""
        mine = digest(target.account, target.host, target.project, run)
        with self.lock:
            if line not in self._known():
                self.append(orjson.dumps({"line": line, "run": mine}).decode())
            return self._known()[line] == mine

    def _known(self) -> dict[str, str]:
        lines = self.lines()
        if self.generation != self._known_generation:
            self._owners, self._known_lines, self._known_generation = {}, 0, self.generation
        new = list(itertools.islice(reversed(lines), len(lines) - self._known_lines))
        for text in reversed(new):
            with suppress(ValueError, KeyError, TypeError):  # cut short by a full disk: it claims nothing
                record = orjson.loads(text)
                self._owners.setdefault(record["line"], record["run"])
        self._known_lines = len(lines)
        return self._owners

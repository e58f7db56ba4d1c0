"""Reads the operation log of a folder of the 2.x client, without the client and without writing.

A folder holds `data-<first version>.log` files, a new one every 64 MiB, with a JSON
object and a newline per operation: `{"obj": {"type", "path", …}, "version", "at"}`
(`neptune.core.components.queue.disk_queue`; clients before 1.0 have no `at`). The client's
own queue is never opened on it: leaving its context deletes acknowledged logs.

A process that was forked writes the buffer that it inherited again when it ends, into the same file: the same
records with the same versions (seen with PyTorch's data loaders and neptune 1.14).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from neptune_exporter_offline.problems import Unreadable
from neptune_exporter_offline.union import Hole, Scan, Stretch

_LOG_NAME = re.compile(r"data-(\d+)\.log")

UPLOADS = "upload_path"
"""The subfolder with copies of what was logged from memory."""


class Record(NamedTuple):
    """One operation of the log, and its place, from which it can be read again."""

    at: float
    """When it was logged, seconds since 1970; 0 where that is not known."""
    operation: dict[str, Any]
    file: str
    offset: int
    length: int
    number: int
    """Its version."""


def log_files(folder: Path) -> list[tuple[int, Path]]:
    """The log's files with their first versions, in order."""
    found = ((match, path) for path in folder.iterdir() if (match := _LOG_NAME.fullmatch(path.name)))
    return sorted((int(match[1]), path) for match, path in found)


def is_log_name(name: str) -> bool:
    return _LOG_NAME.fullmatch(name) is not None


def read_version(folder: Path, name: str) -> int:
    """The number in `last_put_version` or `last_ack_version`; 0 if the file is missing or empty."""
    try:
        return int((folder / name).read_text(encoding="ascii").strip() or 0)
    except (OSError, ValueError):
        return 0


def peek(folder: Path, count: int) -> list[Record]:
    """The first readable operations; fewer, or none, where the log cannot be read."""
    found: list[Record] = []
    with suppress(OSError):
        for _, path in log_files(folder):
            with path.open("rb") as file:
                for line in file:
                    parsed = _parse(line)
                    if parsed is not None:
                        operation, version, at = parsed
                        found.append(Record(at, operation, path.name, 0, len(line), version))
                        if len(found) == count:
                            return found
    return found


class _Scanning:
    """Collects what a log holds, file by file."""

    def __init__(self, log: int) -> None:
        self.scan = Scan()
        self.version = 0
        """The last one that was read."""
        self.offset = 0
        self._log = log
        self._begun: Stretch | None = None
        self._at = 0.0

    def read(self, name: str, file: BinaryIO, *, is_last: bool) -> None:
        for line in file:
            start = self.offset
            self.offset += len(line)
            parsed = _parse(line)
            if parsed is not None:
                _, version, at = parsed
                self._add(name, start, version, at)
            elif is_last and not line.endswith(b"\n"):
                self._end()
                self.scan.torn = self.version + 1
            elif not line.isspace():
                self._end()
                self.hole(self.version + 1, f"{name}, byte {start:,}: no operation can be read there")
        self._end()

    def hole(self, last: int | None, message: str, *, permanent: bool = True) -> None:
        self._end()
        self.scan.holes.append(Hole(self.version + 1, last, message, permanent))
        self.version = self.version if last is None else last

    def _add(self, name: str, offset: int, version: int, at: float) -> None:
        if self._begun is None or version != self.version + 1:
            self._end()
            self._begun = Stretch(self._log, version, version, at, at, (name, offset), version)
        self.version, self._at = version, at

    def _end(self) -> None:
        if self._begun is not None:
            self.scan.stretches.append(replace(self._begun, last=self.version, ended=self._at))
        self._begun = None


class OperationLog:
    """The log in a folder, over all its files."""

    def __init__(self, folder: Path, index: int) -> None:
        self._folder = folder
        self._index = index

    @property
    def put(self) -> int:
        """How many operations the process counted."""
        return read_version(self._folder, "last_put_version")

    def scan(self) -> Scan:
        """Which operations there are, and what cannot be read.

        Most holes are at the end: the client buffers its log. If its process is killed, the last record may
        be cut off, and operations that `put` counts may be missing.
        """
        found = _Scanning(self._index)
        try:
            files = log_files(self._folder)
        except OSError as error:
            found.hole(None, f"{error.strerror}; it was not read", permanent=False)
            return found.scan
        for number, (first, path) in enumerate(files):
            found.version, found.offset = max(found.version, first - 1), 0
            is_last = number == len(files) - 1
            try:
                with path.open("rb") as file:
                    found.read(path.name, file, is_last=is_last)
            except OSError as error:
                message = f"{path.name}, byte {found.offset:,}: {error.strerror}; the rest was not read"
                last = (self.put or None) if is_last else files[number + 1][0] - 1
                found.hole(last, message, permanent=False)
        return found.scan

    def read(self, stretch: Stretch) -> Iterator[Record]:
        """The operations of a stretch, up to the first that is no longer what was scanned. Raises OSError if
        they can no longer be read."""
        name, _ = stretch.place
        for number, (offset, line) in enumerate(self._lines(stretch), stretch.first):
            parsed = _parse(line)
            if parsed is None or parsed[1] != number:
                return
            operation, version, at = parsed
            yield Record(at, operation, name, offset, len(line), version)

    def compared(self, stretch: Stretch) -> Iterator[bytes]:
        """The lines as they are, to compare logs. Ends without an error where they can no longer be read."""
        with suppress(OSError):
            yield from (line for _, line in self._lines(stretch))

    @staticmethod
    def same(line: bytes, other: bytes) -> bool:
        """Whether two lines are the same operation. Logs for several servers differ in its time."""
        if line.rstrip() == other.rstrip():
            return True
        one, two = _parse(line), _parse(other)
        return one is not None and two is not None and one[0] == two[0]

    def _lines(self, stretch: Stretch) -> Iterator[tuple[int, bytes]]:
        name, offset = stretch.place
        number = stretch.start
        with (self._folder / name).open("rb") as file:
            file.seek(offset)
            for line in file:
                if not line.isspace():
                    if number >= stretch.first:
                        yield offset, line
                    number += 1
                    if number > stretch.last:
                        return
                offset += len(line)


def read_at(folder: Path, name: str, offset: int, length: int) -> dict[str, Any]:
    try:
        with (folder / name).open("rb") as file:
            file.seek(offset)
            parsed = _parse(file.read(length))
    except OSError as error:
        raise Unreadable(f"{folder.name}/{name}: {error.strerror}") from error
    if parsed is None:
        raise Unreadable(f"{folder.name}/{name} changed while it was read")
    return parsed[0]


def _parse(line: bytes) -> tuple[dict[str, Any], int, float] | None:
    """The operation, its version and time (0 where a record has none); None if it cannot be read."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        try:
            record = json.loads(line, strict=False)  # a bare NaN, or an integer beyond 64 bits
        except ValueError:
            return None
    try:
        if not isinstance(record["obj"], dict):
            return None
        return record["obj"], int(record["version"] + 0), (record.get("at") or 0.0) + 0.0
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
        return None

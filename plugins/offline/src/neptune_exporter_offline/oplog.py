"""Reads the operation log of a folder of the 2.x client, without the client and without writing.

A folder holds `data-<first version>.log` files, a new one every 64 MiB, with a JSON
object and a newline per operation: `{"obj": {"type", "path", …}, "version", "at"}`
(`neptune.core.components.queue.disk_queue`; clients before 1.0 have no `at`). The client's
own queue is never opened on it: leaving its context deletes acknowledged logs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from neptune_exporter_offline.problems import Problems, Unreadable

_LOG_NAME = re.compile(r"data-(\d+)\.log")

UPLOADS = "upload_path"
"""The subfolder with copies of what was logged from memory."""


class Record(NamedTuple):
    """One operation of the log, and where it stands, so that its bytes need not be kept."""

    at: float
    """When it was logged, seconds since 1970; never before the one before it in the same log."""
    operation: dict[str, Any]
    file: str
    offset: int
    length: int


def log_files(folder: Path) -> list[tuple[int, Path]]:
    """The log's files with their first versions, in order."""
    found = ((match, path) for path in folder.iterdir() if (match := _LOG_NAME.fullmatch(path.name)))
    return sorted((int(match[1]), path) for match, path in found)


def is_log_name(name: str) -> bool:
    return _LOG_NAME.fullmatch(name) is not None


def read_version(folder: Path, name: str) -> int:
    """The number in `last_put_version` or `last_ack_version`; 0 where there is none or the file is empty."""
    try:
        return int((folder / name).read_text(encoding="ascii").strip() or 0)
    except (OSError, ValueError):
        return 0


def records(folder: Path, problems: Problems) -> Iterator[Record]:
    """All operations in the order of their versions, over all files of the log.

    A record that cannot be read is left out and reported. The usual one is the last:
    the client buffers its log, so a killed process leaves its end cut off, or whole
    operations unwritten that `last_put_version` counts. So is a file that cannot be read.
    """
    try:
        files = log_files(folder)
    except OSError as error:
        problems.add("", None, f"{folder.name}: {error.strerror}; it was not read", permanent=False)
        return
    version, at, torn = files[0][0] - 1 if files else 0, 0.0, False
    for number, (_, path) in enumerate(files):
        name, offset, is_last = path.name, 0, number == len(files) - 1
        try:
            with path.open("rb") as file:
                for line in file:
                    start, length = offset, len(line)
                    offset += length
                    parsed = _parse(line)
                    if parsed is None:
                        torn = is_last and not line.endswith(b"\n")
                        if not torn and not line.isspace():
                            where = f"{folder.name}/{name}, byte {start:,}"
                            problems.add("", None, f"{where}: no operation can be read there")
                            version += 1
                        continue
                    operation, found, logged_at = parsed
                    if logged_at > at:
                        at = logged_at
                    if found != version + 1 and found > version:
                        missing = f"operations {version + 1:,} to {found - 1:,} are missing from the log"
                        problems.add("", None, f"{folder.name}: {missing}")
                    version = found if found > version else version + 1
                    yield Record(at, operation, name, start, length)
        except OSError as error:
            where = f"{folder.name}/{name}, byte {offset:,}"
            problems.add("", None, f"{where}: {error.strerror}; the rest was not read", permanent=False)
            if is_last:
                return
            version = files[number + 1][0] - 1  # not missing, only not readable now
    _report_lost_end(folder, version, torn, problems)


def read_at(folder: Path, name: str, offset: int, length: int) -> dict[str, Any]:
    """Read one operation again."""
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
        return record["obj"], record["version"] + 0, (record.get("at") or 0.0) + 0.0
    except (KeyError, TypeError, AttributeError):
        return None


def _report_lost_end(folder: Path, version: int, torn: bool, problems: Problems) -> None:
    put = read_version(folder, "last_put_version")
    if put > version:
        first = version + 1
        which = f"operation {put:,} is" if put == first else f"operations {first:,} to {put:,} are"
        end = "; the last record is cut off" if torn else ""
        problems.add("", None, f"{folder.name}: {which} lost: the process ended before writing to disk{end}")
    elif torn:
        problems.add("", None, f"{folder.name}: the last record of the log is cut off and lost")

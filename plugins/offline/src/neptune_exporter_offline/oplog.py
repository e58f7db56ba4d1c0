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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from neptune_exporter_offline.problems import Problems, Unreadable

_LOG_NAME = re.compile(r"data-(\d+)\.log")

UPLOADS = "upload_path"
"""The subfolder with copies of what was logged from memory."""


@dataclass(frozen=True)
class Position:
    """Where a record is, so that its bytes need not be kept."""

    file: str
    offset: int
    length: int


@dataclass(frozen=True)
class Record:
    """One operation of the log."""

    operation: dict[str, Any]
    at: float
    """When it was logged, seconds since 1970; never before the one before it in the same log."""
    position: Position


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
    operations unwritten that `last_put_version` counts.
    """
    version, at = 0, 0.0
    files = log_files(folder)
    if files:
        version = files[0][0] - 1
    torn = False
    for number, (_, path) in enumerate(files):
        with path.open("rb") as file:
            for position, line in _lines(file, path.name):
                record = _parse(line)
                if record is None:
                    torn = number == len(files) - 1 and not line.endswith(b"\n")
                    if not torn:
                        where = f"{folder.name}/{path.name}, byte {position.offset:,}"
                        problems.add("", None, f"{where}: no operation can be read there")
                        version += 1
                    continue
                logged_at, found = record.get("at"), record.get("version")
                if isinstance(logged_at, (int, float)):
                    at = max(at, float(logged_at))
                if not isinstance(found, int):
                    found = version + 1
                if found > version + 1:
                    missing = f"operations {version + 1:,} to {found - 1:,} are missing from the log"
                    problems.add("", None, f"{folder.name}: {missing}")
                version = max(version, found)
                yield Record(record["obj"], at, position)
    _report_lost_end(folder, version, torn, problems)


def read_at(folder: Path, position: Position) -> dict[str, Any]:
    """Read one operation again."""
    with (folder / position.file).open("rb") as file:
        file.seek(position.offset)
        record = _parse(file.read(position.length))
    if record is None:
        raise Unreadable(f"{folder.name}/{position.file} changed while it was read")
    operation: dict[str, Any] = record["obj"]
    return operation


def _lines(file: BinaryIO, name: str) -> Iterator[tuple[Position, bytes]]:
    offset = 0
    for line in file:
        if not line.isspace():
            yield Position(name, offset, len(line)), line
        offset += len(line)


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        try:
            record = json.loads(line, strict=False)  # a bare NaN, or an integer beyond 64 bits
        except ValueError:
            return None
    if isinstance(record, dict) and isinstance(record.get("obj"), dict):
        return record
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

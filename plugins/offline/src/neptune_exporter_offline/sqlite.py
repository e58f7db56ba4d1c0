"""Opens a database of neptune-scale for reading, so that nothing is ever written beside the original.

The client uses write-ahead logging: after a crash, part of the operations are only in
the `-wal` file. A connection would write to `-shm`, and merge the log into the database when it is closed.
So if such a file has content, all of them are copied, and the copy is opened.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from neptune_exporter.contract import SourceError

_ATTEMPTS = 3
"""How often a database is copied that changes meanwhile, until it is left alone."""
_MAGIC = b"SQLite format 3\0"


@contextmanager
def open_database(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to the database or to a temporary copy of it.

    Raises:
        SourceError: a client is writing to it.
        sqlite3.DatabaseError: it is damaged, or no database.
        OSError: it may not be read.
    """
    if not _has_content(_beside(path, "-wal")) and not _has_content(_beside(path, "-journal")):
        # `immutable`: no locks, no recovery, no side files.
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            yield database
        return
    with tempfile.TemporaryDirectory(prefix="neptune-exporter-") as folder:
        copy = _copy(path, Path(folder))
        with closing(sqlite3.connect(copy)) as database:
            yield database


def is_database(path: Path) -> bool:
    """Whether a file says at its start that it is one (`magic_header_string` of SQLite's file format). Raises
    OSError if it may not be read."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def database_files(path: Path) -> list[Path]:
    """The database and the files that belong to it."""
    beside = [_beside(path, suffix) for suffix in ("-wal", "-shm", "-journal")]
    return [path, *(p for p in beside if os.path.exists(p))]  # noqa: PTH110 - pathlib's raises


def _copy(path: Path, folder: Path) -> Path:
    for _ in range(_ATTEMPTS):
        before = _state(path)
        for leftover in folder.iterdir():
            leftover.unlink()
        for source in database_files(path):
            shutil.copyfile(source, folder / source.name)
        if _state(path) == before:
            return folder / path.name
    raise SourceError(f"{path} changes while it is read; let the run that writes to it end, then try again")


def _state(path: Path) -> list[tuple[str, int, int]]:
    return [(p.name, s.st_size, s.st_mtime_ns) for p in database_files(path) for s in [p.stat()]]


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False

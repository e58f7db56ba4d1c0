"""Databases of neptune-scale that lie beside the `.neptune` folder that was searched (`log_directory`)."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

from neptune_exporter_offline.folders import DATABASE, describe_database

_MOST_ENTRIES = 200
"""So many are looked at here and in each folder beside: a home folder may hold thousands."""


def unread_beside(data: Path, read: Collection[Path]) -> list[Path]:
    """Where databases of the client lie that were not read: folders beside `.neptune`, or the one above.

    Args:
        data: The `.neptune` folder.
        read: The databases that were read.
    """

    def is_unread(path: Path) -> bool:
        is_file = path.suffix == ".sqlite3" and os.path.isfile(path)  # noqa: PTH113 - pathlib's may raise
        return is_file and path.resolve() not in read and describe_database(path, is_data=False) is not None

    found = [data.parent] if any(map(is_unread, _entries(data.parent))) else []
    for folder in filter(os.path.isdir, _entries(data.parent)):
        inside = list(_entries(folder))
        # Since 0.13, each database lies in a folder of its own.
        if any(map(is_unread, (*inside, *(path / DATABASE for path in inside)))):
            found.append(folder)
    return found


def _entries(folder: Path) -> Iterator[Path]:
    """Visible entries, as far as they can be read: this is only for a hint."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in islice(entries, _MOST_ENTRIES))
    except OSError:
        return iter(())
    return (folder / name for name in names if not name.startswith("."))

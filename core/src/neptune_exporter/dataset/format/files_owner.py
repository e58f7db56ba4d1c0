"""Whose files a files folder holds.

An export deletes files that no row of its dataset names any more. In a folder that two
datasets shared, that would be files of the other one. So a files folder says which dataset
it belongs to: by an id that the data folder has too, for either may be moved or mounted
elsewhere, and by the way to the data folder, for a copy of it has the same id.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass

from neptune_exporter.contract import DatasetError, UsageError
from neptune_exporter.dataset.format import rowless
from neptune_exporter.dataset.format.layout import OWNER, SANITISED, temporary
from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.dataset.format.storages import storage_at


@dataclass(frozen=True)
class _Mark:
    """What either folder says."""

    id: str
    data: str = "."
    """The way to the data folder, from the folder that says so."""


def claim(data: Storage, files: Storage, holds_runs: Callable[[], bool]) -> None:
    """Note that the files are those of this data folder. Call it with both locked; raises as `check` does."""
    own = check(data, files, holds_runs)
    _write(data, own)
    _write(files, _Mark(own.id, files.location.resolve().way_to(data.location.resolve())))


def check(data: Storage, files: Storage, holds_runs: Callable[[], bool]) -> _Mark:
    """See whether the files can be those of this data folder. Writes nothing.

    Args:
        data: The data folder.
        files: The files folder.
        holds_runs: Whether there is any run in the data folder, whoever exported it.

    Returns:
        What the data folder says of itself, or should.

    Raises:
        UsageError: they are, or may be, another dataset's.
    """
    here, there = data.location.resolve(), files.location.resolve()
    own, mark = _read(data), _read(files)
    if not _holds_files(files):
        mark = None  # whoever had it has nothing to lose
    elif mark is None:
        # Of an export from before there were marks, or by another tool.
        if not holds_runs():
            raise UsageError(_NOBODYS.format(files=files.location, data=data.location))
    else:
        owner = there.at(mark.data)
        if own is None:
            mine = owner.is_same(here) and holds_runs()
        else:
            mine = mark.id == own.id and (owner.is_same(here) or _read(storage_at(owner)) != own)
        if not mine:
            text, marker = _NOBODYS if owner.is_same(here) else _ANOTHERS, files.describe(OWNER)
            raise UsageError(
                text.format(files=files.location, data=data.location, owner=owner, marker=marker)
            )
    return own or _Mark(mark.id if mark else uuid.uuid4().hex)


def check_to_read(data: Storage, files: Storage) -> None:
    """Raise UsageError if the files are another dataset's. What has no mark may be anybody's."""
    own, mark = _read(data), _read(files)
    if mark is None or not _holds_files(files):  # an export of another dataset may take over an empty one
        return
    owner = files.location.resolve().at(mark.data)
    if not owner.is_same(data.location) and (own is None or own.id != mark.id):
        raise UsageError(
            f"{files.location} is the folder for files of the dataset {owner}, not of {data.location}: "
            "name the folder of its files with --files-path"
        )


_ANOTHERS = (
    "{files} holds the files of the dataset {owner}, and an export into {data} may delete them: give it "
    "a --files-path of its own. If they are its own, because it was moved or copied, delete {marker}"
)
_NOBODYS = (
    "{files} holds files that are not of {data}, and an export may delete them: give it a --files-path of "
    "its own, or move or delete what is there"
)


def _holds_files(files: Storage) -> bool:
    """Whether anything lies in the folder of a project."""
    projects = (e for e in files.list() if not e.is_file and re.fullmatch(SANITISED, e.name))
    return any(files.holds(project.path) for project in projects)


def _read(storage: Storage) -> _Mark | None:
    if storage.size(OWNER) is None:
        return None
    try:
        value = json.loads(rowless.unwrapped(storage.read(OWNER)))
        return _Mark(str(value["id"]), str(value["data"]))
    except (DatasetError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _write(storage: Storage, mark: _Mark) -> None:
    if _read(storage) != mark:
        storage.create_whole(temporary(OWNER), rowless.wrapped(json.dumps(asdict(mark)).encode()))
        storage.move(temporary(OWNER), OWNER)

"""Which dataset a files folder belongs to.

An export deletes files that no row of its dataset names any more: in a shared folder, also those of another
dataset. So a files folder stores the id of its data folder, because either may be moved or mounted elsewhere,
and the relative path to it, because a copy of the data folder has the same id.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass

from neptune_exporter.contract import DatasetError, UsageError
from neptune_exporter.dataset.format import rowless
from neptune_exporter.dataset.format.layout import OWN_FOLDER, OWNER, SANITISED, is_data, temporary
from neptune_exporter.dataset.format.paths import folded
from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.dataset.format.storages import storage_at
from neptune_exporter.location import Location


@dataclass(frozen=True)
class _Mark:
    """What both folders store."""

    id: str
    data: str = "."
    """The path to the data folder, relative to the folder that stores it."""


def claim(data: Storage, files: Storage, holds_runs: Callable[[], bool]) -> None:
    """Record that the files belong to this data folder. Call it with both locked. Raises like `check`."""
    own = check(data, files, holds_runs)
    _write(data, own)
    _write(files, _Mark(own.id, files.location.resolve().way_to(data.location.resolve())))


def check(data: Storage, files: Storage, holds_runs: Callable[[], bool]) -> _Mark:
    """Check whether the files can belong to this data folder, which may hold any tool's runs. Writes nothing.
    Returns the mark that the data folder has, or should get. Raises UsageError if the files belong, or may
    belong, to another dataset."""
    here, there = data.location.resolve(), files.location.resolve()
    own, mark = _read_of_data(data), _read(files)
    if not _holds_files(files):
        mark = None  # an empty folder has nothing to lose
    elif mark is None:
        # The files of another tool's export have no mark; a damaged mark does not say whose they are.
        is_damaged = files.size(OWNER) is not None
        if not holds_runs() or (is_damaged and not _projects(files) <= _projects(data)):
            raise UsageError(_NOBODYS.format(files=files.location, data=data.location))
    elif not _are_ours(own, mark, owner := there.at(mark.data), here, holds_runs):
        text, marker = _NOBODYS if owner.is_same(here) else _ANOTHERS, files.describe(OWNER)
        raise UsageError(text.format(files=files.location, data=data.location, owner=owner, marker=marker))
    return own or _Mark(mark.id if mark else uuid.uuid4().hex)


def _are_ours(
    own: _Mark | None, mark: _Mark, owner: Location, here: Location, holds_runs: Callable[[], bool]
) -> bool:
    """Whether marked files belong to the data folder that is `here`, and not to their `owner`."""
    if own is None:
        return owner.is_same(here) and holds_runs()
    return mark.id == own.id and (owner.is_same(here) or _read(storage_at(owner)) != own)


def may_hold(data: Storage, files: Storage) -> bool:
    """Whether a folder of files has anything of the dataset: its mark, or a folder of one of its projects. If
    it is also the folder of data, whether anything but data is there."""
    if files.location.is_same(data.location):
        projects = (e.path for e in files.list() if not e.is_file and e.name != OWN_FOLDER)
        return any(e.is_file and not is_data(e.path) for p in projects for e in files.list(p, recursive=True))
    mark = _read(files)
    if mark is not None and (own := _read(data)) is not None and mark.id == own.id:
        return True
    return not _projects(data).isdisjoint(_projects(files))


def check_to_read(data: Storage, files: Storage) -> None:
    """Raise UsageError if the files belong to another dataset, or the data folder is one of files. A folder
    without a mark passes."""
    own, mark = _read_of_data(data), _read(files)
    if mark is None or not _holds_files(files):  # an export of another dataset may take over an empty folder
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


def _projects(storage: Storage) -> set[str]:
    """The names of the folders of projects, as file systems compare them."""
    return {folded(e.name) for e in storage.list() if not e.is_file and e.name != OWN_FOLDER}


def _holds_files(files: Storage) -> bool:
    """Whether the folder of any project has anything in it."""
    projects = (e for e in files.list() if not e.is_file and re.fullmatch(SANITISED, e.name))
    return any(files.holds(project.path) for project in projects)


def problem(storage: Storage) -> str:
    """What is wrong with the mark of a folder; empty if nothing is."""
    try:
        _parsed(storage)
    except DatasetError as error:
        return f"was not read: {error}"
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return f"is damaged ({error}): the next export writes it again"
    return ""


def _read_of_data(data: Storage) -> _Mark | None:
    """The mark of a folder of data. Raises UsageError if it is a folder of files."""
    own = _read(data)
    if own is not None and own.data != ".":
        owner = data.location.resolve().at(own.data)
        raise UsageError(
            f"{data.location} is the folder for files of the dataset {owner}: name that with --data-path"
        )
    return own


def _read(storage: Storage) -> _Mark | None:
    """None if there is none, or it is damaged: the mark of the other folder tells as much."""
    try:
        return _parsed(storage)
    except (DatasetError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _parsed(storage: Storage) -> _Mark | None:
    if storage.size(OWNER) is None:
        return None
    value = json.loads(rowless.unsealed(storage.read(OWNER)))
    return _Mark(str(value["id"]), str(value["data"]))


def _write(storage: Storage, mark: _Mark) -> None:
    if _read(storage) != mark:
        storage.create_whole(temporary(OWNER), rowless.sealed(json.dumps(asdict(mark)).encode()))
        storage.move(temporary(OWNER), OWNER)

"""Makes file sets and artifacts of Neptune 2.x during the export, as `neptune sync` would.

The log holds only glob patterns and paths. How the client turns them into the files of
a set is in `neptune.internal.backends.hosted_file_operations.get_unique_upload_entries`,
and into the list of an artifact in `neptune.internal.artifacts.drivers.local`.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, BinaryIO, cast
from urllib.parse import urlsplit

from neptune_exporter.contract import OpenFile, StoredFile
from neptune_exporter_offline.files import FileStore, Report, read_chunks
from neptune_exporter_offline.problems import Unreadable, shown


@dataclass(frozen=True)
class Upload:
    """`upload_files`: add what the patterns match."""

    patterns: tuple[str, ...]
    working_directories: tuple[Path, ...]
    """Where the process may have run. The first one is right unless its folder was copied since."""
    at: float
    """When it was logged, seconds since 1970."""


@dataclass(frozen=True)
class Removal:
    """`delete_files`: remove entries of the set, or what lies below them."""

    names: frozenset[str]


@dataclass(frozen=True)
class Tracked:
    """`track_files`: a path of an artifact, and where in it the files go."""

    path: str
    destination: str | None
    working_directories: tuple[Path, ...]
    """As in `Upload`."""
    at: float


def store_file_set(
    path: str, changes: Sequence[Upload | Removal], store: FileStore, report: Report
) -> StoredFile | None:
    """Zip the files of a set into the dataset; None if there are none (what is missing was reported). Raises
    Unreadable if none of them can be read, or the disk fails."""
    entries = _entries(changes, store, report)
    if not entries:
        return None
    with store.writer.create(store.run, path, name="files.zip") as target:
        output = cast("IO[bytes]", _ZipOutput(target))
        with zipfile.ZipFile(output, "w", strict_timestamps=False) as archive:
            for name, (source, at) in sorted(entries.items()):
                try:
                    file = store.open_path(str(source), path, at)
                except Unreadable as problem:
                    report(problem)
                    continue
                with file:
                    _add(archive, name, source, file)
        if not archive.namelist():
            raise Unreadable("none of its files can be read")
    return target.stored


def _entries(
    changes: Sequence[Upload | Removal], store: FileStore, report: Report
) -> dict[str, tuple[Path, float]]:
    """The files of a set by their names in it, each with the time at which it was logged."""
    entries: dict[str, tuple[Path, float]] = {}
    for change in changes:
        if isinstance(change, Upload):
            entries.update((name, (file, change.at)) for name, file in _find(change, store, report))
        else:
            entries = {n: found for n, found in entries.items() if not _is_in(n, change.names)}
    return entries


def store_artifact(
    path: str, changes: Sequence[Tracked | str], store: FileStore, report: Report
) -> StoredFile | None:
    """The list of an artifact's files as JSON, as Neptune lists them; None if there are none.

    A change that is a text is the hash of another artifact, by which this one was assigned.
    """
    listed: dict[str, dict[str, Any]] = {}
    for change in changes:
        try:
            if isinstance(change, str):
                reason = f"only the server knew the files of the artifact with the hash {change}"
                raise Unreadable(reason, permanent=True)
            for entry in _tracked_files(path, change, store, report):
                listed[entry["filePath"]] = entry
        except Unreadable as problem:
            report(problem)
    if not listed:
        return None
    with store.writer.create(store.run, path, name="files_list.json") as target:
        target.write(json.dumps([listed[name] for name in sorted(listed)]).encode())
    return target.stored


def _is_in(name: str, removed: frozenset[str]) -> bool:
    return any(name == r or name.startswith(r.rstrip("/") + "/") for r in removed)


def _find(upload: Upload, store: FileStore, report: Report) -> Iterator[tuple[str, Path]]:
    """Names in the set and the files that they are."""
    matches: set[Path] = set()
    for pattern in upload.patterns:
        try:
            matches |= _matches(pattern, store, report)
        except Unreadable as problem:
            report(problem)
    root = _root(matches, upload.working_directories)
    for match in sorted(matches):
        for file in _files_below(match, report) if _is_folder(match) else [match]:
            yield (file if root is None else file.relative_to(root)).as_posix(), file


def _matches(pattern: str, store: FileStore, report: Report) -> set[Path]:
    """What a pattern matches. Raises Unreadable if nothing matches though every folder on the way could be
    searched."""
    store.check_paths_may_be_read(pattern)
    # Not pathlib: the client's patterns skip hidden files.
    found = {Path(p) for p in glob.iglob(pattern, recursive=True)}  # noqa: PTH207
    closed = _closed_folders(pattern)
    for folder in closed:
        report(Unreadable(f"{shown(folder)} may not be searched for {shown(pattern)}"))
    if not found and not closed:
        raise Unreadable(f"nothing on this machine matches {shown(pattern)}")
    return found


def _closed_folders(pattern: str) -> list[str]:
    """Folders on the way of a pattern that may not be searched: glob skips them silently."""
    found: set[str] = set()
    parent, name = os.path.split(pattern)
    while name:
        is_listed = glob.has_magic(name) or parent.endswith("**")
        needed = os.X_OK | os.R_OK if is_listed else os.X_OK
        folders = glob.iglob(f"{parent}{os.sep}", recursive=True)  # noqa: PTH207
        found.update(folder for folder in folders if not os.access(folder, needed))
        parent, name = os.path.split(parent)
    return sorted(found)


def _files_below(folder: Path, report: Report) -> Iterator[Path]:
    """All files of a folder, as the client finds them: links to folders are not followed."""

    def refuse(error: OSError) -> None:
        report(Unreadable(f"{shown(str(error.filename))} cannot be read: {error.strerror}"))

    for directory, _, files in os.walk(folder, onerror=refuse):
        yield from (Path(directory, file) for file in files)


def _is_folder(path: Path) -> bool:
    """Unlike pathlib, does not raise for a path in a closed folder. Opening it then says what is wrong."""
    return os.path.isdir(path)  # noqa: PTH112


def _root(matches: set[Path], working_directories: Sequence[Path]) -> Path | None:
    """What names in the set are relative to."""
    try:
        root = Path(os.path.commonpath(matches))
    except ValueError:  # nothing, or on several Windows drives
        return None
    if not _is_folder(root):
        root = root.parent
    return next((where for where in working_directories if where in root.parents), root)


def _add(archive: zipfile.ZipFile, name: str, source: Path, file: BinaryIO) -> None:
    # Names in a zip are Unicode. Escapes keep two names distinct that U+FFFD would make one.
    name = name.encode(errors="backslashreplace").decode()
    info = zipfile.ZipInfo.from_file(source, name, strict_timestamps=False)
    info.compress_type = zipfile.ZIP_DEFLATED
    with archive.open(info, "w", force_zip64=True) as target:
        for chunk in read_chunks(file):
            target.write(chunk)


class _ZipOutput:
    """What zipfile needs to write a stream that cannot seek."""

    def __init__(self, target: OpenFile) -> None:
        self._target = target

    def write(self, data: bytes) -> int:
        self._target.write(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing to do: nothing is buffered."""


def _tracked_files(path: str, tracked: Tracked, store: FileStore, report: Report) -> Iterator[dict[str, Any]]:
    location = _location(tracked, store)
    for file in _files_below(location, report) if _is_folder(location) else [location]:
        name = file.relative_to(location).as_posix() if file != location else file.name
        if tracked.destination is not None:
            name = f"{tracked.destination.rstrip('/')}/{name}"
        try:
            with store.open_path(str(file), path, tracked.at) as content:
                yield _listed(name, file, content)
        except Unreadable as problem:
            report(problem)


def _location(tracked: Tracked, store: FileStore) -> Path:
    """Where the files of an artifact lie. Raises Unreadable if they are not on this machine, or may not be
    read."""
    scheme = urlsplit(tracked.path).scheme
    if scheme not in ("", "file"):
        raise Unreadable(f"{shown(tracked.path)} is not on this machine; the artifact's list cannot be made")
    store.check_paths_may_be_read(tracked.path)
    location = Path(tracked.path.removeprefix("file://")).expanduser()
    # An absolute path stays as it is.
    locations = [where / location for where in tracked.working_directories]
    return next((place for place in locations if os.path.lexists(place)), locations[0])


def _listed(name: str, file: Path, content: BinaryIO) -> dict[str, Any]:
    digest = hashlib.sha1(usedforsecurity=False)  # what Neptune identifies files by
    for chunk in read_chunks(content):
        digest.update(chunk)
    status = os.fstat(content.fileno())
    modified = datetime.fromtimestamp(status.st_mtime).strftime("%Y-%m-%d %H:%M:%S")
    return {
        "filePath": name,
        "fileHash": digest.hexdigest(),
        "type": "Local",
        "size": status.st_size,
        "metadata": {"file_path": f"file://{file.resolve().as_posix()}", "last_modified": modified},
    }

"""Files that a run logged: where their bytes are, and how they get into the dataset.

A path in a log is the user's own reference to a file of this machine: it is read when it
is still there, unless the user says not to. A copy that the client made is read
only from the run's own folder, never through a link or a name that leaves it.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import BinaryIO

from neptune_exporter.contract import FileWriter, StoredFile
from neptune_exporter.model import RunKey
from neptune_exporter.toolkit.filekinds import HEAD_BYTES, kind_of
from neptune_exporter_offline import oplog
from neptune_exporter_offline.folders import Folder
from neptune_exporter_offline.problems import Problems, Unreadable, shown

_CHUNK = 1 << 20
"""Bytes that are copied at once."""
_CLOCK_SECONDS = 1.0
"""How far the clocks of a machine and of its file server may differ."""

Report = Callable[[Unreadable], None]
"""Is called with each problem that costs only a part, such as one file of a set."""

BY_PATH, COPY, INLINE, DESTINATION = "path", "copy", "inline", "destination"


@dataclass(frozen=True)
class FileReference:
    """Where the bytes of a logged file are. Small, because every entry of a series has one."""

    folder: int
    """Index among the folders of the run."""
    kind: str
    """`path` on this machine, `copy` in the folder, `inline` in the log, or a `destination` (3.x)."""
    text: str = ""
    """The path, the copy's name, or the destination."""
    name: str = ""
    """A file name or extension, by which a person recognises the file."""
    log: str = ""
    offset: int = 0
    length: int = 0
    """`inline`: the record in the log."""
    index: int = 0
    """`inline`: which of the record's values."""
    at: float = 0.0
    """By path: when it was logged, seconds since 1970; 0 where that is not known."""
    size: int | None = None
    """`destination`: how many bytes it had when it was logged."""

    def encode(self) -> str:
        return json.dumps(astuple(self))

    @classmethod
    def decode(cls, text: str) -> FileReference:
        return cls(*json.loads(text))


@dataclass(frozen=True)
class UploadRequest:
    """A row of `file_upload_requests` of neptune-scale: which file belongs to a destination."""

    folder: int
    source_path: str
    is_temporary: bool
    """The client wrote the file itself, into the run's folder."""


@dataclass(frozen=True)
class FileStore:
    """Stores files of one run in the dataset."""

    run: RunKey
    writer: FileWriter
    folders: Sequence[Folder]
    requests: Mapping[str, UploadRequest]
    processes: Sequence[Sequence[int]]
    problems: Problems
    read_paths: bool

    def store(
        self,
        path: str,
        reference: FileReference,
        report: Report,
        step: float | None = None,
        ordinal: int = 0,
    ) -> StoredFile:
        """Stream one file into the dataset. A file that changed since it was logged is kept, and reported.
        Raises Unreadable if it is gone, or is not to be read."""
        name, source = self._open(path, reference)
        with source, self.writer.create(self.run, path, name=name, step=step, ordinal=ordinal) as target:
            for chunk in read_chunks(source):
                target.write(chunk)
        if reference.size not in (None, target.stored.size):
            file = shown(str(source.name))
            report(Unreadable(f"{file} has another size than when it was logged; it was stored as it is now"))
        return target.stored

    def open_path(self, path: str, attribute_path: str, at: float) -> BinaryIO:
        """Open a file that was logged by path at a time, for an attribute. Raises Unreadable if it is gone,
        or is not to be read."""
        self.check_paths_may_be_read(path)
        file = _open_regular(Path(path), f"{shown(path)} was logged by its path and is not on this machine")
        if at and os.fstat(file.fileno()).st_mtime > at + _CLOCK_SECONDS:
            what = "logged by its path and modified since; what was stored may not be what was logged"
            self.problems.note(f"{attribute_path}: {what}")
        return file

    def check_paths_may_be_read(self, path: str) -> None:
        """Raises Unreadable if the user said that files logged by path are not to be read."""
        if not self.read_paths:
            raise Unreadable(f"{shown(path)} was logged by its path, and --no-offline-read-files was given")

    def _open(self, path: str, reference: FileReference) -> tuple[str, BinaryIO]:
        if reference.kind == BY_PATH:
            return reference.name, self.open_path(reference.text, path, reference.at)
        if reference.kind == COPY:
            return reference.name, self._open_copy(reference.folder, oplog.UPLOADS, reference.text)
        if reference.kind == INLINE:
            content = self._inline(reference)
            return reference.name or image_extension(content), io.BytesIO(content)
        return self._open_destination(path, reference.text, reference.at)

    def _open_copy(self, folder: int, subfolder: str, name: str) -> BinaryIO:
        if name in ("", "..") or Path(name).name != name:
            message = f"the log names a copy outside of its folder ({shown(name)}); not read"
            raise Unreadable(message, permanent=True)
        missing = f"the client's copy {shown(name)} is not there; the client deletes it once it was sent"
        paths = [directory / subfolder / name for directory in self._directories(folder)]
        path = next((path for path in paths if os.path.lexists(path)), paths[0])
        return _open_regular(path, missing, follow_links=False)

    def _directories(self, folder: int) -> list[Path]:
        """The directory of the folder itself, then those of its copies."""
        copies = [i for process in self.processes if folder in process for i in process if i != folder]
        return [self.folders[index].directory for index in (folder, *copies)]

    def _inline(self, reference: FileReference) -> bytes:
        folder = self.folders[reference.folder].path
        operation = oplog.read_at(folder, reference.log, reference.offset, reference.length)
        if "file_content" in operation:
            content = operation["file_content"]
        else:
            value = operation["values"][reference.index]["value"]
            content = value.get("data") if isinstance(value, dict) else value
        try:
            decoded = base64.b64decode(content or "", validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise Unreadable("its content in the log is not base64", permanent=True) from None
        if not decoded:
            raise Unreadable(
                "the client logged it without content, as it does with large images", permanent=True
            )
        return decoded

    def _open_destination(self, path: str, destination: str, at: float) -> tuple[str, BinaryIO]:
        request = self.requests.get(destination)
        if request is None:
            raise Unreadable(
                f"the client had sent the file to the server ({shown(destination)}) and keeps no trace of it",
                permanent=True,
            )
        source_name, name = base_name(request.source_path), base_name(destination)
        if not request.is_temporary:
            return name, self.open_path(request.source_path, path, at)
        # The client names such a file by a uuid, of which only the extension is of use.
        shown_name = Path(name).suffix if name == source_name else name
        return shown_name, self._open_copy(request.folder, "", source_name)


def _open_regular(path: Path, missing: str, *, follow_links: bool = True) -> BinaryIO:
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe must not block
    try:
        if not follow_links:
            if path.is_symlink():
                raise Unreadable(f"{shown(str(path))} is a link; not followed", permanent=True)
            flags |= getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError):
        raise Unreadable(missing) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Unreadable(f"{shown(str(path))} cannot be read: {reason}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unreadable(f"{shown(str(path))} is not a file")
    # Not fdopen: messages name the file.
    return open(str(path), "rb", opener=lambda *_: descriptor)


def read_chunks(source: BinaryIO) -> Iterator[bytes]:
    """All bytes in pieces. Raises Unreadable if the medium fails."""
    while True:
        try:
            chunk = source.read(_CHUNK)
        except OSError as error:
            raise Unreadable(f"{shown(str(source.name))} cannot be read: {error.strerror}") from error
        if not chunk:
            return
        yield chunk


def image_extension(content: bytes) -> str:
    """The extension of an image by its first bytes; the client logs images without their names."""
    kind = kind_of("", content[:HEAD_BYTES])
    return f".{kind.extension}" if kind.media == "image" else ""


def base_name(path: str) -> str:
    return re.split(r"[/\\]", path)[-1]

"""Lists the files in a zip while it streams by: the directory of a zip is at its end."""

from __future__ import annotations

import io
import zipfile
from types import TracebackType
from typing import Any

from neptune_exporter.contract import OpenFile, SourceError, StoredFile

_KEPT = 8 << 20
"""How many bytes of the end are kept: enough for the directory of some 80,000 files."""


class TailedFile(OpenFile):
    """Writes all to another file and remembers the end. Use it inside the `with` block of the other file."""

    def __init__(self, target: OpenFile) -> None:
        self._target = target
        self.tail = bytearray()

    def write(self, data: bytes) -> None:
        self._target.write(data)
        self.tail += data
        if len(self.tail) > 2 * _KEPT:
            del self.tail[:-_KEPT]

    @property
    def size(self) -> int:
        return self._target.size

    def restart(self) -> None:
        self._target.restart()
        self.tail.clear()

    @property
    def stored(self) -> StoredFile:
        return self._target.stored

    def __enter__(self) -> OpenFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.tail.clear()


class _TooLongError(Exception):
    """The directory begins before what was kept."""


def members(file: TailedFile) -> list[dict[str, Any]] | None:
    """The files in a zip: path, bytes, CRC-32 (hex), and the time of change as the zip has it (no zone).

    None if there are too many: the zip would have to be read again.

    Raises:
        SourceError: it is no zip, or not whole.
    """
    try:
        with zipfile.ZipFile(_End(file)) as archive:
            return [
                {
                    "filePath": info.filename,
                    "size": info.file_size,
                    "crc32": f"{info.CRC:08x}",
                    "modified": "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}".format(*info.date_time),
                }
                for info in archive.infolist()
                if not info.is_dir()
            ]
    except _TooLongError:
        return None
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise SourceError(f"what the server sent is no whole zip: {error}") from None


class _End(io.RawIOBase):
    """A file of which only the end can be read: all that a zip's directory needs."""

    def __init__(self, file: TailedFile) -> None:
        self._size = file.size
        self._tail = bytes(file.tail)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError("before the beginning")
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        start = self._at - (self._size - len(self._tail))
        if start < 0:
            raise _TooLongError
        end = len(self._tail) if size is None or size < 0 else start + size
        data = self._tail[start:end]
        self._at += len(data)
        return data

"""Lists the files in a zip while it streams by: the directory of a zip is at its end."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from neptune_exporter.contract import OpenFile, SourceError

_KEPT = 8 << 20
"""How many bytes of the end are kept: enough for the directory of some 80,000 files."""


class TailedFile:
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


class _TooLongError(Exception):
    """The directory begins before what was kept."""


class _End(io.BytesIO):
    """The end of a file, at its places in the whole file: zipfile compares those with what the zip says."""

    def __init__(self, file: TailedFile) -> None:
        super().__init__(file.tail)
        self._before = file.size - len(file.tail)

    def tell(self) -> int:
        return self._before + super().tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence == io.SEEK_SET:
            if 0 <= offset < self._before:
                raise _TooLongError
            offset = max(offset - self._before, -1)
        return self._before + super().seek(offset, whence)


def members(file: TailedFile) -> list[dict[str, Any]] | None:
    """The files in a zip: path, bytes, CRC-32 (hex), and the time of change as the zip has it (no zone).

    None if there are too many: the zip would have to be read again. Raises SourceError if it is no zip, or
    not whole.
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

"""A file writer that keeps files in memory, under paths that no source could guess."""

from __future__ import annotations

import hashlib
import threading
import uuid
from decimal import Decimal
from types import TracebackType

from neptune_exporter.contract.files import FileWriter, OpenFile, StoredFile
from neptune_exporter.contract.rows import Step
from neptune_exporter.model import RunKey
from neptune_exporter.testing.runs import canonical_step

Place = tuple[RunKey, str, "Step | None", int]


class MemoryFiles(FileWriter):
    """Keeps what sources store: `contents` by stored path, `places` by (run, attribute, step, ordinal)."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.places: dict[Place, StoredFile] = {}
        self._lock = threading.Lock()

    def create(
        self,
        run: RunKey,
        attribute_path: str,
        *,
        name: str = "",
        step: Decimal | float | None = None,
        ordinal: int = 0,
    ) -> OpenFile:
        return _MemoryFile(self, (run, attribute_path, canonical_step(step), ordinal))

    def store(self, place: Place, content: bytes) -> StoredFile:
        with self._lock:
            old = self.places.get(place)
            path = uuid.uuid4().hex if old is None else old.path
            stored = StoredFile(path, len(content), hashlib.sha256(content).hexdigest())
            self.contents[path] = content
            self.places[place] = stored
        return stored

    def place_of(self, path: str) -> Place | None:
        """Where the file of a stored path belongs, None if no source stored it."""
        with self._lock:
            return next((place for place, stored in self.places.items() if stored.path == path), None)


class _MemoryFile(OpenFile):
    def __init__(self, files: MemoryFiles, place: Place) -> None:
        self._files = files
        self._place = place
        self._buffer = bytearray()
        self._open = False
        self._stored: StoredFile | None = None

    def write(self, data: bytes) -> None:
        self._check_open()
        self._buffer += data

    @property
    def size(self) -> int:
        return len(self._buffer)

    def restart(self) -> None:
        self._check_open()
        self._buffer.clear()

    @property
    def stored(self) -> StoredFile:
        if self._stored is None:
            raise RuntimeError("the file is stored when its `with` block has ended, not before")
        return self._stored

    def __enter__(self) -> OpenFile:
        self._open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        if kind is None:
            self._stored = self._files.store(self._place, bytes(self._buffer))

    def _check_open(self) -> None:
        if not self._open:
            raise RuntimeError("a file is written inside its `with` block only")

"""The bucket of the local Pluto: bytes on disk under the name of their key.

Keys hold whatever people call their files, so no key becomes a path: a blob's
file is named by the digest of its key.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4


@dataclass(frozen=True)
class Blob:
    key: str
    """tenant/project/run/logName/fileName"""
    size: int
    md5: str
    path: Path


class Blobs:
    """Writing a key again replaces its bytes, as in an S3 bucket."""

    def __init__(self, incoming: Path, folder: Path, count_only: bool) -> None:
        self._incoming = incoming
        self._folder = folder
        self._count_only = count_only
        self._blobs: dict[str, Blob] = {}
        self._lock = threading.Lock()
        self.bytes_received = 0
        self.overwritten = 0

    def put(self, key: str, pieces: Iterable[bytes]) -> Blob:
        """Stream to disk; the blob exists only when all of it arrived."""
        digest = hashlib.md5(usedforsecurity=False)
        size = 0
        path = self._folder / hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        incoming = self._incoming / uuid4().hex
        if self._count_only:
            for piece in pieces:
                digest.update(piece)
                size += len(piece)
        else:
            self._incoming.mkdir(parents=True, exist_ok=True)
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                with incoming.open("wb") as file:
                    for piece in pieces:
                        file.write(piece)
                        digest.update(piece)
                        size += len(piece)
                incoming.replace(path)
            finally:
                incoming.unlink(missing_ok=True)
        blob = Blob(key, size, digest.hexdigest(), path)
        with self._lock:
            self.overwritten += key in self._blobs
            self._blobs[key] = blob
            self.bytes_received += size
        return blob

    def get(self, key: str) -> Blob | None:
        with self._lock:
            return self._blobs.get(key)

    def all(self) -> list[Blob]:
        with self._lock:
            return list(self._blobs.values())

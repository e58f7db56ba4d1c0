"""Names that Pluto can take, no two of which are one.

A name that Pluto takes stays as it is. Any other is cleaned, shortened and given
a digest of the original, which is kept in the run's config.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping

_MAX_NAME_BYTES = 2_000
"""Pluto's API took names of 2,000 characters and failed at 3,000 (observed with pluto-server 3e89082)."""
_MAX_FILE_NAME_BYTES = 180
_MAX_FILE_LOG_NAME_BYTES = 500
"""Both are part of the storage key, which S3 limits to 1,024 bytes."""


def digest(*parts: str) -> str:
    """Twelve hex digits that tell such parts from any others."""
    text = "\0".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def shortened(text: str, max_bytes: int, mark: str) -> str:
    """As much of the beginning as fits together with `~mark`, without splitting a character."""
    room = max_bytes - len(mark) - 1
    return text.encode("utf-8", "replace")[:room].decode("utf-8", "ignore") + "~" + mark


def printable(text: str) -> str:
    """Characters that are no text (controls, lone surrogates) replaced by an underscore."""
    return "".join(c if c == " " or c.isprintable() else "_" for c in text)


def file_name(name: str, *identity: str) -> str:
    """A name that can be part of a storage key; one that must be changed gets the digest of `identity`."""
    clean = printable(name).replace("/", "_").replace("\\", "_").strip()
    if clean == name and name.strip(".") and len(name.encode()) <= _MAX_FILE_NAME_BYTES:
        return name
    stem, dot, extension = clean.rpartition(".")
    if not stem or len(extension) > 12:
        stem, dot, extension = clean.strip(".") or "file", "", ""
    tail = dot + extension
    return shortened(stem, _MAX_FILE_NAME_BYTES - len(tail.encode()), digest(*identity)) + tail


class NameBook:
    """The names of one run in Pluto.

    The type matters because the first type under which Pluto meets a name wins. Where
    two attributes want one name the first that asks gets it, so all that read a run
    have to ask in the same order.
    """

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], str] = {}
        self._taken: set[str] = set()
        self._used: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def name(self, path: str, log_type: str, *, in_storage_key: bool = False, used: bool = True) -> str:
        """The name for an attribute; the same for the same arguments.

        Args:
            used: False: only set it aside.
        """
        key = (path, log_type)
        with self._lock:
            known = self._names.get(key)
            if known is None:
                known = self._new(path, log_type, in_storage_key)
                self._names[key] = known
                self._taken.add(known)
            if used:
                self._used.add(key)
            return known

    def _new(self, path: str, log_type: str, in_storage_key: bool) -> str:
        limit = _MAX_FILE_LOG_NAME_BYTES if in_storage_key else _MAX_NAME_BYTES
        clean = printable(path)
        if in_storage_key:
            clean = "/".join("_" if part.strip(".") == "" else part for part in clean.split("/"))
        if clean == path and clean.strip() and len(clean.encode()) <= limit and clean not in self._taken:
            return clean
        mark = digest(path, log_type)
        while (name := shortened(clean.strip() or "_", limit, mark)) in self._taken:
            mark = digest(mark, path, log_type)
        return name

    def by_type(self) -> Mapping[str, list[str]]:
        """All names that are used, by log type."""
        types: dict[str, list[str]] = {}
        with self._lock:
            for key, name in self._names.items():
                if key in self._used:
                    types.setdefault(key[1], []).append(name)
        return types

    def changed(self) -> Iterator[tuple[str, str]]:
        """Names that are used and not the attribute's path, each with the path."""
        with self._lock:
            items = [(key, name) for key, name in self._names.items() if key in self._used]
        return ((name, path) for (path, _), name in items if name != path)

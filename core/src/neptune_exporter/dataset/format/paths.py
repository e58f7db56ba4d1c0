"""Paths that rows name: what they mean, on whatever system they were written, and whether they may be
opened."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath, PureWindowsPath

from neptune_exporter.contract import UnsafePathError
from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.model import RunKey

_NAMES = 1 << 128
"""Digests of names are added modulo this number, so that their order does not matter."""


def meaning(path: str) -> str:
    """One spelling for all paths that name the same file: `/` between components, accents composed, no empty
    components.

    The earlier tool wrote `\\` on Windows; macOS decomposes accents when it unpacks an archive.
    """
    steps = path.replace("\\", "/").split("/")
    return unicodedata.normalize("NFC", "/".join(step for step in steps if step not in ("", ".")))


def folded(path: str) -> str:
    """As `meaning`, but without case, as on macOS and Windows. Used to decide what may be deleted."""
    return unicodedata.normalize("NFC", meaning(path).casefold())


def sum_of_names(paths: Iterable[str]) -> int:
    """A number for a set of paths. It depends neither on their order nor on their spelling."""
    digests = (hashlib.blake2b(folded(path).encode(errors="surrogatepass"), digest_size=16) for path in paths)
    return sum(int.from_bytes(each.digest(), "big") for each in digests) % _NAMES


def added_names(one: int, other: int) -> int:
    """`sum_of_names` of the union of two disjoint sets."""
    return (one + other) % _NAMES


def find(files: Storage, project_folder: str, file: str, run: RunKey) -> str | None:
    """Where the file lies that a row of a run names; None if it is missing. Raises UnsafePathError as
    `safe_path` does, or if a component is a symbolic link."""
    slashed = meaning(safe_path(file, run))
    for spelling in dict.fromkeys([file, slashed, unicodedata.normalize("NFD", slashed)]):
        path = f"{project_folder}/{spelling}"
        files.check_no_links(path)
        if files.size(path) is not None:
            return path
    return None if file.isascii() else _found_step_by_step(files, project_folder, slashed.split("/"))


def _found_step_by_step(files: Storage, folder: str, steps: list[str]) -> str | None:
    """Where a file lies if only some components of its path are decomposed; None if it is missing."""
    for index, step in enumerate(steps):
        is_last = index == len(steps) - 1
        same = [e for e in files.list(folder) if meaning(e.name) == step and e.is_file == is_last]
        if not same:
            return None
        folder = same[0].path
        files.check_no_links(folder)
    return folder


def is_safe(file: str) -> bool:
    """Whether `safe_path` accepts the path."""
    return _objection(file) is None


def safe_path(file: str, run: RunKey) -> str:
    """The path, if it stays below the project's folder of files on every system. Raises UnsafePathError if
    the path is absolute on some system, leaves the folder, or is not a path."""
    objection = _objection(file)
    if objection is not None:
        raise UnsafePathError(f"a row of {run} names the file {file!r}, which {objection}; it is not opened")
    return file


def _objection(file: str) -> str | None:
    windows = PureWindowsPath(file)
    if not meaning(file) or "\0" in file:
        return "is not a path"
    if file.startswith(("/", "\\")) or windows.drive:
        return "is an absolute path"
    if ".." in {*PurePosixPath(file).parts, *windows.parts}:
        return "is outside the files folder"
    return None

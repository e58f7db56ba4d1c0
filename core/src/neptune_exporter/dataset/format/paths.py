"""Whether a path that a row names may be opened."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

from neptune_exporter.contract import UnsafePathError
from neptune_exporter.model import RunKey


def is_safe(file: str) -> bool:
    """Whether `safe_path` takes it."""
    return _objection(file) is None


def safe_path(file: str, run: RunKey) -> str:
    """The path, if it stays below the project's folder of files wherever it is opened.

    Raises:
        UnsafePathError: it is absolute, on any system, or leaves the folder, or is no path at all.
    """
    objection = _objection(file)
    if objection is not None:
        raise UnsafePathError(f"a row of {run} names the file {file!r}, which {objection}; it is not opened")
    return file


def _objection(file: str) -> str | None:
    windows = PureWindowsPath(file)
    if not file or "\0" in file:
        return "is not a path"
    if file.startswith(("/", "\\")) or windows.drive:
        return "is an absolute path"
    if ".." in {*PurePosixPath(file).parts, *windows.parts}:
        return "is outside the files folder"
    return None

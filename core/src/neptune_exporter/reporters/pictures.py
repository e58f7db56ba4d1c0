"""Small pictures of a run, as part of a page."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from neptune_exporter.contract import ExportedRun, NeptuneExporterError
from neptune_exporter.model import FILE_TYPES

LARGEST = 20_000
"""Bytes of a picture that is shown; of a larger one only the name would be of use, and `files` has that."""
_KINDS = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"))


def pictures(run: ExportedRun, room: int) -> Iterator[tuple[str, str, int]]:
    """The last small picture of each attribute: its path, its `data:` address, and its bytes in the page.

    Args:
        room: Bytes that all of them may take together.
    """
    last: dict[str, str] = {}
    for batch in run.batches(FILE_TYPES, columns=["attribute_path", "file_value"]):
        for row in batch.to_pylist():
            if row["file_value"] and row["file_value"]["path"]:
                last[row["attribute_path"]] = row["file_value"]["path"]
    for attribute, path in last.items():
        data = _small(run, path)
        kind = next((kind for magic, kind in _KINDS if data.startswith(magic)), None)
        if kind is not None:
            address = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
            if (room := room - len(address)) < 0:
                return
            yield attribute, address, len(address)


def _small(run: ExportedRun, path: str) -> bytes:
    """The bytes of a file; empty if it is large, not there or not to be read: `verify` tells that."""
    try:
        with run.open_file(path) as file:
            data = file.read(LARGEST + 1)
    except (NeptuneExporterError, OSError):
        return b""
    return data if len(data) <= LARGEST else b""

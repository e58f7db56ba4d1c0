"""Files that a loader makes where a target has no text or histogram series: one JSON line an entry."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from neptune_exporter.sinks.received import FileToSend
from neptune_exporter.toolkit.filekinds import FileKind

MANIFEST = "neptune/manifest.json"
MADE = ("neptune/texts.jsonl", "neptune/histograms.jsonl", MANIFEST)
"""Reserved names: no file of a run gets them."""


class MadeFile:
    """All entries of one kind, in a file of a temporary folder.

    A line is `{"path": …, "step": "0.25", "time": …, "value": …}`: step as text (empty where there is
    none), time in ms since 1970 or null, NaN and infinities as Python's json writes them.
    """

    def __init__(self, folder: Path, what: str) -> None:
        self._name = f"neptune/{what}"
        self._path = folder / f"{what}.jsonl"
        self._counts: Counter[str] = Counter()

    def write(
        self, paths: Sequence[str], steps: Sequence[str], times: Sequence[int | None], values: Sequence[Any]
    ) -> None:
        with self._path.open("ab") as file:
            for path, step, time, value in zip(paths, steps, times, values, strict=True):
                if isinstance(value, tuple):
                    value = value._asdict()  # type: ignore[attr-defined]
                entry = {"path": path, "step": step, "time": time, "value": value}
                self._counts[path] += 1
                file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")

    def files(self, name_of: Callable[[str, str], str]) -> Iterator[FileToSend]:
        """The file to send when everything is written, if there is any entry; it is deleted once it is sent.
        `name_of` gives the name in the target for a name without its extension, and the extension."""
        if self._counts:
            name, size = name_of(self._name, "jsonl"), self._path.stat().st_size
            kind, stored = FileKind("text", "jsonl"), self._path
            yield FileToSend(
                name, name, None, None, size, kind, lambda: stored.open("rb"), True, self._counts
            )
            stored.unlink()

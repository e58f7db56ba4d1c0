"""Files that a loader makes where a target has no text or histogram series: one JSON line an entry."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from neptune_exporter.sinks.received import FileToSend
from neptune_exporter.toolkit.filekinds import FileKind

MANIFEST = "neptune/manifest.json"
MADE = ("neptune/texts.jsonl", "neptune/histograms.jsonl", MANIFEST)
"""Reserved names: no file of a run gets them."""


class MadeFile:
    """All entries of one kind, in a temporary file.

    A line is `{"path": …, "step": "0.25", "time": …, "value": …}`: step as text (empty where there is
    none), time in ms since 1970 or null, NaN and infinities as Python's json writes them.
    """

    def __init__(self, folder: Path, what: str) -> None:
        self._what = what
        self.size = 0
        self._folder = folder
        self._path = folder / f"{what}.jsonl"
        self._file: BinaryIO | None = None
        self._counts: Counter[str] = Counter()

    def write(
        self, paths: Sequence[str], steps: Sequence[str], times: Sequence[int | None], values: Sequence[Any]
    ) -> None:
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("wb")
        for path, step, time, value in zip(paths, steps, times, values, strict=True):
            if isinstance(value, tuple):
                value = value._asdict()  # type: ignore[attr-defined]
            entry = {"path": path, "step": step, "time": time, "value": value}
            self._counts[path] += 1
            self.size += self._file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")

    def files(self, name_of: Callable[[str, str], str]) -> Iterator[FileToSend]:
        """The file to send when everything is written, if there is any entry.

        Args:
            name_of: Gives the name in the target for a name without its extension, and the extension.
        """
        if self._file is not None:
            self._file.flush()
            name, kind = name_of(f"neptune/{self._what}", "jsonl"), FileKind("text", "jsonl")
            yield FileToSend(
                name, name, None, None, self.size, kind, lambda: self._path.open("rb"), True, self._counts
            )

    def __enter__(self) -> MadeFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._path.unlink(missing_ok=True)

"""The list of loaded runs that the public page documents, for people who have or expect one.

A line is `<target project>::<run name>`, as the public Trainy-ai/neptune-exporter
writes it. It names neither the account nor the source project, so this loader
keeps its own state beside it; the lines say what another tool has loaded, and
taking one out asks for the run to be loaded again.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import orjson

from neptune_exporter_pluto.names import digest
from neptune_exporter_pluto.state import Target

DEFAULT_NAME = ".pluto_upload_cache.txt"
OWNERS_NAME = "cache-lines.jsonl"


class LoadedCache:
    """The file. A missing one is an empty one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def __contains__(self, line: str) -> bool:
        try:
            text = self.path.read_text("utf-8", "replace")
        except FileNotFoundError:
            return False
        return line in (each.strip() for each in text.splitlines())

    def add(self, line: str) -> None:
        """Append a line, on disk when this returns; one that is there is not repeated."""
        with self._lock:
            if line in self:
                return
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                if file.tell() > 0 and not self._ends_with_newline():
                    file.write(b"\n")
                file.write(line.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())

    def _ends_with_newline(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"


def cache_line(target_project: str, run_name: str) -> str:
    """The line of a run. Names with line breaks cannot be told apart from two lines, so they are joined."""
    return f"{target_project}::{' '.join(run_name.splitlines())}".strip()


class LineOwners:
    """Which run a line of the cache stands for: the first that claimed it.

    Two runs may have one name, two projects one target, and a list knows neither hosts
    nor accounts. Without this a line that was written for one would hide the others.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def claim(self, line: str, target: Target, run: str) -> bool:
        """Whether the line stands for this run of this target. From now on it does, if it stood for none."""
        mine = digest(target.account, target.host, target.project, run)
        with self._lock:
            owner = self._owners().get(line)
            if owner is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("ab") as file:
                    file.write(orjson.dumps({"line": line, "run": mine}) + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
            return owner in (None, mine)

    def _owners(self) -> dict[str, str]:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        owners: dict[str, str] = {}
        for each in content[: content.rfind(b"\n") + 1].splitlines():
            record = orjson.loads(each)
            owners.setdefault(record["line"], record["run"])
        return owners

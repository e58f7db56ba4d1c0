"""Where runs are loaded to, and where on this machine the state of their loads is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from neptune_exporter.sinks.names import digest, printable

FOLDER = ".neptune-exporter-pluto"
_MOST_READABLE = 60


@dataclass(frozen=True)
class Target:
    """Where runs are loaded to: what tells one account, Pluto and project from another."""

    account: str
    host: str
    project: str

    def folder(self, base: Path) -> Path:
        return base / FOLDER / readable_name(self.project, self.account, self.host, self.project)


def readable_name(name: str, *identity: str) -> str:
    """A file name that a person recognises and that no other identity has."""
    clean = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in printable(name))
    return f"{clean[:_MOST_READABLE]}-{digest(*identity)}"

"""Registers the loader; the loader itself is imported when it is used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from neptune_exporter.contract import LoadOptions, Sink, SinkCapabilities, SinkSpec, hookimpl, setting

CAPABILITIES = SinkCapabilities(lowest_step=-(2**63), highest_step=2**63 - 1, verifies=True)


@dataclass(frozen=True)
class SqliteSettings:
    path: Path = setting(default=Path("runs.sqlite"), help="The SQLite file.")


def make_sink(settings: SqliteSettings, options: LoadOptions) -> Sink:
    from neptune_exporter_sqlite.loader import SqliteLoader

    return SqliteLoader(settings.path, options)


@hookimpl
def neptune_exporter_sinks() -> list[SinkSpec]:
    return [SinkSpec("sqlite", "one SQLite file", make_sink, SqliteSettings, CAPABILITIES)]

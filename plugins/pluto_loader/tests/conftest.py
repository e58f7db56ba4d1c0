"""A local Pluto for each test, and sinks and commands that load into it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.contract import LoadedRun, LoadOptions, Secret
from neptune_exporter.testing.commands import CommandLine, preload
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import SampleRun
from neptune_exporter_pluto.settings import PlutoSettings
from neptune_exporter_pluto.sink import PlutoSink
from neptune_exporter_pluto_server import RehearsalServer
from neptune_exporter_pluto_server.runs import Run

MakeSink = Callable[..., PlutoSink]
preload("neptune_exporter_pluto.sink", "neptune_exporter_pluto.verify")


@pytest.fixture
def server() -> Iterator[RehearsalServer]:
    with RehearsalServer(reaper_interval=None) as server:
        yield server


def settings_for(server: RehearsalServer, **changes: object) -> PlutoSettings:
    """Settings for a load into this server: quick, and patient for a few seconds only."""
    settings = PlutoSettings(
        api_key=Secret(server.api_key or "mlps_any"),
        url_api=server.url_api,
        url_ingest=server.url_ingest,
        file_chunk_sleep=0.0,
        timeout=20.0,
        retry_for=10.0,
        visible_within=2.0,
    )
    return replace(settings, **changes)  # type: ignore[arg-type]


@pytest.fixture
def make_sink(server: RehearsalServer, tmp_path: Path) -> Iterator[MakeSink]:
    """Makes sinks with changed settings; all of them share one state folder unless told otherwise."""
    # The certificates of each take 0.7 MB, so one that a test has let go of must go.
    sinks: weakref.WeakSet[PlutoSink] = weakref.WeakSet()

    def make(options: LoadOptions | None = None, **changes: object) -> PlutoSink:
        settings = settings_for(server, **({"base_dir": tmp_path / "state"} | changes))
        sink = PlutoSink.connected(settings, options or LoadOptions(), local=True)
        sinks.add(sink)
        return sink

    yield make
    for sink in sinks:
        sink.close()


@pytest.fixture
def command_line(server: RehearsalServer, tmp_path: Path) -> CommandLine:
    """`neptune-exporter` in the folder of the test, set up as the SDK would be for this server."""
    quick = {"FILE_CHUNK_SLEEP": "0", "RETRY_FOR": "10", "VISIBLE_WITHIN": "2"}
    variables = {f"NEPTUNE_EXPORTER_PLUTO_{name}": value for name, value in quick.items()}
    return CommandLine(tmp_path, {**server.environment(), **variables})


@pytest.fixture
def stored(server: RehearsalServer, make_sink: MakeSink) -> Any:
    """Loads one run and gives what Pluto's database holds of it."""

    def load(run: SampleRun, options: LoadOptions | None = None, **changes: object) -> tuple[Run, LoadedRun]:
        loaded = make_sink(options, **changes).load(MemoryRun(run), None)
        return server.runs.by_id[int(loaded.target_id)], loaded

    return load

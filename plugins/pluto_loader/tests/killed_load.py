"""One run that holds everything, and loading it in a process that dies at a failpoint."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from neptune_exporter.contract import LoadOptions, Secret
from neptune_exporter.model import RunKey, SysAttribute
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import (
    SampleFile,
    SampleHistogram,
    SampleRun,
    file,
    file_series,
    float_series,
    histogram_series,
    parameter,
    string_series,
)
from neptune_exporter.toolkit.failpoints import arm
from neptune_exporter_pluto.settings import PlutoSettings

KEY = RunKey("acme/vision", "RUN-1")
STEPS = range(300)
FAILPOINTS = (
    "pluto.run-created",
    "pluto.run-noted",
    "pluto.data-announced",
    "pluto.data-sent",
    "pluto.logs-announced",
    "pluto.logs-sent",
    "pluto.files-announced",
    "pluto.files-signed",
    "pluto.file-put",
    "pluto.metrics-announced",
    "pluto.metrics-sent",
    "pluto.data-complete",
    "pluto.run-finished",
    "pluto.run-shown",
    "pluto.run-listed",
    "pluto.run-loaded",
)
"""Where a test can kill a load; a rerun after any of them gives what an uninterrupted load gives."""


def everything() -> SampleRun:
    """A run with every kind of thing that Pluto stores, several requests of each."""
    histogram = SampleHistogram((0.0, 0.1, 1.0), (0.5, 2.0))
    return SampleRun(
        KEY,
        (
            parameter(SysAttribute.NAME, "baseline"),
            parameter(SysAttribute.CREATION_TIME, datetime(2024, 1, 1, tzinfo=timezone.utc)),
            parameter(SysAttribute.TAGS, ["a", "b"]),
            parameter(SysAttribute.DESCRIPTION, "what it was for"),
            parameter("lr", 0.1),
            float_series("loss", ((s / 10, 1 / (s + 1)) for s in STEPS)),
            float_series("accuracy", ((s / 10, float("nan") if s == 7 else s / 300) for s in STEPS)),
            string_series("notes", ((s, f"note {s}") for s in STEPS)),
            string_series("monitoring/4f2a/stdout", ((s, f"line {s}") for s in STEPS)),
            histogram_series("weights", ((s, histogram) for s in range(10))),
            file("model", b"weights" * 1000, "model.pt"),
            file_series("images", ((s, SampleFile(b"\x89PNG\r\n\x1a\n%d" % s, ".png")) for s in range(12))),
        ),
    )


def settings(url: str, key: str, base_dir: Path) -> PlutoSettings:
    return PlutoSettings(
        api_key=Secret(key),
        url_api=url,
        url_ingest=url,
        base_dir=base_dir,
        batch_rows=100,  # less than a person may ask for
        flush_every=100,
        file_chunk_size=4,
        file_chunk_sleep=0.0,
        connections=2,
        file_connections=2,
        timeout=20.0,
        retry_for=10.0,
        visible_within=1.0,
    )


def load(url: str, key: str, base_dir: Path) -> None:
    from neptune_exporter_pluto import ordered_ingest
    from neptune_exporter_pluto.form import metric_lines
    from neptune_exporter_pluto.sink import PlutoSink

    ordered_ingest.BODY_BYTES = metric_lines.BODY_BYTES = 4_000  # several requests for little data
    sink = PlutoSink.connected(settings(url, key, base_dir), LoadOptions(), local=True)
    run = MemoryRun(everything())
    sink.prepare(KEY.project_id, [run])
    sink.load(run, None)
    sink.close()


if __name__ == "killed":
    _failpoint, *_arguments = globals()["CALL"]
    arm(_failpoint)
    load(*_arguments)

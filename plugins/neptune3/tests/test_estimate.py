"""What a dry run says an export takes, beside what it then takes."""

from __future__ import annotations

from collections.abc import Callable

from neptune_exporter_neptune3_server import FakeFile, FakeProject, FakeRun, FloatSeries, StringSeries

from .conftest import PROJECT, Exporting


def test_the_estimate_is_what_the_export_takes(exporting: Callable[..., Exporting]) -> None:
    held = {
        "lr": 0.5,
        "loss": FloatSeries(range(100), range(100)),
        "log": StringSeries(range(10), ["line"] * 10),
        "f": FakeFile(b"abc"),
    }
    export = exporting(FakeProject(PROJECT, [FakeRun(f"r{n}", dict(held)) for n in range(20)]))
    planned = export(dry_run=True)
    assert planned.estimate is not None and planned.estimate.rows is not None
    assert not (export.folder / "data").exists()
    export.server.requests.clear()
    result = export()
    assert planned.estimate.rows == result.rows
    made = len(export.server.requests)
    assert planned.estimate.requests is not None and 0.5 * made <= planned.estimate.requests <= 2 * made

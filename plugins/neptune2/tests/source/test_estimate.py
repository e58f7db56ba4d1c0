"""What a dry run says an export takes, beside what it then takes."""

from __future__ import annotations

from neptune_exporter_neptune2_server import FakeProject, File, Float, FloatSeries, StringSeries

from .conftest import Exporter, Serve


def test_the_estimate_is_what_the_export_takes(serve: Serve, export: Exporter) -> None:
    project = FakeProject("team", "cats")
    for _ in range(20):
        project.add_run(
            {
                "lr": Float(0.5),
                **{f"m/{n}": FloatSeries([float(n) for n in range(1_200)]) for n in range(7)},
                "log": StringSeries(["line"] * 10),
                "f": File(b"abc"),
            }
        )
    server = serve(project)
    planned = export(server, dry_run=True)
    assert planned.estimate is not None and not export.folder.exists()
    server.requests.clear()
    result = export(server)
    assert planned.estimate.rows == result.rows
    made = len(server.requests)
    assert planned.estimate.requests is not None and 0.8 * made <= planned.estimate.requests <= made

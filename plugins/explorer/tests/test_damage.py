"""A damaged part costs what it holds of one series, and the pages say so."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from neptune_exporter.jobs.export import ExportOptions, export_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.model import RunKey
from neptune_exporter.testing.memory_source import MemorySource, memory_source_spec
from neptune_exporter.testing.runs import SampleRun, float_series, parameter, string_series

from .test_api import lines

RUN = "run:4:acme:RUN"


@pytest.fixture(params=[9_000, 30_000])
def export(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A run of two metrics and a log, in a part that is read whole, and in one that is not."""
    points = [(float(step), float(step)) for step in range(request.param)]
    run = SampleRun(
        RunKey("acme", "RUN"),
        (
            parameter("config/lr", 0.1),
            float_series("loss", points),
            float_series("other", points),
            string_series("logs", [(0, "one"), (1, "two")]),
        ),
    )
    source = memory_source_spec(MemorySource([run]))
    export_runs(source, None, ExportOptions((), tmp_path / "data", tmp_path / "files"), Progress())
    return tmp_path


def damage(part: Path, path: str, column: str) -> None:
    """Change a byte in the middle of the values that a series has in this column."""
    metadata = pq.ParquetFile(part).metadata
    names = [metadata.schema.column(i).path for i in range(metadata.num_columns)]
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        if group.column(names.index("attribute_path")).statistics.min == path:
            chunk = group.column(names.index(column))
            content = bytearray(part.read_bytes())
            content[chunk.data_page_offset + chunk.total_compressed_size // 2] ^= 0xFF
            part.write_bytes(content)
            return
    raise AssertionError(f"{part} has no row group that begins with {path}")


def test_one_series_is_lost(serve, export: Path) -> None:  # type: ignore[no-untyped-def]
    (part,) = (export / "data").rglob("*_part_0.parquet")
    damage(part, "loss", "float_value")
    client: TestClient = serve(export)
    lost = lines(client.get("/api/points", params={"run": RUN, "attribute": "loss"}).content)
    assert lost["lines"] == []
    ((error),) = lost["errors"]
    assert error["run"] == RUN and str(part) in error["message"] and "damaged" in error["message"]
    whole = lines(client.get("/api/points", params={"run": RUN, "attribute": "other"}).content)
    assert not whole["errors"] and whole["lines"][0]["points"] in (9_000, 30_000)
    run = client.get("/api/run", params={"run": RUN}).json()
    assert [each["path"] for each in run["parameters"]] == ["config/lr"]
    assert len(client.get("/api/texts", params={"run": RUN, "attribute": "logs"}).json()["lines"]) == 2

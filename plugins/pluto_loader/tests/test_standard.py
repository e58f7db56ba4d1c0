"""The standard dataset of the benchmarks, smaller: whole in Pluto, for us and for its own client."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pluto.query import Client

from neptune_exporter.model import RunKey
from neptune_exporter.testing import old_layout
from neptune_exporter.testing.commands import CommandLine
from neptune_exporter_pluto.form.config import SECTION
from neptune_exporter_pluto_server import RehearsalServer

SHAPE = old_layout.Shape(metrics=2, steps=12_000, parameters=40, lines=200, histograms=20, files=8)
_PAGE = 10_000
"""So many points of a metric the client gets at most, and if there are more then only a sample of them."""


@pytest.fixture
def keys(command_line: CommandLine) -> list[RunKey]:
    folder = command_line.folder / "exports"
    return old_layout.standard(folder / "data", folder / "files", runs=2, shape=SHAPE)


def rows_of(folder: Path, key: RunKey, *types: str) -> list[dict[str, Any]]:
    """Read by plain pyarrow."""
    parts = sorted((folder / "exports/data").glob(f"*/{key.run_id}-*_part_*.parquet"))
    table = pa.concat_tables([pq.read_table(part) for part in parts])
    rows: list[dict[str, Any]] = table.filter(pc.is_in(table["attribute_type"], pa.array(types))).to_pylist()
    return rows


def points_in_pluto(client: Client, project: str, run_id: int) -> Iterator[tuple[str, int, Any, float]]:
    for start in range(0, SHAPE.steps, _PAGE):
        page = client.get_metrics(project, run_id, step_min=start, step_max=start + _PAGE - 1)
        times = pa.array(page["time"].str.removesuffix("Z")).cast(pa.timestamp("ms")).to_pylist()
        yield from zip(page["metric"], map(int, page["step"]), times, page["value"], strict=True)


def test_all_is_equal_and_plutos_own_client_reads_the_same(
    command_line: CommandLine, server: RehearsalServer, keys: list[RunKey]
) -> None:
    command_line.run("load", "--loader", "pluto")
    told = command_line.run("verify", "--loader", "pluto", "--full").output.splitlines()[1:]
    assert re.fullmatch(r"2 runs compared: = \d+ equal, \? 2 .*", told[0])
    for line in told[1:-1]:  # nothing but what no route of Pluto reads
        assert re.fullmatch(
            r"\? (?:2 times in 2 runs, for example )?\S+ histograms: "
            r"expected (\d+); \1 acknowledged; Pluto .*",
            line,
        )
    with Client(api_token=server.api_key, host=server.url) as client:
        listed = (client.get_run(keys[0].project_id, r["id"]) for r in client.list_runs(keys[0].project_id))
        found = {run["config"][SECTION]["run_id"]: run["id"] for run in listed}
        assert found.keys() == {key.run_id for key in keys}
        for key in keys:
            check(command_line.folder, client, server, key, found[key.run_id])


def check(folder: Path, client: Client, server: RehearsalServer, key: RunKey, run_id: int) -> None:
    details = client.get_run(key.project_id, run_id)
    assert (details["status"], details["name"]) == ("COMPLETED", f"experiment {key.run_id}")

    wanted = {
        (r["attribute_path"], int(r["step"]), r["timestamp"].replace(tzinfo=None), r["float_value"])
        for r in rows_of(folder, key, "float_series")
    }
    assert len(wanted) == SHAPE.metrics * SHAPE.steps
    points = list(points_in_pluto(client, key.project_id, run_id))
    assert len(points) == len(wanted) and set(points) == wanted

    parameters = rows_of(folder, key, "float", "int", "string", "bool", "datetime", "string_set")
    assert details["config"].keys() - {SECTION} == {r["attribute_path"] for r in parameters}
    integers = {r["attribute_path"]: str(r["int_value"]) for r in parameters if r["int_value"] is not None}
    assert {path: details["config"][path] for path in integers} == integers  # beyond 2**53: as text

    listed = client.get_files(key.project_id, run_id, "samples/image")
    with httpx.Client(trust_env=False) as http:
        contents = {int(f["step"]): http.get(f["url"]).raise_for_status().content for f in listed}
    stored = {int(r["step"]): r["file_value"]["path"] for r in rows_of(folder, key, "file_series")}
    project = folder / "exports/files" / old_layout.san(key.project_id)
    assert contents == {step: (project / path).read_bytes() for step, path in stored.items()}

    histograms = {
        int(r["step"]): r["histogram_value"]["values"] for r in rows_of(folder, key, "histogram_series")
    }
    drawn = server.store.histograms(server.key(run_id))
    assert len(drawn) == len(histograms) and {h["step"]: h["data"]["freq"] for h in drawn} == histograms
    texts = {int(r["step"]): r["string_value"] for r in rows_of(folder, key, "string_series")}
    lines = server.store.log_rows(server.key(run_id))
    assert len(lines) == len(texts) and {e["lineNumber"] - 1: e["message"] for e in lines} == texts

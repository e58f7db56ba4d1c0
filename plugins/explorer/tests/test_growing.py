"""A dataset that an export writes to while it is looked at."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import neptune_exporter
from neptune_exporter.dataset import parameters_of
from neptune_exporter.jobs.export import ExportOptions, export_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.model import RunKey
from neptune_exporter.reading import ExportedDataset
from neptune_exporter.testing.memory_source import MemorySource, memory_source_spec
from neptune_exporter.testing.runs import SampleRun, float_series, parameter
from neptune_exporter_explorer.app import make_app

LR = "config/lr"


def export(folder: Path, **rates: float) -> None:
    """Export runs of these names, each with a parameter and a metric of it."""
    runs = [
        SampleRun(RunKey("acme", name), (parameter(LR, rate), float_series("loss", [(0, rate), (1, 2.0)])))
        for name, rate in rates.items()
    ]
    source = memory_source_spec(MemorySource(runs))
    export_runs(source, None, ExportOptions((), folder / "data", folder / "files"), Progress())


def shown(client: TestClient, **asked: Any) -> dict[str, list[Any]]:
    """The cells of the page of runs after another look at the dataset, by run."""
    client.app.state.table.read()  # type: ignore[attr-defined]
    page = client.get("/api/runs", params={"column": [LR, "loss@min"], **asked}).json()
    assert page["listed"] and not page["unread"] and page["total"] == len(page["rows"])
    return {row["facts"]["run"]: row["cells"] for row in page["rows"]}


def test_runs_appear_change_and_go(serve, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "data").mkdir()
    client = serve(tmp_path)
    assert shown(client) == {}
    export(tmp_path, one=0.1)
    before = client.get("/api/dataset").json()["version"]
    assert shown(client) == {"one": [0.1, 0.1]}
    assert client.get("/api/dataset").json()["version"] != before
    shutil.rmtree(tmp_path / "data")
    export(tmp_path, one=0.5, two=0.2)
    assert shown(client) == {"one": [0.5, 0.5], "two": [0.2, 0.2]}
    assert list(shown(client, q=f"{LR} > 0.3")) == ["one"]
    points = client.get("/api/points", params={"run": "run:4:acme:one", "attribute": "loss"})
    assert points.status_code == 200
    for path in (tmp_path / "data").rglob("*two*"):
        path.unlink()
    assert shown(client) == {"one": [0.5, 0.5]}
    assert client.get("/api/run", params={"run": "run:4:acme:two"}).status_code == 404


def test_a_part_that_is_lost_marks_its_run(serve, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    export(tmp_path, one=0.1)
    client = serve(tmp_path)
    (part,) = (tmp_path / "data").rglob("one*_part_0.parquet")
    part.unlink()
    client.app.state.table.read()
    (row,) = client.get("/api/runs").json()["rows"]
    assert row["facts"]["state"] == "damaged" and row["problem"] == f"{part} is missing"


def test_a_page_is_answered_before_all_runs_were_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(tmp_path, one=0.1, two=0.2, three=0.3)
    may_go_on = threading.Event()

    def held_back(dataset: ExportedDataset, runs: Iterable[Any]) -> Iterator[Any]:
        if threading.current_thread().name == "runs":
            may_go_on.wait(60)
        return parameters_of(runs)

    monkeypatch.setattr(ExportedDataset, "parameters_of", held_back)
    app = make_app(neptune_exporter.open_dataset(tmp_path), {"127.0.0.1:8000"})
    client = TestClient(app, base_url="http://127.0.0.1:8000")
    asked = {"column": LR, "limit": 2, "sort": ":run"}
    page = client.get("/api/runs", params=asked).json()
    assert [(row["facts"]["run"], row["cells"]) for row in page["rows"]] == [("one", [0.1]), ("three", [0.3])]
    assert page["total"] == 3 and page["unread"] == 1 and not page["complete"]
    may_go_on.set()
    app.state.table.wait()
    sorted_page = client.get("/api/runs", params={**asked, "sort": f"-{LR}"}).json()
    assert [row["cells"] for row in sorted_page["rows"]] == [[0.3], [0.2]] and not sorted_page["unread"]
    app.state.table.stop()

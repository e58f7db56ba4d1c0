"""Points and rows in bulk: sealing, spilling, keeping, and counting only."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neptune_exporter_pluto_server import DEFAULT_KEY, RehearsalServer
from neptune_exporter_pluto_server.points import POINT, PointTable

KEY = ("p", 1)


def table(folder: Path) -> PointTable:
    return PointTable(folder / "points", lambda: 0.0, lambda: 0.0)


def points(rows: list[tuple[int, int, int, float]]) -> Any:
    return np.array(rows, POINT)


ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 3), st.floats(allow_nan=False)),
    max_size=12,
)


@pytest.mark.parametrize("sealing", [True, False])
@given(batches=st.lists(ROWS, max_size=6), low=st.integers(0, 5), limit=st.integers(1, 8))
@settings(deadline=None, max_examples=60)
def test_reading_is_the_same_however_rows_are_kept(
    tmp_path_factory: pytest.TempPathFactory, sealing: bool, batches: Any, low: int, limit: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if sealing:
            patch.setattr("neptune_exporter_pluto_server.points._SEAL_ROWS", 10)
            patch.setattr("neptune_exporter_pluto_server.points._FRESH_ROWS", 15)
            patch.setattr("neptune_exporter_pluto_server.points._FRESH_PARTS", 2)
        kept = table(tmp_path_factory.mktemp("points"))
        names = ["a", "b", "c"]
        for name in names:
            kept.ids[name]
        rows: list[tuple[int, int, int, float]] = []
        for batch in batches:
            kept.append(KEY, points(batch))
            kept.append(("p", 2), points(batch))
            rows += batch
            for ident, name in enumerate(names):
                expected = sorted(
                    (row for row in rows if row[0] == ident and row[1] >= low), key=lambda r: r[1:3]
                )
                found = kept.series(KEY, name, low)
                assert [tuple(row)[1:3] for row in found.tolist()] == [row[1:3] for row in expected]
                assert sorted(found["value"].tolist()) == sorted(row[3] for row in expected)
                assert kept.page(KEY, name, low, None, limit).tolist() == found[:limit].tolist()
        assert kept.rows(KEY) == len(rows)
        assert kept.visible_names(KEY) == sorted({names[row[0]] for row in rows})
        kept.close()


def test_memory_is_bounded_by_what_is_sealed(tmp_path: Path) -> None:
    kept = table(tmp_path)
    kept.ids["a"]
    batch = np.zeros(200_000, POINT)
    for number in range(12):
        batch["step"] = np.arange(number * 200_000, (number + 1) * 200_000)
        kept.append(KEY, batch.copy())
    assert (tmp_path / "points").stat().st_size >= 28 * 2_000_000
    assert len(kept.series(KEY, "a")) == 2_400_000
    assert kept.page(KEY, "a", 2_399_999, None, 10)["step"].tolist() == [2_399_999]
    kept.close()


@pytest.fixture
def client() -> dict[str, str]:
    return {"Authorization": f"Bearer {DEFAULT_KEY}", "X-Run-Id": "1", "X-Project-Name": "p"}


def fill(server: RehearsalServer, headers: dict[str, str]) -> None:
    with httpx.Client(base_url=server.url, headers=headers) as http:
        body = {"runName": "r", "projectName": "p", "externalId": "e", "config": '{"big":1e20}'}
        assert http.post("/api/runs/create", json=body).status_code == 200
        http.post("/api/runs/notes/update", json={"runId": 1, "notes": "a note"})
        lines = [{"time": i, "step": i, "data": {"a": i / 2, "b": "NaN"}} for i in range(1, 101)]
        assert http.post("/ingest/metrics", content="\n".join(map(json.dumps, lines))).status_code == 200
        datum = {"time": 1, "step": 2, "dataType": "HISTOGRAM", "logName": "h", "data": '{"freq":[1]}'}
        assert http.post("/ingest/data", content=json.dumps(datum)).status_code == 200
        line = {"time": 1, "message": "m", "lineNumber": 1, "logType": "INFO"}
        assert http.post("/ingest/logs", content=json.dumps(line)).status_code == 200
        file = {"fileName": "f.bin", "logName": "l", "fileSize": 3, "fileType": "bin", "step": 1, "time": 5}
        url = http.post("/files", json={"files": [file]}).json()["l"][0]["f.bin"]
        assert httpx.put(url, content=b"abc", headers={"Content-Type": "bin"}).status_code == 200


def test_a_folder_keeps_everything_in_open_formats(tmp_path: Path, client: dict[str, str]) -> None:
    folder = tmp_path / "kept"
    with RehearsalServer(folder=folder) as server:
        fill(server, client)
    assert sorted(path.name for path in folder.iterdir()) == [
        "data.parquet",
        "files",
        "files.parquet",
        "logs.parquet",
        "points.parquet",
        "runs.jsonl",
        "stored.parquet",
    ]
    (run,) = [json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()]
    assert (run["externalId"], run["notes"], run["config"]) == ("e", "a note", {"big": 10**20})
    rows = pq.read_table(folder / "points.parquet").to_pylist()
    assert len(rows) == 200
    assert {"projectName": "p", "runId": 1, "logName": "a", "step": 7, "time": 7, "value": 3.5} in rows
    assert pq.read_table(folder / "data.parquet").to_pylist()[0]["data"] == '{"freq":[1]}'
    assert pq.read_table(folder / "logs.parquet").to_pylist()[0]["message"] == "m"
    assert pq.read_table(folder / "files.parquet").to_pylist()[0]["fileName"] == "f.bin"
    (stored,) = pq.read_table(folder / "stored.parquet").to_pylist()
    assert stored["key"] == "rehearsal/p/1/l/f.bin"
    assert stored["md5"] == hashlib.md5(b"abc").hexdigest()
    assert (folder / "files" / stored["name"]).read_bytes() == b"abc"


def test_without_a_folder_nothing_is_left(
    client: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with RehearsalServer() as server:
        fill(server, client)
        assert list(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []


def test_counting_only_counts_the_same_and_keeps_nothing(client: dict[str, str]) -> None:
    with RehearsalServer() as server:
        fill(server, client)
        full = server.stats()
    with RehearsalServer(count_only=True) as server:
        fill(server, client)
        assert server.stats() == full
        assert server.store.points.rows(KEY) == 0
        assert server.store.data_rows(KEY) == []
        key = server.key(server.run("e"))
        assert server.state.store.last_step(key) == 100
        bad = httpx.post(f"{server.url}/ingest/metrics", content="{}", headers=client)
        assert bad.status_code == 422


def test_runs_are_found_by_their_external_id(client: dict[str, str]) -> None:
    with RehearsalServer() as server:
        fill(server, client)
        assert server.run("e").name == "r"
        assert server.run("e", "p").id == 1
        with pytest.raises(KeyError, match="0 runs"):
            server.run("e", "other")
        assert server.key(1) == KEY

"""The answers of the server, on the earlier tool's export."""

from __future__ import annotations

import io
import json
import re
import shutil
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from starlette.testclient import TestClient

import neptune_exporter
from neptune_exporter.contract import RunView
from neptune_exporter_explorer import files
from neptune_exporter_explorer.series import _steps

EXISTING = Path(__file__).parents[3] / "tests/data/existing-export"
RUN_A = "run:11:acme/vision:run-a"


def lines(content: bytes) -> dict[str, Any]:
    """What `js/api.js` makes of the points."""
    (length,) = struct.unpack("<I", content[:4])
    header: dict[str, Any] = json.loads(content[4 : 4 + length])
    numbers = np.frombuffer(content[4 + length :], "<f8")
    for line in header["lines"]:
        for name in ("x", "y", "odd_x", "odd_y"):
            count = line["odd" if name.startswith("odd") else "length"]
            line[name], numbers = numbers[:count], numbers[count:]
    assert not len(numbers)
    return header


def test_the_dataset_and_its_runs(existing: TestClient) -> None:
    dataset = existing.get("/api/dataset").json()
    assert dataset["projects"] == ["acme/legacy", "acme/vision"] and dataset["complete"]
    found = existing.get("/api/runs", params={"project": "acme/vision"}).json()
    assert [row["facts"]["run"] for row in found["rows"]] == ["only-metrics", "run-a", "run-b"]
    assert found["total"] == 3


def test_every_run_opens(existing: TestClient) -> None:
    for row in existing.get("/api/runs").json()["rows"]:
        run = existing.get("/api/run", params={"run": row["name"]}).json()
        assert run["run"] == row["facts"]["run"] and not run["errors"], run


def test_points_are_those_of_the_dataset(existing: TestClient) -> None:
    run = existing.get("/api/run", params={"run": RUN_A}).json()
    metrics = [each["path"] for each in run["attributes"] if each["type"] == "float_series"]
    assert metrics
    dataset = neptune_exporter.open_dataset(EXISTING)
    for path in metrics:
        answer = existing.get("/api/points", params={"run": RUN_A, "attribute": path, "buckets": 10_000})
        (line,) = lines(answer.content)["lines"]
        table = dataset.fetch_metrics(project="acme/vision", runs=["run-a"], attributes=[path])
        values = table.column("value").to_numpy()
        drawn = np.concatenate([line["y"][~np.isnan(line["y"])], line["odd_y"]])
        assert line["points"] == len(values)
        np.testing.assert_array_equal(np.sort(drawn), np.sort(values))


@pytest.mark.parametrize(
    ("path", "parameters", "said"),
    [
        ("/api/run", {"run": "nonsense"}, "names no run"),
        ("/api/run", {"run": "run:4:acme:gone"}, "has no run"),
        ("/api/runs", {"q": "/(/"}, "not a regular expression"),
        ("/api/points", {"run": RUN_A, "low": "x"}, "not a number"),
        ("/api/points", {"run": RUN_A, "buckets": "nan"}, "not a number"),
        ("/api/texts", {"run": RUN_A, "offset": "inf"}, "not a number"),
        ("/file", {"run": RUN_A, "path": "../../../etc/passwd"}, "passwd"),
        ("/file", {"run": RUN_A, "path": "gone.png"}, "not there"),
    ],
)
def test_what_is_wrong_is_reported_in_one_line(
    existing: TestClient, path: str, parameters: dict[str, str], said: str
) -> None:
    answer = existing.get(path, params=parameters)
    assert answer.status_code in (400, 404)
    assert said in answer.json()["error"] and "\n" not in answer.json()["error"]


def test_a_fault_of_ours_costs_one_answer(existing: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neptune_exporter_explorer.details.details", lambda *given: 1 // 0)
    answer = existing.get("/api/run", params={"run": RUN_A})
    assert answer.status_code == 500 and answer.json()["error"].startswith("internal error: ZeroDivision")
    assert existing.get("/api/dataset").status_code == 200


def test_a_file_that_is_gone_is_marked(existing: TestClient) -> None:
    files = existing.get("/api/files", params={"run": RUN_A}).json()["files"]
    assert [each["attribute"] for each in files if each["missing"]] == ["artifacts/gone"]
    for each in files:
        answer = existing.get("/file", params={"run": RUN_A, "path": each["path"]})
        assert each["size"] == (None if each["missing"] else len(answer.content))


def test_metrics_that_more_runs_have_are_known(existing: TestClient) -> None:
    columns = existing.get("/api/columns", params={"q": "@last"}).json()["columns"]
    runs = {column["name"]: column["runs"] for column in columns}
    assert runs["train/loss@last"] == 2 and runs["m@last"] == 1


def test_files_come_as_bytes_that_no_browser_runs(existing: TestClient) -> None:
    seen = 0
    for row in existing.get("/api/runs").json()["rows"]:
        for file in existing.get("/api/files", params={"run": row["name"]}).json()["files"]:
            answer = existing.get("/file", params={"run": row["name"], "path": file["path"]})
            if answer.status_code == 404:
                continue
            seen += 1
            assert "sandbox" in answer.headers["content-security-policy"]
            shown = answer.headers["content-type"].partition("/")[0] in ("image", "audio", "video")
            assert shown or answer.headers["content-disposition"].startswith("attachment")
            part = existing.get(
                "/file", params={"run": row["name"], "path": file["path"]}, headers={"range": "bytes=1-2"}
            )
            if len(answer.content) > 2:
                assert (part.status_code, part.content) == (206, answer.content[1:3])
    assert seen


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("weights.bin", "application/octet-stream"), ("sound", "audio/wav"), ("sound.wav", "audio/wav")],
)
def test_only_a_file_without_an_extension_is_looked_into(name: str, media_type: str) -> None:
    run = cast(RunView, SimpleNamespace(open_file=lambda path: io.BytesIO(b"RIFF\x24\0\0\0WAVEfmt ")))
    answer = files.response(run, f"a/{name}", None, as_text=False)
    assert answer.media_type == media_type
    assert ("content-disposition" in answer.headers) == (name == "weights.bin")


def test_the_page_and_its_parts_come_from_the_package(existing: TestClient) -> None:
    page = existing.get("/").text
    assert "http://" not in page and "https://" not in page
    parts = re.findall('(?:href|src)="/static/([^"]+)"', page)
    assert {"uplot/uPlot.esm.js", "js/main.js", "js/chart.js", "style.css"} <= set(parts)
    assert all(existing.get(f"/static/{part}").status_code == 200 for part in parts)
    assert "javascript" in existing.get("/static/js/main.js").headers["content-type"]
    assert existing.get("/static/%2e%2e/app.py").status_code == 404


def test_html_and_svg_come_as_downloads(serve, hostile_folder: Path) -> None:  # type: ignore[no-untyped-def]
    client = serve(hostile_folder)
    seen = set()
    for row in client.get("/api/runs").json()["rows"]:
        for file in client.get("/api/files", params={"run": row["name"]}).json()["files"]:
            answer = client.get("/file", params={"run": row["name"], "path": file["path"]})
            assert answer.headers["content-type"] == "application/octet-stream"
            assert answer.headers["content-disposition"].startswith("attachment")
            assert "sandbox" in answer.headers["content-security-policy"]
            seen.add(file["path"].rpartition(".")[2])
    assert seen == {"html", "py", "svg"}


def test_a_damaged_part_costs_its_run_and_says_so(serve, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = shutil.copytree(EXISTING, tmp_path / "export")
    part = next((folder / "data").rglob("run-b*part_0.parquet"))
    part.write_bytes(part.read_bytes()[:200] + bytes(200) + part.read_bytes()[400:])
    client = serve(folder)
    rows = {r["facts"]["run"]: r for r in client.get("/api/runs").json()["rows"]}
    whole = client.get("/api/run", params={"run": rows["run-a"]["name"]}).json()
    assert not whole["errors"] and whole["parameters"]
    path = next(each["path"] for each in whole["attributes"] if each["type"] == "float_series")
    both = [rows["run-a"]["name"], rows["run-b"]["name"]]
    found = lines(client.get("/api/points", params={"run": both, "attribute": path}).content)
    assert found["lines"][0]["points"] > 0
    damaged = client.get("/api/run", params={"run": both[1]}).json()
    assert len(found["lines"]) == 1 and rows["run-b"]["facts"]["state"] == "damaged"
    (told,), (error,) = damaged["errors"], found["errors"]
    assert str(part) in told and "damaged" in told and rows["run-b"]["problem"] in told
    assert error["run"] == both[1] and told in error["message"]


def test_steps_from_bytes_are_the_steps() -> None:
    steps = [-1.5, 0.0, 0.000001, 3.0, 999_999_999_999.25]
    batch = pa.RecordBatch.from_pydict(
        {"step": pa.array(steps).cast(pa.decimal128(18, 6)), "step_float64": pa.nulls(5, pa.float64())}
    )
    assert _steps(batch).tolist() == steps
    assert _steps(batch.slice(2, 2)).tolist() == steps[2:4]
    finer = batch.set_column(1, "step_float64", pa.array([None, 1e-9, None, None, None]))
    assert _steps(finer).tolist() == [-1.5, 1e-9, *steps[2:]]

"""Through a real MLflow server: whole corpora, and names that a server would change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from mlflow import MlflowClient
from mlflow.entities import ViewType

from neptune_exporter.contract import LoadOptions, Verdict
from neptune_exporter.jobs.export import ExportOptions, export_runs
from neptune_exporter.jobs.load import LoadJobOptions, load_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.location import Location
from neptune_exporter.model import RunKey
from neptune_exporter.testing.corpus import themed_runs
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.journey import check_journey
from neptune_exporter.testing.loopback import Fault, LoopbackServer, Request, Response
from neptune_exporter.testing.memory_source import MemorySource, memory_source_spec
from neptune_exporter.testing.runs import (
    SampleFile,
    SampleRun,
    file,
    file_series,
    float_series,
    string_series,
)
from neptune_exporter_mlflow import estimate
from neptune_exporter_mlflow.plugin import make_sink, neptune_exporter_sinks
from neptune_exporter_mlflow.settings import MlflowSettings

from .mlflow_server import mlflow_server

(SPEC,) = neptune_exporter_sinks()
EXISTING = Path(__file__).parents[3] / "tests/data/existing-export"
THEMES = (
    "types",
    "numbers",
    "non-finite",
    "text",
    "names",
    "steps-negative",
    "steps-duplicate",
    "files",
    "times",
    "models",
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, new_database: Path) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "mlflow.db").write_bytes(new_database.read_bytes())
    with mlflow_server(folder, f"sqlite:///{folder / 'mlflow.db'}") as url:
        yield url


def test_the_estimate_of_requests(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    send = requests.Session.send

    def counted(session: requests.Session, request: requests.PreparedRequest, **options: object) -> object:
        made.append(f"{request.method} {request.url}")
        return send(session, request, **options)

    monkeypatch.setattr(requests.Session, "send", counted)
    points = [(step, step / 7) for step in range(5_500)]
    files = [file(f"files/{n}", b"content", f"{n}.bin") for n in range(8)]
    texts = [string_series(f"texts/{n}", [(0, "a")]) for n in range(4)]
    run = MemoryRun(SampleRun(RunKey("acme/requests", "a"), (float_series("loss", points), *files, *texts)))
    settings = MlflowSettings(address)
    sink = make_sink(settings, LoadOptions())
    sink.load(run, None)
    estimated = estimate.requests(settings, run)
    # Two more make the experiment for its first run.
    assert estimated is not None and estimated in (len(made), len(made) - 2), made
    assert estimate.requests(MlflowSettings("sqlite:///mlflow.db"), run) is None


@pytest.mark.parametrize("theme", THEMES)
def test_what_was_loaded_reads_back_the_same(address: str, theme: str) -> None:
    sink = make_sink(MlflowSettings(address), LoadOptions())
    for sample in themed_runs(theme):
        run = MemoryRun(sample)
        loaded = sink.load(run, None)
        assert loaded.url is not None and loaded.url.endswith(f"/runs/{loaded.target_id}")
        comparisons = list(sink.verify(run, full=True))
        bad = [c for c in comparisons if c.verdict not in (Verdict.EQUAL, Verdict.LOST)]
        assert comparisons and not bad, bad[:3]
        assert sink.load(run, None).already_loaded


def contents(address: str) -> list[str]:
    """All runs, as text: the server also has NaN of other tests, which equals no NaN."""
    client = MlflowClient(address)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, run_view_type=ViewType.ALL)
    held = [{"info": dict(run.info), **run.data.to_dictionary()} for run in runs]
    return sorted(json.dumps(run, sort_keys=True) for run in held)


def test_the_existing_export(address: str) -> None:
    settings = MlflowSettings(address)
    check_journey(SPEC, settings, EXISTING / "data", EXISTING / "files", lambda: contents(address))


def test_artifacts_whose_names_a_server_would_make_one(address: str) -> None:
    names = ["x", "x#1", "x?1", "x%20y", "x y", "X"]
    files = [file(name, name.encode(), ".txt") for name in names]
    image = file_series("plots/a+b ~c", [(0, SampleFile(b"\x89PNG\r\n\x1a\n", ".png"))])
    sample = SampleRun(RunKey("acme/vision", "names"), (*files, image))
    sink = make_sink(MlflowSettings(address), LoadOptions())
    sink.load(MemoryRun(sample), None)
    verdicts = [c.verdict for c in sink.verify(MemoryRun(sample), full=True) if c.item.startswith("files of")]
    assert verdicts == [Verdict.EQUAL] * (len(names) + 2)  # and the manifest


@pytest.fixture
def proxy(address: str) -> Iterator[LoopbackServer]:
    """Passes everything on to the server."""

    def passed_on(request: Request) -> Response:
        headers = {"Content-Type": request.headers.get("content-type", "")}
        url, body = address + request.path, request.body()
        answer = requests.request(
            request.method, url, params=dict(request.query), data=body, headers=headers, timeout=60
        )
        return Response(answer.status_code, answer.content, answer.headers.get("Content-Type", ""))

    with LoopbackServer() as server:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            server.route(method, "/.*", passed_on)
        yield server


def test_a_run_whose_files_were_lost_is_loaded_again(proxy: LoopbackServer, tmp_path: Path) -> None:
    """Something before the server answers 200 to the files of a load, and does not pass them on."""
    data, files = Location.of(tmp_path / "data"), Location.of(tmp_path / "files")
    run = SampleRun(RunKey("acme/lost", "a"), (file("model", b"weights", ".bin"),))
    source = memory_source_spec(MemorySource([run]))
    assert export_runs(source, None, ExportOptions(("acme/lost",), data, files), Progress()).complete

    def load() -> tuple[int, int, int]:
        done = load_runs(SPEC, MlflowSettings(proxy.url), LoadJobOptions(data, files), Progress())
        assert not done.failed, done.failed
        return len(done.loaded), len(done.already_loaded), len(done.comparisons.mismatches)

    proxy.fail(Fault("/mlflow-artifacts/", "PUT", status=200, body=b"{}", times=3))
    assert load() == (1, 0, 2)  # the file and the manifest
    assert load() == (1, 0, 1)  # the file is lost once more
    assert load() == (1, 0, 0)
    assert load() == (0, 1, 0)

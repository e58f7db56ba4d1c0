"""Datasets to look at, and the server of the pages without a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

import neptune_exporter
from neptune_exporter.jobs.export import ExportOptions, export_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.model import RunKey
from neptune_exporter.testing.memory_source import MemorySource, memory_source_spec
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
from neptune_exporter_explorer.app import make_app

if TYPE_CHECKING:
    from playwright.sync_api import Browser

EXISTING = Path(__file__).parents[3] / "tests/data/existing-export"
HOST = "127.0.0.1:8000"
Serve = Callable[[Path], TestClient]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Give the pages of a dataset, all of whose runs were read."""
    clients = []

    def start(folder: Path) -> TestClient:
        app = make_app(neptune_exporter.open_dataset(folder), {HOST})
        client = TestClient(app, base_url=f"http://{HOST}")
        clients.append(client)
        app.state.table.wait()
        return client

    yield start
    for client in clients:
        client.app.state.table.stop()  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    from playwright.sync_api import sync_playwright  # not needed for what runs without a browser

    from .browsing import CHROMIUM, FLAGS

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture
def existing(serve: Serve) -> TestClient:
    """The earlier tool's export."""
    return serve(EXISTING)


SCRIPT = "<img src=x onerror=attacked=1><script>window.attacked=1</script>"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>window.attacked=1</script></svg>"
NAMES = (
    SCRIPT,
    "javascript:attacked=1",
    "a & b = c # d ? e % f",
    "__proto__",
    "日本語 🏃 \u202ereversed",
    "'\"`${x}",
)


@pytest.fixture(scope="session")
def hostile_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset whose names, values, texts and files try to be more than data."""
    folder = tmp_path_factory.mktemp("hostile")
    runs = [SampleRun(RunKey("acme/<b>hostile</b>", name), _attributes(name)) for name in NAMES]
    source = memory_source_spec(MemorySource(runs))
    export_runs(source, None, ExportOptions((), folder / "data", folder / "files"), Progress())
    return folder


def _attributes(name: str):  # type: ignore[no-untyped-def]
    return (
        parameter("sys/name", name),
        parameter("sys/tags", {name, "x"}),
        parameter(f"config/{name}", name),
        parameter("config/__proto__/constructor", 2**60),
        float_series(
            f"metrics/{name}", [(0, 1.0), (1, float("nan")), (2, float("inf")), (3, -1e308), (4, 1e308)]
        ),
        string_series(f"logs/{name}", [(0, name), (1, "\x1b[31mred\x1b[0m\x00")]),
        histogram_series(f"hist/{name}", [(0, SampleHistogram((0.0, 1.0, 2.0), (3.0, 4.0)))]),
        file("page", SVG, "page.html"),
        file("source_code/x", SCRIPT.encode(), "x.py"),
        file_series("images", [(0, SampleFile(SVG, "a.svg"))]),
    )

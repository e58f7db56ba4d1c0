"""Images of file series stand where MLflow's page of a run shows them: by name, as `log_image` has it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from neptune_exporter.contract import Verdict
from neptune_exporter.model import RunKey
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import SampleFile, SampleRun, file, file_series
from neptune_exporter_mlflow.loader import MlflowLoader

from .conftest import MakeSink
from .reading import Store

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x03\x00\x00\x00\x02" + bytes(20)
RUN = SampleRun(
    RunKey("acme/vision", "RUN-1"),
    (
        file_series("plots/roc", [(0, SampleFile(PNG, ".png")), (2, SampleFile(PNG + b"x", ".png"))]),
        file_series("images/über#1", [(1, SampleFile(PNG, ".png"))]),
        file_series("models", [(0, SampleFile(b"weights", ".bin"))]),
        file("images/one", PNG, ".png"),
        file("images/more/two", PNG, ".png"),
    ),
)
LOGGED = re.compile(r"images/([^+/]+)\+step\+(-?\d+)\+timestamp\+(\d+)\+[^+/]+?(\+compressed)?\.png")
"""How the page of MLflow 3.17.2 reads the names; any other name in `images` hides all of them."""


def test_images_of_series_are_named_as_the_page_reads_them(make_sink: MakeSink, store: Store) -> None:
    sink = make_sink()
    run_id = sink.load(MemoryRun(RUN), None).target_id
    artifacts = store.artifacts(run_id)
    shown = [LOGGED.fullmatch(name) for name in artifacts if re.fullmatch(r"images/[^/]+", name)]
    assert sorted((m[1], m[2], bool(m[4])) for m in shown if m) == [
        ("images~_ber_1", "1", False),
        ("images~_ber_1", "1", True),
        ("plots~roc", "0", False),
        ("plots~roc", "0", True),
        ("plots~roc", "2", False),
        ("plots~roc", "2", True),
    ]
    assert None not in shown
    files = {
        path: name for name, (path, _, _) in json.loads(artifacts["neptune/manifest.json"])["files"].items()
    }
    assert files["models"] == "models_step_0.bin" and files["images/more/two"] == "images/more/two.bin"
    assert files["images/one"].startswith("images/files/one-")
    assert store.pairs("tags", run_id)["mlflow.loggedImages"] == "True"
    assert {c.verdict for c in sink.verify(MemoryRun(RUN), full=True)} == {Verdict.EQUAL}


def test_a_run_without_such_images_has_no_page_of_them(make_sink: MakeSink, store: Store) -> None:
    sample = SampleRun(RUN.key, (file("images/one", PNG, ".png"),))
    run_id = make_sink().load(MemoryRun(sample), None).target_id
    assert "mlflow.loggedImages" not in store.pairs("tags", run_id)


@pytest.mark.parametrize("lost", ["_show_images", "_log_artifact"])
def test_an_image_that_the_page_cannot_show_is_missing_and_sent_again(
    make_sink: MakeSink, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """Something before the server has swallowed the tag, or the small copy of each image."""
    send = getattr(MlflowLoader, lost)

    def swallow(self: MlflowLoader, target_id: str, *rest: Any) -> None:
        if rest and "+compressed" not in rest[0].name:
            send(self, target_id, *rest)

    sink = make_sink()
    with monkeypatch.context() as losing:
        losing.setattr(MlflowLoader, lost, swallow)
        sink.load(MemoryRun(RUN), None)
    wrong = [c for c in sink.verify(MemoryRun(RUN)) if c.verdict.is_mismatch]
    assert {(c.verdict, c.item) for c in wrong} == {
        (Verdict.MISSING, "files of images/über#1"),
        (Verdict.MISSING, "files of plots/roc"),
    }
    assert not make_sink().load(MemoryRun(RUN), None).already_loaded
    assert {c.verdict for c in sink.verify(MemoryRun(RUN), full=True)} == {Verdict.EQUAL}

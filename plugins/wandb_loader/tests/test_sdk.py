"""Runs that wandb's SDK writes, as the format of the installed wandb is not known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.contract import LoadedRun, LoadOptions, SinkError, Verdict
from neptune_exporter.testing import MemoryRun
from neptune_exporter.testing.sink_checks import load_runs
from neptune_exporter_wandb import formats, inspecting, records, writing
from neptune_exporter_wandb.loader import WandbLoader, connected
from neptune_exporter_wandb.sdk_loader import SdkLoader
from neptune_exporter_wandb.settings import WandbSettings
from neptune_exporter_wandb.undisturbed import wandb

from .reading import by_kind, folder_of, rows_of
from .server import WandbServer
from .test_sync import RUN, STEPS, check_sent, needs_inspect
from .test_sync import server as server


@pytest.fixture
def loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WandbLoader:
    """Of a wandb that is newer than every known one."""
    monkeypatch.setattr(formats, "version", "99.0.0")
    return connected(WandbSettings("offline", tmp_path), LoadOptions())


@pytest.fixture
def loaded(loader: WandbLoader) -> LoadedRun:
    return load_runs(loader, [MemoryRun(RUN)])[RUN.key]


def test_no_table_is_read_for_a_page_that_the_sdk_has_not(
    loader: WandbLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "read_table", None)
    assert load_runs(loader, [MemoryRun(RUN)])[RUN.key].target_id


def test_every_row_arrives_with_its_step_and_time(loaded: LoadedRun, tmp_path: Path) -> None:
    """As read by the tests' own reader; what the SDK has no place for is counted."""
    found = by_kind(folder_of(tmp_path / "wandb", loaded.target_id))
    rows = list(rows_of(found["history"]))
    points = [(float(row["neptune_step"]), float(row["a/b"])) for row in rows if "a/b" in row]
    assert repr(points) == repr(sorted(((float(s), v) for s, v in STEPS), key=lambda point: point[0]))
    assert [float(row["a_b"]) for row in rows if "a_b" in row] == [float(n) for n in range(3_000)]
    assert {loss.reason: loss.count for loss in loaded.losses} == {"start-time": 1, "console-page": 2}
    manifest = folder_of(tmp_path / "wandb", loaded.target_id) / "files/neptune/manifest.json"
    assert "start-time" in manifest.read_text()


@needs_inspect
def test_wandbs_own_reader_reads_it_back(loader: WandbLoader, loaded: LoadedRun) -> None:
    """Through `wandb leet inspect`: no protobuf class is used."""
    compared = list(loader.verify(MemoryRun(RUN), full=True))
    assert {c.verdict for c in compared} == {Verdict.EQUAL}
    assert len([c for c in compared if c.item.startswith("points of ")]) == 2


@needs_inspect
def test_both_readers_say_the_same(loaded: LoadedRun, tmp_path: Path) -> None:
    folder, run_id = folder_of(tmp_path / "wandb", loaded.target_id), loaded.target_id.partition(".")[0]

    def plain(said: Any) -> list[Any]:
        return [_comparable(record) for record in said]

    assert plain(records.read(folder, run_id)) == plain(inspecting.read(folder, run_id))


def _comparable(record: records.Record) -> Any:
    if isinstance(record, records.Row):
        numbers = {name: repr(float(text.strip('"'))) for name, text in record.values.items()}
        return record.number, numbers, record.parts
    return record


def test_wandb_sync_sends_it(loaded: LoadedRun, server: WandbServer, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "wandb", loaded.target_id)
    command = [sys.executable, "-m", "wandb", "sync", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "ERROR" not in done.stdout + done.stderr
    ((_, run),) = server.runs.items()
    check_sent(run, console=[])


def test_a_second_load_finds_it(loader: WandbLoader, loaded: LoadedRun) -> None:
    again = load_runs(loader, [MemoryRun(RUN)])[RUN.key]
    assert (again.already_loaded, again.target_id) == (True, loaded.target_id)
    assert {loss.reason for loss in again.losses} == {"start-time", "console-page"}
    report = loader.closing_report()
    assert "wandb 99.0.0 is not among the versions" in str(report["written by wandb's SDK, as"])


def test_an_error_of_the_sdk_is_one_line_and_leaves_nothing_open(
    loader: WandbLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it comes between wandb's beginning of a run and ours: its id must not stay in use."""
    with monkeypatch.context() as patched:
        patched.setattr(writing, "TableWriter", _refuse)
        with pytest.raises(SinkError, match="wandb's SDK: no"):
            load_runs(loader, [MemoryRun(RUN)])
    assert not load_runs(loader, [MemoryRun(RUN)])[RUN.key].already_loaded


def _refuse(files: Path) -> None:
    raise wandb.errors.CommError("no")


@pytest.mark.parametrize(
    ("version", "known"),
    [("0.29.9", False), ("0.30.0", True), ("0.31.2rc1", True), ("0.32.0", False), ("1.0.0", False)],
)
def test_the_version_says_whether_the_format_is_known(
    version: str, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "version", version)
    reason = formats.unknown_format()
    assert reason is None if known else reason is not None and version in reason


def test_classes_that_read_another_row_are_not_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A value in another field, as if its number had changed."""
    original = formats.row_record
    monkeypatch.setattr(
        formats, "row_record", lambda *args: original(*args).replace(b"\x82\x01", b"\x8a\x01")
    )
    assert "other fields" in (formats.unknown_format() or "")
    assert isinstance(connected(WandbSettings("offline", tmp_path), LoadOptions()), SdkLoader)


def test_a_series_may_be_called_as_a_part_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """wandb's reader joins names and parts by a dot."""
    items = {"h._type": "histogram", "h.bins": [0, 1], "x._type": 2.5, "_step": 3, "a": "NaN"}
    line = json.dumps({"type": "history", "history": {"item": items, "step": {"num": 3}}})
    texts = json.loads(line, parse_float=str, parse_int=str)
    (row,) = inspecting.of_line(texts, line.encode())
    assert isinstance(row, records.Row)
    assert row.values == {"x._type": "2.5", "_step": "3", "a": "NaN"}
    assert row.parts == {("h", "_type"): "histogram", ("h", "bins"): [0, 1]}


@pytest.mark.parametrize(("given", "reports"), [(None, False), ("false", False), ("true", True)])
def test_the_sdk_reports_nothing_to_its_vendor_unless_asked(given: str | None, reports: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "WANDB_ERROR_REPORTING"}
    program = "import neptune_exporter_wandb.undisturbed, wandb; print(wandb.env.error_reporting_enabled())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment if given is None else {**environment, "WANDB_ERROR_REPORTING": given},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.split()[-1] == str(reports)

"""What a run is in MLflow: its tags, times, status, parent and experiment."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.contract import SinkError, UsageError, Verdict
from neptune_exporter.model import RunKey, SysAttribute
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import SampleRun, file, float_series, parameter
from neptune_exporter_mlflow.settings import MlflowSettings, divided

from .conftest import MakeSink
from .reading import Store

KEY = RunKey("acme/vision", "RUN-'1'")
CREATED = datetime(2023, 10, 29, 1, 30, 0, 123000, tzinfo=timezone.utc)


def run(*attributes: Any, key: RunKey = KEY) -> SampleRun:
    return SampleRun(key, (parameter(SysAttribute.CREATION_TIME, CREATED), *attributes), CREATED)


def row(store: Store, run_id: str) -> tuple[Any, ...]:
    ((*columns,),) = store.rows(
        "select name, status, start_time, end_time from runs where run_uuid = ?", run_id
    )
    return tuple(columns)


def test_a_file_that_is_missing_stays_a_loss_of_every_later_load(make_sink: MakeSink) -> None:
    sample = MemoryRun(run(file("weights", b"1", "w.bin")), renamed_files={"weights": "gone.bin"})
    sink = make_sink()
    first, second = sink.load(sample, None), sink.load(sample, None)
    assert second.already_loaded and second.target_id == first.target_id
    for loaded in (first, second):
        assert [(loss.reason, loss.count) for loss in loaded.losses] == [("file-missing", 1)]
    assert ("file weights", Verdict.LOST) in [(c.item, c.verdict) for c in sink.verify(sample)]


def test_shows_what_neptune_told(make_sink: MakeSink, store: Store) -> None:
    sample = run(
        parameter(SysAttribute.NAME, "first try"),
        parameter(SysAttribute.DESCRIPTION, "why"),
        parameter(SysAttribute.TAGS, ["good", "it's"]),
        parameter("sys/owner", "ada"),
        parameter("sys/running_time", 60.5),
        parameter(SysAttribute.FAILED, True),
    )
    run_id = make_sink().load(MemoryRun(sample), None).target_id
    start = int(CREATED.timestamp() * 1000)
    assert row(store, run_id) == ("first try", "FAILED", start, start + 60_500)
    tags = store.pairs("tags", run_id)
    expected = {
        "neptune.project": "acme/vision",
        "neptune.run_id": "RUN-'1'",
        "neptune.tags": '["good", "it\'s"]',
        "mlflow.note.content": "why",
        "mlflow.user": "ada",
    }
    assert {key: tags[key] for key in expected} == expected


def test_a_run_with_a_quote_in_its_name_is_loaded_once(make_sink: MakeSink, store: Store) -> None:
    first = make_sink().load(MemoryRun(run()), None)
    again = make_sink().load(MemoryRun(run()), None)
    assert again.already_loaded and again.target_id == first.target_id
    assert store.rows("select count(*) from runs") == [(1,)]


def test_a_run_that_was_active_is_running(make_sink: MakeSink, store: Store) -> None:
    run_id = make_sink().load(MemoryRun(run(parameter(SysAttribute.STATE, "Active"))), None).target_id
    assert row(store, run_id)[1::2] == ("RUNNING", None)


def test_a_time_of_zero_is_not_the_time_of_the_load(make_sink: MakeSink, store: Store) -> None:
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    sample = SampleRun(KEY, (parameter(SysAttribute.CREATION_TIME, epoch),), epoch)
    sink = make_sink()
    run_id = sink.load(MemoryRun(sample), None).target_id
    assert row(store, run_id)[2:] == (1, 1)  # MLflow takes 0 for none
    assert {c.verdict for c in sink.verify(MemoryRun(sample), full=True)} == {Verdict.EQUAL}


def test_infinity_is_told_from_the_largest_number(make_sink: MakeSink, store: Store) -> None:
    largest = 1.7976931348623157e308
    sample = run(float_series("loss", enumerate([math.inf, largest, -math.inf, -largest, math.nan])))
    run_id = make_sink().load(MemoryRun(sample), None).target_id
    assert [value for _, _, _, value, _ in store.points(run_id)] == [
        largest,
        largest,
        -largest,
        -largest,
        0.0,
    ]
    manifest = json.loads(store.artifacts(run_id)["neptune/manifest.json"])
    assert [[name, step, value] for name, step, _, value in manifest["finite"]] == [
        ["loss", 1, largest],
        ["loss", 3, -largest],
    ]


def test_latest_values_follow_mlflows_order(make_sink: MakeSink, store: Store) -> None:
    sample = run(float_series("falls", [(5, 1.0), (9, 2.0), (3, 7.0)]))
    run_id = make_sink().load(MemoryRun(sample), None).target_id
    assert store.rows("select key, step, value from latest_metrics where run_uuid = ?", run_id) == [
        ("falls", 9, 2.0)
    ]


@pytest.mark.parametrize("text", ["x" * 6_001, "a\0b", "y" * 6_000])
def test_no_parameter_is_cut(make_sink: MakeSink, store: Store, text: str) -> None:
    sample = run(parameter("long", text), parameter("short", "s"))
    sink = make_sink()
    run_id = sink.load(MemoryRun(sample), None).target_id
    values = store.pairs("params", run_id)
    assert values["short"] == "s" and len(values["long"]) <= 6_000 and "\0" not in values["long"]
    whole = json.loads(store.artifacts(run_id).get("neptune/long_parameters.json", b"{}"))
    assert {**values, **whole}["long"] == text
    assert {c.verdict for c in sink.verify(MemoryRun(sample), full=True)} == {Verdict.EQUAL}
    store.write("update params set value = 'z' where key = 'long'")
    assert Verdict.DIFFERENT in {c.verdict for c in sink.verify(MemoryRun(sample), full=True)}


def test_experiments_by_template(make_sink: MakeSink, store: Store) -> None:
    sink = make_sink(experiment="old/{workspace}/{experiment}")
    sink.load(MemoryRun(run(parameter("sys/experiment/name", "tuning"))), None)
    sink.load(MemoryRun(run(key=replace(KEY, run_id="R2"))), None)
    names = store.rows("select name from experiments order by experiment_id")
    assert [name for (name,) in names] == ["Default", "old/acme/tuning", "old/acme/default"]


@pytest.mark.parametrize("template", ["{run}", "{project", "{0}", " "])
def test_a_template_is_checked(template: str) -> None:
    with pytest.raises(UsageError, match="--mlflow-experiment"):
        MlflowSettings("sqlite://", experiment=template)


def test_a_deleted_experiment_is_named(make_sink: MakeSink) -> None:
    sink = make_sink()
    sink.client.delete_experiment(sink.client.create_experiment("acme/vision"))
    with pytest.raises(SinkError, match="'acme/vision' was deleted in MLflow: restore it"):
        sink.load(MemoryRun(run()), None)


def test_sqlite_takes_one_process(store: Store) -> None:
    with pytest.raises(UsageError, match="--executor"):
        divided(MlflowSettings(store.uri), 2)
    server = MlflowSettings("http://127.0.0.1:5000")
    assert divided(server, 2) == server


def test_verify_finds_what_is_too_much_or_gone(make_sink: MakeSink, store: Store, tmp_path: Path) -> None:
    sample = run(float_series("loss", [(0, 1.0)]))
    sink = make_sink()
    run_id = sink.load(MemoryRun(sample), None).target_id
    sink.client.log_metric(run_id, "other", 1.0)
    sink.client.log_text(run_id, "x", "other.txt")
    found = {(c.verdict, c.item) for c in sink.verify(MemoryRun(sample))}
    assert {(Verdict.EXTRA, "points of other"), (Verdict.EXTRA, "files of other.txt")} <= found
    store.write("delete from metrics where key = 'loss'")
    assert (Verdict.MISSING, "points of loss") in {
        (c.verdict, c.item) for c in sink.verify(MemoryRun(sample))
    }

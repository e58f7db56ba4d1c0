"""Points that are written into MLflow's own tables, in SQLite and in PostgreSQL."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

from neptune_exporter.contract import LoadOptions, Secret, SinkError, UsageError, Verdict
from neptune_exporter.model import RunKey
from neptune_exporter.testing import SinkConformance
from neptune_exporter.testing.corpus import themed_runs
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import SampleRun, float_series
from neptune_exporter.testing.sinks import ReadBack, SinkFactory
from neptune_exporter_mlflow.connecting import connected
from neptune_exporter_mlflow.plugin import make_sink
from neptune_exporter_mlflow.settings import CAPABILITIES, MlflowSettings

from .conftest import MakeSink
from .reading import Store, read_run

KEY = RunKey("acme/vision", "RUN-1")
LARGEST = 1.7976931348623157e308
POINTS = {
    "falls": [(5, 1.0), (9, 2.0), (3, 7.0)],
    "nan last": [(1, 4.0), (2, math.nan)],
    "negative": [(-(2**62), -1.5), (-1, -0.0)],
    "far": [(2**62, math.inf), (0, -math.inf), (1, LARGEST)],
    "é/日本": [(0, 5e-324)],
}


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue("store" if request.param == "sqlite" else "postgresql")
    return found


def settings(store: Store, tmp_path: Path) -> MlflowSettings:
    artifacts = str(tmp_path / "artifacts")
    return MlflowSettings(artifact_location=artifacts, direct_database=Secret(store.uri))


class TestDirect(SinkConformance):
    capabilities = CAPABILITIES
    allowed_losses = ("file-missing", "file-unsafe", "fork-not-native", "no-step")
    generated_runs = 3
    broken_lines = 6
    crossed_lines = 3

    @pytest.fixture
    def sink_factory(self, store: Store, tmp_path: Path) -> SinkFactory:
        return lambda options: make_sink(settings(store, tmp_path), options)

    @pytest.fixture
    def read_back(self, store: Store) -> ReadBack:
        return lambda key, loaded: read_run(store, loaded.target_id)


@pytest.mark.parametrize("theme", ["types", "numbers", "non-finite", "names", "steps-duplicate", "times"])
def test_postgresql_holds_the_same(postgresql: Store, tmp_path: Path, theme: str) -> None:
    for sample in themed_runs(theme):
        sink = make_sink(settings(postgresql, tmp_path), LoadOptions())
        loaded = sink.load(MemoryRun(sample), None)
        found = {c.verdict for c in sink.verify(MemoryRun(sample), full=True)}
        sink.close()
        assert found <= {Verdict.EQUAL, Verdict.LOST}
        held = read_run(postgresql, loaded.target_id)
        points = {
            a.path: len(a.entries) for a in sample.attributes if a.type.value == "float_series" and a.entries
        }
        assert {path: len(entries) for path, entries in held.points.items()} == points


def test_rows_are_those_of_mlflows_own_client(either: Store, tmp_path: Path) -> None:
    """What the client writes of the same points, `latest_metrics` included."""
    sample = SampleRun(KEY, tuple(float_series(name, points) for name, points in POINTS.items()))
    sink = make_sink(settings(either, tmp_path), LoadOptions())
    direct = sink.load(MemoryRun(sample), None).target_id
    sink.close()
    client: MlflowClient = connected(MlflowSettings(either.uri))
    own = client.create_run("0").info.run_id
    rows = either.points(direct)
    metrics = [
        Metric(key, math.nan if is_nan else value, time, step) for key, step, time, value, is_nan in rows
    ]
    client.log_batch(own, metrics)
    assert sum(map(len, POINTS.values())) == len(rows)
    assert either.points(own) == rows
    latest = "select key, value, timestamp, step, is_nan from latest_metrics where run_uuid = ? order by key"
    assert either.rows(latest, direct) == either.rows(latest, own)
    assert set(client.get_run(direct).data.metrics) == set(POINTS)


def test_a_series_over_several_windows_has_one_latest(
    either: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neptune_exporter.sinks.walk._WINDOW_POINTS", 7)
    sample = SampleRun(KEY, (float_series("loss", ((s, -float(s)) for s in range(100))),))
    sink = make_sink(settings(either, tmp_path), LoadOptions())
    run_id = sink.load(MemoryRun(sample), None).target_id
    sink.close()
    assert either.rows("select step, value from latest_metrics where run_uuid = ?", run_id) == [(99, -99.0)]
    assert len(either.points(run_id)) == 100


def test_unknown_tables_are_refused(either: Store, tmp_path: Path) -> None:
    either.write("update alembic_version set version_num = 'ffffffffffff'")
    other = MlflowSettings(f"sqlite:///{tmp_path / 'other.db'}", direct_database=Secret(either.uri))
    with pytest.raises(UsageError, match=r"version that this loader does not know \(ffffffffffff"):
        make_sink(other, LoadOptions())


def test_a_database_without_tables_is_refused(store: Store, tmp_path: Path) -> None:
    empty = Secret(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(UsageError, match="has no tables of MLflow"):
        make_sink(MlflowSettings(store.uri, direct_database=empty), LoadOptions())


def test_another_database_than_the_servers_is_refused(
    store: Store, new_database: Path, tmp_path: Path, make_sink: MakeSink
) -> None:
    sink = make_sink(direct_database=Secret(f"sqlite:///{new_database}"))
    sample = SampleRun(KEY, (float_series("loss", [(0, 1.0)]),))
    with pytest.raises(SinkError, match="is not the one of the tracking server: it has no run"):
        sink.load(MemoryRun(sample), None)


def test_an_error_of_the_database_while_rows_are_written_is_one_line(either: Store, tmp_path: Path) -> None:
    sink = make_sink(settings(either, tmp_path), LoadOptions())
    either.write("alter table metrics rename to elsewhere")
    sample = SampleRun(KEY, (float_series("loss", [(0, 1.0)]),))
    with pytest.raises(SinkError, match=r"^the database [^\n]*metrics[^\n]*$"):
        sink.load(MemoryRun(sample), None)
    sink.close()


def test_only_databases_that_were_tried(store: Store) -> None:
    with pytest.raises(UsageError, match="takes sqlite and PostgreSQL, not mysql"):
        make_sink(MlflowSettings(store.uri, direct_database=Secret("mysql://127.0.0.1/db")), LoadOptions())

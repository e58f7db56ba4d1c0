"""Databases of neptune-scale: every value that it writes."""

from __future__ import annotations

import math
import pickle
import shutil
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

from neptune_exporter.contract import AttributeSelection
from neptune_exporter_offline import sqlite, wire
from neptune_exporter_offline.settings import OfflineSettings

from .folders import Logging, change, database_of, work_of


def insert(path: Path, operation_type: int, operation: bytes) -> None:
    columns = "timestamp, operation_type, operation, operation_size_bytes"
    values = (4_000_000_000_000, operation_type, operation, len(operation))
    change(path, (f"INSERT INTO run_operations ({columns}) VALUES (?, ?, ?, ?)", values))


def test_values_arrive_exactly(scale: Logging, read: Any, tmp_path: Path) -> None:
    moment = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=timezone.utc)
    with scale(experiment_name="exp", creation_time=moment) as run:
        run.log_configs({"n": 2**63 - 1, "f": math.nan, "g": -math.inf, "s": "é", "b": False, "t": moment})
        run.log_configs({"n": -(2**53) - 1, "set": ["b", "a", "b"]})
        run.add_tags(["a", "b"])
        run.add_tags(["g"], group_tags=True)
        run.remove_tags(["a"])
    found = read(work_of(tmp_path))
    assert found.run.key.project_id == "acme/vision" and found.run.key.run_id == "run-1"
    assert found.run.name == found.value("sys/name") == "exp"
    assert found.value("sys/custom_run_id") == "run-1"
    assert found.value("sys/creation_time") == found.value("t") == moment.replace(microsecond=123000)
    assert found.value("n") == -(2**53) - 1
    assert math.isnan(found.value("f")) and found.value("g") == -math.inf
    assert (found.value("s"), found.value("b"), found.value("set")) == ("é", False, ["a", "b"])
    assert (found.value("sys/tags"), found.value("sys/group_tags")) == (["b"], ["g"])
    assert found.failures == [] and found.notes == found.run.notes == ()


def test_steps_are_cut_by_the_client_and_exact_here(scale: Logging, read: Any, tmp_path: Path) -> None:
    with scale() as run:
        for step in (0.1234567, 0.29, 57.3, 999_999_999_999.5):
            run.log_metrics({"m": step}, step=step)
    assert [step for step, _ in read(work_of(tmp_path)).points("m")] == [
        Decimal("0.123456"),
        Decimal("0.29"),
        Decimal("57.3"),
        999_999_999_999.5,  # beyond the exact decimals of a double
    ]


def test_times_are_rounded_to_what_was_meant(scale: Logging, read: Any, tmp_path: Path) -> None:
    """The client computes nanoseconds in floating point, often a little too few."""
    first = datetime(2024, 5, 6, 7, 8, 9, 0, tzinfo=timezone.utc)
    times = [first + timedelta(milliseconds=n) for n in range(1000)]
    with scale() as run:
        for n, time in enumerate(times):
            run.log_metrics({"m": 1.0}, step=n, timestamp=time)
    query = "SELECT operation FROM run_operations WHERE operation_type = 0 ORDER BY sequence_id"
    with sqlite.open_database(database_of(tmp_path)) as database:
        updates = [wire.UpdateRunSnapshot.FromString(blob) for (blob,) in database.execute(query)]
    cut = [update.timestamp.nanos // 1_000_000 for update in updates]
    assert cut != [t.microsecond // 1000 for t in times], "the client's times would need no rounding"
    assert read(work_of(tmp_path)).times("m") == times


def test_series_of_every_type(scale: Logging, read: Any, tmp_path: Path) -> None:
    from neptune_scale.types import Histogram

    with scale() as run:
        run.log_metrics({"m": 1.0, "zero": 0.0, "nan": math.nan}, step=1)
        run.log_metrics({"m": 2.0}, step=1)
        run.log_metrics({"late": 1.0}, step=5)
        run.log_metrics({"late": 2.0}, step=3)
        run.log_string_series({"log": "a"}, step=0.5)
        run.log_histograms({"h": Histogram([0, 1, 5], counts=[2**40, 0])}, step=1)
        run.log_histograms({"h": Histogram([0.5, 1], densities=[0.25])}, step=2)
    found = read(work_of(tmp_path))
    assert found.points("m") == [(Decimal(1), 1.0), (Decimal(1), 2.0)]
    assert found.value("zero") == 0.0 and math.isnan(found.value("nan"))
    assert found.points("late") == [(Decimal(3), 2.0), (Decimal(5), 1.0)]
    assert found.points("log") == [(Decimal("0.5"), "a")]
    assert found.values("h") == [
        {"type": "COUNTING", "edges": [0.0, 1.0, 5.0], "values": [2.0**40, 0.0]},
        {"type": "DENSITY", "edges": [0.5, 1.0], "values": [0.25]},
    ]


def test_previews_are_taken_only_if_asked(scale: Logging, read: Any, tmp_path: Path) -> None:
    with scale() as run:
        run.log_metrics({"m": 1.0}, step=1)
        run.log_metrics({"m": 2.0}, step=2, preview=True, preview_completion=0.1)
        run.log_metrics({"m": 2.5}, step=2, preview=True, preview_completion=0.5)
        run.log_metrics({"m": 3.0}, step=3, preview=True)
        run.log_metrics({"m": 2.9}, step=2)
    plain = read(work_of(tmp_path))
    assert plain.values("m") == [1.0, 2.9]
    (note,) = plain.notes
    assert "--include-metric-previews" in note and note.endswith("(3)")
    with_previews = read(work_of(tmp_path), wanted=AttributeSelection(metric_previews=True))
    assert with_previews.points("m") == [(Decimal(1), 1.0), (Decimal(2), 2.9), (Decimal(3), 3.0)]
    assert with_previews.notes == ()


def test_forks_are_named_as_neptune_names_them(scale: Logging, read: Any, tmp_path: Path) -> None:
    with scale("child", fork_run_id="parent", fork_step=1.5) as run:
        run.log_metrics({"m": 1.0}, step=2)
    found = read(work_of(tmp_path))
    assert (found.value("sys/forking/parent"), found.value("sys/forking/step")) == ("parent", 1.5)
    assert found.values("sys/family") == []


def test_files_from_memory_and_by_path(scale: Logging, read: Any, tmp_path: Path) -> None:
    from neptune_scale.types import File

    (tmp_path / "weights.pt").write_bytes(b"weights")
    with scale() as run:
        run.assign_files({"memory": b"hello", "path": str(tmp_path / "weights.pt")})
        run.assign_files({"named": File(b"{}", destination="a/config.json", mime_type="application/json")})
        run.assign_files({"again": b"old"})
        run.assign_files({"again": b"new"})
        run.log_files({"series": b"one"}, step=1)
        run.log_files({"series": str(tmp_path / "weights.pt")}, step=2.5)
        run.assign_files({"gone": str(tmp_path / "gone.bin"), "kept": b"x"})
    moved = tmp_path / "moved"
    shutil.move(work_of(tmp_path), moved)
    found = read(moved)
    assert (found.value("memory"), found.value("path")) == (b"hello", b"weights")
    assert (found.value("named"), found.value("again")) == (b"{}", b"new")
    assert found.points("series") == [(Decimal(1), b"one"), (Decimal("2.5"), b"weights")]
    assert found.value("kept") == b"x"
    named = {place[1]: place for place in found.files.places}
    assert set(named) >= {"memory", "path", "named", "series"}
    assert found.failures == []


def test_files_that_are_gone_cost_only_themselves(scale: Logging, read: Any, tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"weights")
    with scale() as run:
        run.assign_files({"path": str(tmp_path / "weights.pt"), "copied": b"a", "sent": b"b"})
        run.log_files({"series": str(tmp_path / "weights.pt")}, step=1)
        run.log_files({"series": b"kept"}, step=2)
    (tmp_path / "weights.pt").unlink()
    database = database_of(tmp_path)
    for copy in database.parent.glob("*.bin"):
        if copy.read_bytes() == b"a":
            copy.unlink()
    change(database, ("DELETE FROM file_upload_requests WHERE destination LIKE '%/sent-%'",))
    found = read(work_of(tmp_path))
    assert found.points("series") == [(Decimal(2), b"kept")]
    failures = {f.attribute_path: f for f in found.failures}
    assert set(failures) == {"path", "copied", "sent", "series"}
    assert not failures["path"].permanent and "not on this machine" in failures["path"].message
    assert failures["series"].message.startswith("step 1: ")
    assert not failures["copied"].permanent and failures["sent"].permanent
    assert all("\n" not in f.message for f in found.failures)


def test_unknown_operations_and_values_are_named(scale: Logging, read: Any, tmp_path: Path) -> None:
    with scale() as run:
        run.log_metrics({"m": 1.0}, step=1)
    path = database_of(tmp_path)
    update = wire.UpdateRunSnapshot()
    update.append["tensor"].SetInParent()
    update.assign["thing"].SetInParent()
    update.append["count"].int64 = 3
    update.assign["dist"].histogram.SetInParent()
    update.modify_sets["list"].SetInParent()
    insert(path, 0, update.SerializeToString())
    insert(path, 7, b"what?")
    insert(path, 0, b"\xff\xff\xff")
    found = read(work_of(tmp_path))
    assert found.values("m") == [1.0]
    assert {f.attribute_path for f in found.failures} == {"tensor", "thing", "count", "dist", "list", ""}
    assert found.messages("tensor") == ["values of an unknown kind were appended and not read"]
    assert found.messages("count") == ["values of the kind int64 were appended and not read"]
    assert sorted(found.messages("")) == [
        "a malformed operation was not applied",
        "operations of the type 7 are not known and were not applied",
    ]


def test_recorded_errors_are_counted_and_never_loaded(scale: Logging, read: Any, tmp_path: Path) -> None:
    trap = tmp_path / "trap"

    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (trap,))

    with scale() as run:
        run.log_metrics({"m": 1.0}, step=1)
    columns = "timestamp, error_type, error_details, error_body"
    row = (1, "NeptuneError", "no", pickle.dumps(Trap()).hex())
    change(database_of(tmp_path), (f"INSERT INTO operation_errors ({columns}) VALUES (?, ?, ?, ?)", row))
    found = read(work_of(tmp_path))
    assert found.run.notes == ("The client recorded 1 errors; a server may have refused values",)
    assert found.values("m") == [1.0]
    assert not trap.exists()


def test_the_wire_table_is_the_client_s(tmp_path: Path) -> None:
    """Every field read here has the number, type and label that neptune-scale's own messages give it."""
    from neptune_api.proto.neptune_pb.ingest.v1 import common_pb2

    checked = 0
    for name, fields in wire._MESSAGES.items():
        if name in ("Timestamp", "Counts", "Densities"):
            continue
        theirs, ours = common_pb2.DESCRIPTOR.message_types_by_name[name], wire.message_class(name).DESCRIPTOR
        for number, marked, _ in fields:
            their, our = theirs.fields_by_number[number], ours.fields_by_number[number]
            assert their.name == our.name == marked.lstrip("*|%")
            assert (their.is_repeated, their.cpp_type) == (our.is_repeated, our.cpp_type) or their.enum_type
            checked += 1
    assert checked > 35
    update = common_pb2.UpdateRunSnapshot()
    update.modify_sets["t"].string.values["a"] = common_pb2.SET_OPERATION.REMOVE
    update.append["h"].histogram.counts.values.extend([1, 2])
    update.append["d"].histogram.densities.values.extend([0.5])
    update.timestamp.nanos = 5
    ours = wire.UpdateRunSnapshot.FromString(update.SerializeToString())
    assert dict(ours.modify_sets["t"].string.values) == {"a": wire.REMOVE}
    assert list(ours.append["h"].histogram.counts.values) == [1, 2]
    assert list(ours.append["d"].histogram.densities.values) == [0.5]
    assert ours.timestamp.nanos == 5


def test_nothing_of_the_clients_is_imported(scale: Logging, run_script: Any, tmp_path: Path) -> None:
    with scale() as run:
        run.log_metrics({"m": 1.0}, step=1)
    settings = OfflineSettings(path=(str(work_of(tmp_path)),))
    script = f"""
import sys
from neptune_exporter_offline import plugin
heavy = {{"pyarrow", "google", "orjson"}} & set(sys.modules)
assert not heavy, f"registering imports {{heavy}}"
from neptune_exporter.contract import (AttributeRequest, RunRequest, RunSelection)
from neptune_exporter.testing import MemoryFiles
source = plugin.make_source(plugin.{settings!r})
runs = [RunRequest(run, AttributeRequest()) for run in source.runs("acme/vision", RunSelection())]
assert len(list(source.read(runs, MemoryFiles()))) > 2
clients = {{"neptune", "neptune_scale", "neptune_api", "neptune_query"}} & set(sys.modules)
assert not clients, f"reading imports {{clients}}"
"""
    done = run_script(script)
    assert done.returncode == 0, done.stderr

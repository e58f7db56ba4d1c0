"""Folders of the 2.x client: every operation that it writes, replayed in order."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

from neptune_exporter.contract import AttributeSelection
from neptune_exporter.model import AttributeClass
from neptune_exporter_offline.testing.neptune2 import append_operations

from .folders import Logging, folder_of, log_of, work_of


def test_last_assignment_wins_and_types_are_kept(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    moment = datetime(2024, 5, 6, 7, 8, 9, 123999, tzinfo=timezone.utc)
    with neptune2(name="first try", description="why", tags=["a", "b"]) as run:
        run["lr"] = 0.1
        run["lr"] = 0.2
        run["epochs"] = 3
        run["amp"] = True
        run["text"] = "naïve – 日本語"
        run["began"] = moment
        run["nested"] = {"a": 1, "b": {"c": "d"}}
    found = read(work_of(tmp_path))
    assert found.value("lr") == 0.2
    assert (found.value("epochs"), found.types["epochs"]) == (3, "int")
    assert found.value("amp") is True
    assert found.value("text") == "naïve – 日本語"
    assert found.value("began") == moment.replace(microsecond=123000)
    assert (found.value("nested/a"), found.value("nested/b/c")) == (1, "d")
    assert (found.value("sys/name"), found.value("sys/description")) == ("first try", "why")
    assert found.value("sys/tags") == ["a", "b"]
    assert found.value("sys/failed") is False
    assert found.value("sys/id") == found.run.key.run_id
    created = json.loads((folder_of(tmp_path) / "metadata.json").read_text())["createdAt"]
    assert abs(found.value("sys/creation_time") - datetime.fromisoformat(created)).total_seconds() < 0.001
    assert found.run.name == "first try"
    assert found.failures == []
    assert found.notes == found.run.notes == ()


def test_series_keep_steps_times_duplicates_and_order(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    with neptune2() as run:
        run["loss"].append(1.0, step=0.5, timestamp=1_700_000_000.123)
        run["loss"].append(2.0, step=0.5, timestamp=1_700_000_000.124)
        run["loss"].append(3.0, step=1, timestamp=1_700_000_000.001)
        run["back"].extend([1, 2, 3], steps=[2, 0, 1])
        run["lines"].extend(["a\nb", "c"], steps=[1, 2])
        run["counted"].append(5)
        run["counted"].append(6, step=7.5)
        run["counted"].append(7)
    found = read(work_of(tmp_path))
    assert found.points("loss") == [(Decimal("0.5"), 1.0), (Decimal("0.5"), 2.0), (Decimal(1), 3.0)]
    assert [t.timestamp() for t in found.times("loss")] == [
        1_700_000_000.123,
        1_700_000_000.124,
        1_700_000_000.001,
    ]
    assert found.points("back") == [(Decimal(0), 2.0), (Decimal(1), 3.0), (Decimal(2), 1.0)]
    assert found.values("lines") == ["a\nb", "c"]
    assert found.points("counted") == [(Decimal(0), 5.0), (Decimal("7.5"), 6.0), (Decimal("8.5"), 7.0)]


def test_clears_deletes_and_set_changes(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    with neptune2(tags=["a", "b"]) as run:
        run["sys/tags"].add("c")
        run["sys/tags"].remove("a")
        run["cleared"].append(1)
        run["cleared"].clear()
        run["cleared"].append(2)
        run["other"].append("x")
        del run["other"]
        run["other"] = 1.5
        run["gone"].append(3)
        del run["gone"]
        run["set"].add(["x", "y"])
        run["set"].clear()
        run["set"].add("z")
    found = read(work_of(tmp_path))
    assert found.value("sys/tags") == ["b", "c"]
    assert found.points("cleared") == [(Decimal(0), 2.0)]
    assert (found.value("other"), found.types["other"]) == (1.5, "float")
    assert found.values("gone") == []
    assert found.value("set") == ["z"]
    assert found.failures == []


def test_copies_within_the_run_and_not_from_elsewhere(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    with neptune2() as run:
        run["lr"] = 0.1
        run["copy"] = run["lr"]
        run["lr"] = 0.2
    log = log_of(tmp_path)
    copy = json.loads(next(line for line in log.read_text().splitlines() if "CopyAttribute" in line))["obj"]
    append_operations(
        folder_of(tmp_path), {**copy, "path": ["from", "elsewhere"], "container_id": "another-run"}
    )
    found = read(work_of(tmp_path))
    assert found.value("copy") == 0.1
    assert found.values("from/elsewhere") == []
    (message,) = found.messages("from/elsewhere")
    assert "another-run" in message


def test_what_has_no_place_is_noted(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    from neptune.types import FloatSeries

    with neptune2() as run:
        run["m"] = FloatSeries([1.0, 2.0], min=0, unit="kg")
    found = read(work_of(tmp_path))
    assert found.values("m") == [1.0, 2.0]
    assert found.notes == ("Units and value ranges of charts have no place in the dataset",)


def test_a_second_type_is_refused_as_neptune_does(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    with neptune2() as run:
        run["x"] = 1.5
    append_operations(
        folder_of(tmp_path),
        {"type": "LogFloats", "path": ["x"], "values": [{"value": 1.0, "step": 0, "ts": 1.0}]},
        {"type": "AssignString", "path": ["x"], "value": "text"},
        {"type": "AddStrings", "path": ["x"], "values": ["a"]},
    )
    found = read(work_of(tmp_path))
    assert (found.value("x"), found.types["x"]) == (1.5, "float")
    assert {f.attribute_type for f in found.failures} == {"float_series", "string", "string_set"}
    only_files = AttributeSelection(classes=frozenset({AttributeClass.FILES}))
    assert read(work_of(tmp_path), wanted=only_files).failures == []


def test_unknown_and_malformed_operations_are_named(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    with neptune2() as run:
        run["x"].append(1.0, step=1)
    append_operations(
        folder_of(tmp_path),
        *[{"type": "LogHolograms", "path": ["holo"], "values": [1]}] * 3,
        {"type": "LogFloats", "path": ["x"], "values": [{"value": None, "step": 2, "ts": 1.0}]},
        {"type": "LogFloats", "path": ["x"], "values": [{"value": 2.0, "step": "three", "ts": 1.0}]},
        {"type": "AssignDatetime", "path": ["far"], "value": 10**18},
        {"type": "AssignFloat", "value": 1.0},
        {"type": "LogFloats", "path": ["x"], "values": [{"value": 4.0, "step": 4, "ts": 1.0}]},
    )
    found = read(work_of(tmp_path))
    assert found.points("x") == [(Decimal(1), 1.0), (Decimal(4), 4.0)]
    assert found.messages("holo") == [
        "operations of the type 'LogHolograms' are not known and were not applied (3 times)"
    ]
    assert found.messages("x") == ["a malformed LogFloats operation was not applied (2 times)"]
    assert found.messages("far") == ["a malformed AssignDatetime operation was not applied"]
    assert found.messages("") == ["an operation without a path was not applied"]


def test_numbers_that_json_does_not_know(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    """Clients before 1.0 wrote NaN and integers of any size."""
    with neptune2():
        pass
    append_operations(
        folder_of(tmp_path),
        {"type": "LogFloats", "path": ["x"], "values": [{"value": float("nan"), "step": 0, "ts": 1.0}]},
        {"type": "LogFloats", "path": ["x"], "values": [{"value": float("inf"), "step": 1, "ts": 1.0}]},
        {"type": "AssignInt", "path": ["i"], "value": 2**53 + 1},
    )
    found = read(work_of(tmp_path))
    nan, infinity = found.values("x")
    assert nan != nan and infinity == float("inf")
    assert found.value("i") == 2**53 + 1
    assert found.failures == []

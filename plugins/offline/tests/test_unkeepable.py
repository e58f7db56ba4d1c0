"""Text, times and numbers that the dataset cannot hold: each costs no more than itself."""

from __future__ import annotations

import json
import os
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter import schema
from neptune_exporter.model import AttributeType
from neptune_exporter_offline import delivery, wire
from neptune_exporter_offline.testing.neptune2 import append_operations

from .folders import Logging, change, database_of, folder_of, log_of, work_of

LATIN_1 = os.fsdecode(b"caf\xe9")
"""A name of a file that is not UTF-8, as Python has it and the 2.x client logs it."""
NO_UNICODE = "Text that is no Unicode (names of files, mostly) has U+FFFD where UTF-8 cannot hold it"

NO_TIME = "Points have no time where the logged one is not between the years 1 and 9999"


def test_text_that_is_no_unicode_is_kept_but_for_what_utf_8_cannot_hold(
    neptune2: Logging, read: Any, tmp_path: Path
) -> None:
    with neptune2(name=LATIN_1) as run:
        run["s"] = f"{LATIN_1}.csv"
        run["lines"].extend(["a", LATIN_1], steps=[0, 1])
        run["tags"].add([LATIN_1, "b", "c"])
        run["tags"].remove(LATIN_1)
        run["more"].add(LATIN_1)
        run[f"data/{LATIN_1}"] = 1
        run["good"] = 1.5
    found = read(work_of(tmp_path))
    assert found.value("s") == "caf\ufffd.csv"
    assert found.values("lines") == ["a", "caf\ufffd"]
    assert (found.value("tags"), found.value("more")) == (["b", "c"], ["caf\ufffd"])
    assert (found.value("data/caf\ufffd"), found.value("good")) == (1, 1.5)
    assert found.run.name == found.value("sys/name") == "caf\ufffd"
    assert found.failures == []
    assert found.notes == (NO_UNICODE,)


def test_files_whose_names_are_no_unicode(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in (LATIN_1, os.fsdecode(b"caf\xe8")):
        (data / name).write_text(repr(name))
    with neptune2() as run:
        run["file"].upload(str(data / LATIN_1))
        run["set"].upload_files(str(data))
        run["artifact"].track_files(str(data))
    found = read(work_of(tmp_path))
    assert found.value("file") == repr(LATIN_1).encode()
    with zipfile.ZipFile(BytesIO(found.value("set"))) as archive:
        assert archive.namelist() == ["caf\\udce8", "caf\\udce9"]
    assert b"udce8" in found.value("artifact")
    assert found.failures == []


def test_a_project_folder_whose_name_is_no_unicode(neptune2: Logging, read_all: Any, tmp_path: Path) -> None:
    with neptune2() as run:
        run["x"] = 1
    work_of(tmp_path).rename(tmp_path / LATIN_1)
    assert [project for project, _ in read_all(tmp_path)] == ["offline/caf\ufffd"]


def test_times_that_cannot_be_kept_cost_no_point(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    with neptune2() as run:
        for step, time in enumerate((1.7e9, 1.7e18, 1.7e9, 1.7e12, -1e11)):
            run["m"].append(float(step), step=step, timestamp=time)
            run["s"].append(f"line {step}", step=step, timestamp=time)
        run["after"].append(1.0)
    bad: list[object] = [float("nan"), float("inf"), None, 10**400, "soon"]
    entries = [{"value": float(n), "step": n, "ts": ts} for n, ts in enumerate(bad, 5)]
    append_operations(folder_of(tmp_path), {"type": "LogFloats", "path": ["m"], "values": entries})
    found = read(work_of(tmp_path))
    assert found.points("m") == [(step, float(step)) for step in range(10)]
    assert found.points("s") == [(step, f"line {step}") for step in range(5)]
    assert [t is not None for t in found.times("m")] == [True, False, True] + 7 * [False]
    assert [t is not None for t in found.times("s")] == [True, False, True, False, False]
    assert found.times("m")[2].timestamp() == 1.7e9
    assert found.value("after") == 1.0
    assert found.failures == []
    assert found.notes == (f"{NO_TIME} (11)",)


def test_a_log_that_begins_at_no_time(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    with neptune2() as run:
        run["x"] = 1
    (folder_of(tmp_path) / "metadata.json").unlink()
    records = [json.loads(line) for line in log_of(tmp_path).read_text().splitlines()]
    log_of(tmp_path).write_text("".join(json.dumps({**r, "at": 1e300}) + "\n" for r in records))
    assert read(work_of(tmp_path)).value("x") == 1


def test_times_of_3_x_that_cannot_be_kept(scale: Logging, read: Any, tmp_path: Path) -> None:
    with scale() as run:
        run.log_metrics({"m": 1.0, "n": 1.0}, step=1)
    update = wire.UpdateRunSnapshot()
    update.timestamp.seconds, update.step.whole = 2**62, 2
    update.append["m"].float64, update.append["n"].float64 = 2.0, 2.0
    update.assign["far"].timestamp.seconds = 2**62
    created = wire.Run()
    created.creation_time.seconds = 2**62
    insert = (
        "INSERT INTO run_operations (timestamp, operation_type, operation, operation_size_bytes) "
        "VALUES (4000000000000, 0, ?, 1)"
    )
    change(
        database_of(tmp_path),
        (insert, (update.SerializeToString(),)),
        ("UPDATE run_operations SET operation = ? WHERE operation_type = 1", (created.SerializeToString(),)),
    )
    found = read(work_of(tmp_path))
    assert found.points("m") == found.points("n") == [(1, 1.0), (2, 2.0)]
    assert [t is not None for t in found.times("m")] == [True, False]
    assert found.notes == (f"{NO_TIME} (2)",)
    assert {(f.attribute_path, f.message) for f in found.failures} == {
        ("far", "its time is beyond the years 1 to 9999"),
        ("sys/creation_time", "its time is beyond the years 1 to 9999"),
    }


def test_integers_beyond_64_bits(neptune2: Logging, read: Any, tmp_path: Path) -> None:
    """Clients before 1.0 wrote integers of any size."""
    with neptune2():
        pass
    fit, others = (
        {"most": 2**63 - 1, "least": -(2**63)},
        {"more": 2**63, "less": -(2**63) - 1, "much": 10**30},
    )
    operations = [{"type": "AssignInt", "path": [p], "value": value} for p, value in (fit | others).items()]
    append_operations(folder_of(tmp_path), *operations)
    found = read(work_of(tmp_path))
    assert {path: found.value(path) for path in fit} == fit
    assert {f.attribute_path for f in found.failures} == set(others)
    what = "is beyond the integers of 64 bits and was not assigned"
    assert found.messages("more") == [f"{2**63} {what}"]
    assert found.messages("much") == [f"1e+30 {what}"]
    assert all(f.permanent and f.attribute_type is AttributeType.INT for f in found.failures)


def test_values_that_no_batch_can_hold_cost_only_themselves(
    neptune2: Logging, read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unforeseen errors: here a reader that refuses three paths."""
    with neptune2() as run:
        for n in range(5):
            run[f"n{n}"] = n
            run[f"m{n}"].append(n, step=0)
        run["file"].upload(str(tmp_path / "x"))

    def parameter_batch(values: Any) -> Any:
        if any(path == "n3" for path, _, _ in values):
            raise ValueError("no\nway")
        return schema.parameter_batch(values)

    def attribute_batch(path: str, *arguments: Any) -> Any:
        if path in ("m3", "file"):
            raise ValueError("no\nway")
        return schema.attribute_batch(path, *arguments)

    (tmp_path / "x").write_text("x")
    monkeypatch.setattr(delivery, "parameter_batch", parameter_batch)
    monkeypatch.setattr(delivery, "attribute_batch", attribute_batch)
    found = read(work_of(tmp_path))
    assert [found.values(f"n{n}") for n in range(5)] == [[0], [1], [2], [], [4]]
    assert [found.values(f"m{n}") for n in range(5)] == [[0.0], [1.0], [2.0], [], [4.0]]
    assert {(f.attribute_path, f.attribute_type, f.message, f.permanent) for f in found.failures} == {
        ("n3", AttributeType.INT, "it cannot be read: ValueError('no\\nway')", False),
        ("m3", AttributeType.FLOAT_SERIES, "it cannot be read: ValueError('no\\nway')", False),
        ("file", AttributeType.FILE, "it cannot be read: ValueError('no\\nway')", False),
    }


def test_a_full_disk_is_no_fault_of_an_attribute(
    neptune2: Logging, read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with neptune2() as run:
        run["m"].append(1.0)

    def attribute_batch(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(delivery, "attribute_batch", attribute_batch)
    with pytest.raises(OSError, match="No space"):
        read(work_of(tmp_path))

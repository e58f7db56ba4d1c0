"""Text that is no Unicode, and values that nothing can hold: each costs no more than itself."""

from __future__ import annotations

import os
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter import schema
from neptune_exporter.model import AttributeType
from neptune_exporter_offline import reading

from .folders import Logging, work_of

LATIN_1 = os.fsdecode(b"caf\xe9")
"""A name of a file that is not UTF-8, as Python has it and the 2.x client logs it."""
NOTE = "Text that is no Unicode (names of files, mostly) has U+FFFD where UTF-8 cannot hold it"


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
    assert found.notes == (NOTE,)


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


def test_values_that_no_batch_can_hold_cost_only_themselves(
    neptune2: Logging, read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever nobody thought of: here a reader that refuses three paths."""
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
    monkeypatch.setattr(reading, "parameter_batch", parameter_batch)
    monkeypatch.setattr(reading, "attribute_batch", attribute_batch)
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

    monkeypatch.setattr(reading, "attribute_batch", attribute_batch)
    with pytest.raises(OSError, match="No space"):
        read(work_of(tmp_path))

"""`summary` names the files that are gone; another file in their folder does not stand for them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pytest

from neptune_exporter.contract import AttributeRequest, AttributeSelection, StoredFile
from neptune_exporter.dataset import Dataset, Receipt, summarise
from neptune_exporter.dataset.read import parts
from neptune_exporter.model import AttributeClass, AttributeType
from neptune_exporter.schema import attribute_batch

from .writing import KEY, series, write


def stored(dataset: Dataset, path: str, content: bytes) -> pa.RecordBatch:
    with dataset.files().create(KEY, path, name=".bin") as file:
        file.write(content)
    found: StoredFile = file.stored
    columns = {
        "file_value": pa.array([{"path": found.path}], pa.struct([("path", pa.string())])),
        "file_size": pa.array([len(content)], pa.int64()),
        "file_sha256": pa.array([hashlib.sha256(content).hexdigest()]),
    }
    return attribute_batch(path, AttributeType.FILE, columns)


@pytest.fixture
def receipt(dataset: Dataset) -> Receipt:
    batches = [stored(dataset, f"model/{name}", name.encode()) for name in ("a", "b", "c", "d", "e")]
    return write(dataset, *batches, series("loss", [1.0]))


def problems(dataset: Dataset) -> list[str]:
    (run,) = summarise(Dataset(dataset.data_path, dataset.files_path)).projects[0].runs
    return list(run.problems)


def file_of(dataset: Dataset, name: str) -> Path:
    (path,) = dataset.files_path.rglob(f"model_{name}-*.bin")
    return path


def test_no_part_is_opened_where_every_file_is_there(
    dataset: Dataset, receipt: Receipt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts.Storage, "open_input", lambda *_: pytest.fail("a part was opened"))
    file_of(dataset, "a").with_name("notes.txt").write_text("a stray file is no reason")
    assert problems(dataset) == []


@pytest.mark.parametrize("stray", ["notes.txt", "model_a-0123456789abcdef.bin"])
def test_a_renamed_file_is_missing_by_name(dataset: Dataset, receipt: Receipt, stray: str) -> None:
    path = file_of(dataset, "a")
    name = path.relative_to(path.parents[1]).as_posix()
    path.rename(path.with_name(stray))
    assert problems(dataset) == [f"1 of its 5 files is missing: {name}"]


def test_of_many_some_are_named(dataset: Dataset, receipt: Receipt) -> None:
    names = []
    for name in ("a", "b", "c", "d"):
        path = file_of(dataset, name)
        names.append(path.relative_to(path.parents[1]).as_posix())
        path.unlink()
    some = ", ".join(sorted(names)[:3])
    assert problems(dataset) == [f"4 of its 5 files are missing: {some} and 1 more"]
    (run,) = summarise(dataset).projects[0].runs
    assert (run.files, run.file_bytes) == (1, len("e"))  # what is there


def test_a_file_that_looks_like_one_of_ours_is_no_damage(dataset: Dataset, receipt: Receipt) -> None:
    file_of(dataset, "a").with_name("model_z-0123456789abcdef.bin").write_bytes(b"old")
    assert problems(dataset) == []


def test_names_are_known_after_an_export_that_adds_to_the_run(dataset: Dataset, receipt: Receipt) -> None:
    asked = AttributeRequest(AttributeSelection(classes=frozenset({AttributeClass.METRICS})))
    added = write(dataset, series("accuracy", [0.5]), asked=asked)
    assert (added.files, added.file_names) == (5, receipt.file_names)
    path = file_of(dataset, "b")
    path.unlink()
    assert problems(dataset)[0].startswith("1 of its 5 files is missing: ")

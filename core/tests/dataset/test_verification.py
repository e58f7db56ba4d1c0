"""Every kind of damage is found and named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from neptune_exporter.contract import AttributeSelection, SourceRun
from neptune_exporter.dataset import Dataset, Finding, RunChecked, Severity, WriteBudget, summarise, verify
from neptune_exporter.dataset.format.layout import temporary
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import attribute_batch
from neptune_exporter.testing import old_layout

KEY = RunKey("org/project", "RUN-1")
OTHER = RunKey("org/project", "RUN-2")


@pytest.fixture
def whole(dataset: Dataset) -> Dataset:
    """Two runs of three parts and two files each."""
    dataset = Dataset(dataset.data_path, dataset.files_path, budget=WriteBudget(0))
    for key in (KEY, OTHER):
        writer = dataset.writer(key)
        for name in ("c", "b", "a"):
            values = pa.array([float(ord(name) + n) for n in range(1000)])
            writer.write(attribute_batch(name, AttributeType.FLOAT_SERIES, {"float_value": values}))
        for name in ("file/1", "file/2"):
            with dataset.files().create(key, name) as file:
                file.write(f"{key} {name}".encode())
            columns = {
                "file_value": pa.array([{"path": file.stored.path}]),
                "file_size": pa.array([file.stored.size]),
                "file_sha256": pa.array([file.stored.sha256]),
            }
            writer.write(attribute_batch(name, AttributeType.FILE, columns))
        writer.publish(SourceRun(key), "test 1", [AttributeSelection()])
    return dataset


def findings(dataset: Dataset) -> list[Finding]:
    return [found for found in verify(dataset) if isinstance(found, Finding)]


def a_file(dataset: Dataset, pattern: str) -> Path:
    root = dataset.files_path if pattern.startswith("file_") else dataset.data_path
    return min(path for path in root.rglob(pattern) if path.is_file())


def flip(path: Path, position: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * position)] ^= 0x10
    path.write_bytes(data)


def test_a_whole_dataset_has_no_findings(whole: Dataset) -> None:
    checked = [found for found in verify(whole) if isinstance(found, RunChecked)]
    assert findings(whole) == []
    assert [item.run for item in checked] == [KEY, OTHER]
    on_disk = sum(p.stat().st_size for p in whole.data_path.rglob("*_part_*.parquet"))
    on_disk += sum(p.stat().st_size for p in whole.files_path.rglob("*") if p.is_file())
    assert sum(item.bytes for item in checked) == on_disk


def swap_parts(dataset: Dataset) -> None:
    one, other = a_file(dataset, "RUN-1*_part_1.parquet"), a_file(dataset, "RUN-1*_part_2.parquet")
    content = one.read_bytes(), other.read_bytes()
    one.write_bytes(content[1])
    other.write_bytes(content[0])


def swap_between_runs(dataset: Dataset) -> None:
    one, other = a_file(dataset, "RUN-1*_part_1.parquet"), a_file(dataset, "RUN-2*_part_1.parquet")
    content = one.read_bytes(), other.read_bytes()
    one.write_bytes(content[1])
    other.write_bytes(content[0])


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


DAMAGE: list[tuple[str, Callable[[Dataset], object], str, str]] = [
    (
        "flipped byte of data",
        lambda d: flip(a_file(d, "RUN-1*_part_1.parquet"), 0.3),
        "_part_1.parquet",
        "changed",
    ),
    (
        "flipped byte of footer",
        lambda d: flip(a_file(d, "RUN-1*_part_1.parquet"), 0.9),
        "_part_1.parquet",
        "changed",
    ),
    ("truncated part", lambda d: truncate(a_file(d, "RUN-1*_part_2.parquet")), "_part_2.parquet", "bytes"),
    ("deleted part", lambda d: a_file(d, "RUN-1*_part_0.parquet").unlink(), "_part_0.parquet", "missing"),
    ("swapped parts", swap_parts, "_part_1.parquet", "/RUN-1-549fcb30a0f06072_part_2.parquet: swapped"),
    (
        "parts of two runs",
        swap_between_runs,
        "_part_1.parquet",
        "/RUN-2-54f5930fff19cfbd_part_1.parquet: swapped",
    ),
    (
        "deleted receipt",
        lambda d: a_file(d, "RUN-1*.receipt.parquet").unlink(),
        ".receipt.parquet",
        "missing",
    ),
    (
        "flipped byte of receipt",
        lambda d: flip(a_file(d, "RUN-1*.receipt.parquet"), 0.5),
        ".receipt.parquet",
        "damaged",
    ),
    ("cut receipt", lambda d: truncate(a_file(d, "RUN-1*.receipt.parquet")), ".receipt.parquet", "damaged"),
    (
        "deleted file",
        lambda d: a_file(d, "file_1-*").unlink(),
        "/file_1-",
        "is missing; export the run again with --force",
    ),
    ("flipped byte of file", lambda d: flip(a_file(d, "file_1-*"), 0.5), "/file_1-", "changed"),
    ("longer file", lambda d: a_file(d, "file_1-*").open("ab").write(b"x"), "/file_1-", "bytes instead of"),
]


@pytest.mark.parametrize(("how", "item", "message"), [d[1:] for d in DAMAGE], ids=[d[0] for d in DAMAGE])
def test_damage_is_found(whole: Dataset, how: Callable[[Dataset], object], item: str, message: str) -> None:
    how(whole)
    damage = [f for f in findings(whole) if f.is_damage]
    assert any(item in f.item and message in f.message and f.run == KEY for f in damage), findings(whole)
    state = {run.key: run.state for project in summarise(whole).projects for run in project.runs}
    assert state[OTHER] == "complete"


def test_files_of_a_part_that_cannot_be_read_are_not_called_unnamed(whole: Dataset) -> None:
    for path in whole.data_path.rglob("RUN-1*_part_*.parquet"):
        truncate(path)
    found = findings(whole)
    assert len(found) == 3 and all("export the run again" in f.message for f in found)


def test_a_copy_of_a_run_is_damage_and_the_run_itself_is_not(whole: Dataset) -> None:
    folder = whole.data_path / old_layout.san("org/project")
    shutil.copytree(folder, whole.data_path / "a copy")
    damage = [f for f in findings(whole) if f.is_damage and "the same run as" in f.message]
    assert [f.item.partition("/")[0] for f in damage] == ["a copy", "a copy"]
    states = [(run.place.project_folder, run.complete) for run in whole.runs()]
    assert states == [("a copy", False)] * 2 + [(folder.name, True)] * 2


def test_messages_name_the_item_once(whole: Dataset) -> None:
    truncate(a_file(whole, "RUN-1*.receipt.parquet"))
    (found,) = [f for f in findings(whole) if f.is_damage]
    assert found.item.endswith(".receipt.parquet") and found.message.startswith("is damaged: ")


def test_an_unexpected_part_is_damage(whole: Dataset) -> None:
    part = a_file(whole, "RUN-1*_part_1.parquet")
    part.with_name(part.name.replace("_part_1", "_part_9")).write_bytes(part.read_bytes())
    (found,) = [f for f in findings(whole) if f.is_damage]
    assert found.item.endswith("_part_9.parquet") and "not in the receipt" in found.message


def test_leftovers_are_warnings(whole: Dataset) -> None:
    part = a_file(whole, "RUN-1*_part_1.parquet")
    part.with_name(part.name + ".tmp").write_bytes(b"half")
    leftover = whole.data_path / temporary(part.relative_to(whole.data_path).as_posix())
    leftover.parent.mkdir(parents=True, exist_ok=True)
    leftover.write_bytes(b"half")
    (whole.files_path / ".neptune-exporter" / "unfinished-files" / "abc").write_bytes(b"half")
    stray = whole.files_path / old_layout.san("org/project") / "stray.txt"
    stray.write_text("?")
    found = findings(whole)
    assert {f.severity for f in found} == {Severity.WARNING}
    assert len(found) == 4 and any("stray.txt" in f.item and "no row names" in f.message for f in found)


def test_only_the_runs_asked_for(whole: Dataset) -> None:
    for path in whole.data_path.rglob("RUN-1*_part_1.parquet"):
        flip(path, 0.3)
    items = list(verify(whole, lambda key: key == OTHER))
    assert [item.run for item in items] == [OTHER] and isinstance(items[0], RunChecked)


def test_a_run_that_was_deleted_down_to_its_receipt(whole: Dataset) -> None:
    for path in whole.data_path.rglob("RUN-1*_part_*.parquet"):
        path.unlink()
    run = whole.run(KEY)
    assert run is not None and not run.complete
    assert len([f for f in findings(whole) if f.is_damage and "missing" in f.message]) == 3


def test_exports_without_receipts_are_checked_as_far_as_possible(existing: Dataset) -> None:
    (found,) = [f for f in findings(existing) if f.is_damage]
    assert found.item == "run-a/artifacts/gone.bin" and "missing" in found.message

    truncate(a_file(existing, "run-a*_part_1.parquet"))
    flip(a_file(existing, "run-a*_part_3.parquet"), 1 - 1e-9)
    a_file(existing, "run-a*_part_2.parquet").unlink()
    damage = {f.item.rpartition("_part_")[2]: f.message for f in findings(existing) if f.is_damage}
    assert "missing" in damage["2.parquet"]
    assert "damaged" in damage["1.parquet"] and "damaged" in damage["3.parquet"]

"""Another tool's file rows, which have no checksum, in a run that was exported again: a changed file is
found, or a warning says that it would not be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from neptune_exporter.contract import AttributeRequest, AttributeSelection, RunSummary, SourceRun
from neptune_exporter.dataset import Dataset, Finding, RunRecorded, record, summarise, verify
from neptune_exporter.dataset.check.recording import has_no_checksums
from neptune_exporter.dataset.format.local_storage import LocalStorage
from neptune_exporter.dataset.format.receipts import Receipt
from neptune_exporter.dataset.read.named_files import named_files
from neptune_exporter.dataset.read.parts import Part
from neptune_exporter.model import AttributeClass, AttributeType, RunKey
from neptune_exporter.schema import attribute_batch
from neptune_exporter.testing import old_layout

KEY = RunKey("acme/vision", "RUN-1")
FILES, BYTES = 3, 64
SHAPE = old_layout.Shape(
    metrics=1, steps=3, parameters=6, lines=1, histograms=0, files=FILES, file_bytes=BYTES
)


def only(*classes: AttributeClass) -> AttributeSelection:
    return AttributeSelection(classes=frozenset(classes), others=False)


def export_again(dataset: Dataset, asked: AttributeSelection, *, row: bool = True) -> Receipt:
    writer = dataset.writer(KEY)
    if row:
        writer.write(attribute_batch("lr", AttributeType.FLOAT, {"float_value": pa.array([0.5])}))
    return writer.publish(SourceRun(KEY), "test 1", [asked], asked=AttributeRequest(asked))


@pytest.fixture
def foreign(dataset: Dataset, tmp_path: Path) -> Path:
    """The first file of another tool's run."""
    old_layout.standard(dataset.data_path, dataset.files_path, runs=1, project_id=KEY.project_id, shape=SHAPE)
    return dataset.files_path / old_layout.san(KEY.project_id) / old_layout.file_path(KEY, 0)


def flip(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])


def damaged(dataset: Dataset) -> list[str]:
    dataset.forget()
    return [item.item for item in verify(dataset) if isinstance(item, Finding) and item.is_loss]


def unproven(dataset: Dataset) -> bool:
    """Whether changes may go unnoticed."""
    dataset.forget()
    (run,) = dataset.runs()
    assert has_no_checksums(dataset, run) == bool(summarise(dataset).without_checksums)
    return has_no_checksums(dataset, run)


def recorded(dataset: Dataset) -> list[RunRecorded]:
    dataset.forget()
    return list(record(dataset))


REWRITTEN, AS_IT_WAS = only(AttributeClass.PARAMETERS), only()


@pytest.mark.parametrize("asked", [REWRITTEN, AS_IT_WAS])
def test_kept_files_are_not_covered_until_they_are_recorded(
    dataset: Dataset, foreign: Path, asked: AttributeSelection
) -> None:
    receipt = export_again(dataset, asked)
    assert receipt.foreign and receipt.files == FILES and receipt.file_bytes == FILES * BYTES
    (run,) = summarise(dataset).runs
    assert (run.files, run.file_bytes, run.state) == (FILES, FILES * BYTES, "complete")
    assert unproven(dataset)
    (taken,) = recorded(dataset)
    assert (taken.parts, taken.files, taken.bytes) == (0, FILES, FILES * BYTES)
    assert not unproven(dataset) and damaged(dataset) == [] and recorded(dataset) == []
    flip(foreign)
    assert damaged(dataset) == [old_layout.file_path(KEY, 0)]


@pytest.mark.parametrize("asked", [REWRITTEN, AS_IT_WAS])
def test_checksums_from_before_the_export_still_count(
    dataset: Dataset, foreign: Path, asked: AttributeSelection
) -> None:
    assert unproven(dataset) and len(recorded(dataset)) == 1
    export_again(dataset, asked)
    assert not unproven(dataset) and damaged(dataset) == []
    flip(foreign)
    assert damaged(dataset) == [old_layout.file_path(KEY, 0)]


def test_a_file_that_comes_back_is_not_covered(dataset: Dataset, foreign: Path) -> None:
    """It was missing when the checksums were recorded, before an export and after it."""
    away = foreign.rename(foreign.with_name("away"))
    recorded(dataset)
    assert damaged(dataset) == [old_layout.file_path(KEY, 0)] and not unproven(dataset)
    export_again(dataset, REWRITTEN)
    (summary,) = summarise(dataset).runs
    assert summary.files == FILES - 1 and "missing" in summary.problems[0]
    assert not unproven(dataset)
    away.rename(foreign)
    assert damaged(dataset) == [] and unproven(dataset)
    (taken,) = recorded(dataset)
    assert taken.files == 1 and not unproven(dataset)
    flip(foreign)
    assert damaged(dataset) == [old_layout.file_path(KEY, 0)]


def test_a_part_that_comes_later_is_not_covered(dataset: Dataset, foreign: Path) -> None:
    recorded(dataset)
    batches = list(old_layout.run_batches(KEY, 0, SHAPE))
    parts = old_layout.write_run(dataset.data_path, KEY, batches, part_bytes=1)
    assert len(parts) > 2 and unproven(dataset)
    (taken,) = recorded(dataset)
    assert taken.parts == len(parts) - 1 and not unproven(dataset)


def test_a_summary_takes_the_names_of_files_from_what_was_recorded(
    dataset: Dataset, foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening the parts for them took most of the time of 10,000 runs."""
    opened: list[int] = []

    def named(parts: list[Part]) -> Iterator[str]:
        opened.append(len(parts))
        return named_files(parts)

    monkeypatch.setattr("neptune_exporter.dataset.check.summary.named_files", named)

    def summarised() -> RunSummary:
        opened.clear()
        return summarise(Dataset(dataset.data_path, dataset.files_path)).runs[0]

    expected = summarised()
    assert expected.files == FILES and opened == [1]
    assert len(recorded(dataset)) == 1
    assert summarised() == expected and opened == []
    foreign.unlink()
    assert "1 of its 3 files is missing" in summarised().problems[0] and opened == []
    (part,) = dataset.data_path.rglob("*_part_0.parquet")
    os.utime(part, (0, 0))  # as if it had changed
    assert summarised().files == FILES - 1 and opened == [1]


def test_rows_of_a_source_that_gives_no_checksum_are_not_covered(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def export(*names: str) -> None:
        writer = dataset.writer(KEY)
        for name in names:
            with dataset.files().create(KEY, name) as file:
                file.write(name.encode())
            named = {"file_value": pa.array([{"path": file.stored.path}])}
            writer.write(attribute_batch(name, AttributeType.FILE, named))
        writer.publish(SourceRun(KEY), "test 1", [AttributeSelection()])

    export("one")
    assert unproven(dataset) and summarise(dataset).runs[0].file_bytes == 3
    assert [taken.files for taken in recorded(dataset)] == [1]
    export("one", "three")
    assert unproven(dataset) and summarise(dataset).runs[0].file_bytes == 8
    digested: list[str] = []
    sha256 = LocalStorage.sha256
    monkeypatch.setattr(
        LocalStorage, "sha256", lambda self, path: digested.append(path) or sha256(self, path)
    )
    assert [taken.files for taken in recorded(dataset)] == [1]
    assert len(digested) == len(set(digested)) > 0  # no part is read twice
    assert not unproven(dataset)


def test_our_own_files_keep_their_checksums_when_their_rows_are_written_again(dataset: Dataset) -> None:
    writer = dataset.writer(KEY)
    with dataset.files().create(KEY, "f") as file:
        file.write(b"content")
    named = {
        "file_value": pa.array([{"path": file.stored.path}]),
        "file_size": pa.array([file.stored.size]),
        "file_sha256": pa.array([file.stored.sha256]),
    }
    writer.write(attribute_batch("f", AttributeType.FILE, named))
    writer.write(attribute_batch("lr", AttributeType.FLOAT, {"float_value": pa.array([0.1])}))
    writer.publish(SourceRun(KEY), "test 1", [AttributeSelection()])
    receipt = export_again(dataset, REWRITTEN)
    assert (receipt.files, receipt.file_bytes, receipt.files_without_checksum) == (1, 7, "0")
    assert not unproven(dataset) and recorded(dataset) == []
    flip(next(path for path in dataset.files_path.rglob("f-*") if path.is_file()))
    assert len(damaged(dataset)) == 1


def test_files_of_a_damaged_part_are_not_recorded(dataset: Dataset, foreign: Path) -> None:
    """Its rows may not be those that were written."""
    export_again(dataset, AS_IT_WAS)
    part = min(dataset.data_path.rglob("*_part_*.parquet"))
    content = part.read_bytes()
    flip(part)
    assert recorded(dataset) == [] and unproven(dataset)
    part.write_bytes(content)
    assert len(recorded(dataset)) == 1 and not unproven(dataset)

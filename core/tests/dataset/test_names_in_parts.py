"""Damaged names of columns, and parts with odd numbers, in another tool's export."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from neptune_exporter.dataset import Dataset, Finding, summarise, verify
from neptune_exporter.model import RunKey
from neptune_exporter.testing import old_layout

SHAPE = old_layout.Shape(metrics=1, steps=3, parameters=6, lines=1, histograms=1, files=1, file_bytes=64)
NO_TEXT = "is damaged: the name of a column is not valid text"
LACKS = "is damaged, or not a part of a run: it has no column "


@pytest.fixture
def part(dataset: Dataset) -> Path:
    """The part of a run with values of every class."""
    old_layout.standard(dataset.data_path, dataset.files_path, runs=1, project_id="a/b", shape=SHAPE)
    (path,) = dataset.data_path.rglob("*.parquet")
    return path


@pytest.mark.parametrize(
    ("name", "bit", "message"),
    [
        ("run_id", 1, f"{LACKS}run_id"),
        ("float_value", 0x80, NO_TEXT),
        ("\x04path", 1, f"{LACKS}file_value.path"),
        ("\x04type", 1, f"{LACKS}histogram_value.type"),
        ("\x05edges", 1, f"{LACKS}histogram_value.edges"),
        ("\x06values", 0x80, NO_TEXT),
    ],
)
def test_a_damaged_name_of_a_column_is_one_clear_line(
    dataset: Dataset, part: Path, name: str, bit: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the name of a field, files and edges of histograms would be missing in silence."""
    monkeypatch.chdir(dataset.data_path.parent)  # the process that reads it first knows only absolute paths
    content = bytearray(part.read_bytes())
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    at = content.index(name.encode(), footer)
    content[at + 1] ^= bit
    part.write_bytes(content)
    relative = Dataset("data", "files")
    (run,) = summarise(relative).runs
    assert (run.state, run.problems) == ("damaged", [f"{os.path.relpath(part)} {message}"])
    (found,) = [item for item in verify(relative) if isinstance(item, Finding)]
    assert found.is_damage and (found.item, found.message) == (
        part.relative_to(dataset.data_path).as_posix(),
        message,
    )


def read(dataset: Dataset) -> tuple[object, ...]:
    """What people get of the only run: rows, summary and findings."""
    fresh = Dataset(dataset.data_path, dataset.files_path)
    (run,) = fresh.runs()
    (summarised,) = summarise(fresh).runs
    rows = [repr(row) for batch in run.batches() for row in batch.to_pylist()]
    return rows, replace(summarised, data_bytes=0), [i for i in verify(fresh) if isinstance(i, Finding)]


@pytest.mark.parametrize("name", ["file_value.path", "histogram_value.type", "string_set_value.list.element"])
@pytest.mark.parametrize("index", [0, 14])
def test_a_column_with_a_dot_in_its_name_is_not_the_field_of_another(
    dataset: Dataset, part: Path, name: str, index: int
) -> None:
    """Its statistics and values are not those of the files, histograms or tags."""

    table = pq.read_table(part)
    pq.write_table(table, part)
    expected = read(dataset)
    pq.write_table(table.add_column(index, name, [pa.array(["elsewhere"] * len(table))]), part)
    assert read(dataset) == expected


@pytest.mark.parametrize("name", ["file_value", "histogram_value", "string_set_value", "float_value"])
def test_a_column_without_values_may_be_stored_without_its_type(
    dataset: Dataset, part: Path, name: str
) -> None:
    """Such a column has no fields, and so no statistics of them."""
    table = pq.read_table(part)
    index = table.schema.get_field_index(name)
    pq.write_table(table.set_column(index, name, pa.nulls(len(table), table.schema.types[index])), part)
    expected = read(dataset)
    pq.write_table(table.set_column(index, name, pa.nulls(len(table))), part)
    assert read(dataset) == expected


@pytest.mark.parametrize("number", ["00", "000"])
def test_of_two_parts_with_one_number_one_is_read_and_the_other_is_named(
    dataset: Dataset, part: Path, number: str
) -> None:
    """Either may be a copy of the other. Which one was read depended on the order of the listing."""
    rows = RunKey("a/b", "RUN-1")
    (run,) = dataset.runs()
    assert run.key == rows and run.part_paths == [part.relative_to(dataset.data_path).as_posix()]
    second = part.with_name(part.name.replace("_part_0.", f"_part_{number}."))
    shutil.copyfile(part, second)
    dataset.forget()
    (again,) = dataset.runs()
    assert again.part_paths == run.part_paths and again.complete
    assert dataset.folder(rows).listed.part_names == (part.name,)
    summary = summarise(dataset)
    assert summary.not_read == 1 and second.name in summary.problems[0]
    (found,) = [item for item in verify(dataset) if isinstance(item, Finding)]
    assert (
        found.is_gap and found.item.endswith(second.name) and "another part has its number" in found.message
    )
    part.unlink()
    dataset.forget()
    (alone,) = dataset.runs()
    assert alone.complete and alone.part_paths[0].endswith(second.name) and summarise(dataset).not_read == 0

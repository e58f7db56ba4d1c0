"""Small parts do without what only large ones are worth: compression of few values, and page indexes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from neptune_exporter.dataset import Dataset
from neptune_exporter.dataset.format.encoding import OWN_ROWS
from neptune_exporter.model import AttributeType
from neptune_exporter.schema import attribute_batch, parameter_batch

from .writing import KEY, points, publish, series, write

LONG = "a text that goes on and on, " * 1_000


def compressed(path: Path) -> tuple[set[str], bool]:
    """The columns that are compressed, and whether the pages have an index."""
    group = pq.read_metadata(path).row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    return {c.path_in_schema for c in columns if c.compression == "ZSTD"}, columns[0].has_offset_index


def part_of(dataset: Dataset) -> Path:
    run = dataset.run(KEY)
    assert run is not None
    (part,) = run.part_paths
    return dataset.data_path / part


def test_a_small_part_compresses_what_has_many_values(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    few = parameter_batch([("lr", AttributeType.FLOAT, 0.1), ("n", AttributeType.INT, 3)])
    write(dataset, few, series("loss", [float(n) for n in range(500)]))
    assert compressed(part_of(dataset)) == ({"attribute_path", "step", "float_value"}, False)
    assert len(points(dataset, "loss")) == 500


@pytest.mark.parametrize(("text", "is_compressed"), [("short", False), (LONG, True)])
def test_one_long_text_is_compressed(tmp_path: Path, text: str, is_compressed: bool) -> None:
    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    write(dataset, parameter_batch([("source", AttributeType.STRING, text)]))
    columns, _ = compressed(part_of(dataset))
    assert ("string_value" in columns) is is_compressed


@pytest.mark.parametrize("flushed", [False, True])
def test_a_part_that_may_become_large_compresses_all(tmp_path: Path, flushed: bool) -> None:
    """Nobody knows what follows rows that are written before the last ones came."""
    dataset = Dataset(tmp_path / "data", tmp_path / "files")
    writer = dataset.writer(KEY)
    writer.write(series("a", [1.0] * (3 if flushed else OWN_ROWS)))
    if flushed:
        writer.flush()
    values = pa.array([LONG] * 3)
    writer.write(attribute_batch("b", AttributeType.STRING_SERIES, {"string_value": values}))
    publish(writer)
    columns, has_index = compressed(part_of(dataset))
    assert {"string_value", "int_value", "file_sha256"} <= columns
    assert has_index

"""Attribute paths that come as dictionaries say what plain ones say."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from neptune_exporter.dataset import Dataset
from neptune_exporter.dataset.read import parts
from neptune_exporter.model import SERIES_TYPES
from neptune_exporter.testing import old_layout

SHAPE = old_layout.Shape(metrics=3, steps=40, parameters=5, lines=10, histograms=2, files=2)


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("batch_rows", [7, 65_536])
def test_encoded_paths_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: bool, batch_rows: int
) -> None:
    if not small:
        monkeypatch.setattr(parts, "_SMALL_ROWS", 0)  # read anew for each question
    old_layout.standard(tmp_path / "data", tmp_path / "files", runs=1, shape=SHAPE)
    (run,) = Dataset(tmp_path / "data", tmp_path / "files").runs()
    columns = ("attribute_path", "step", "float_value")
    plain = pa.Table.from_batches(run.batches(SERIES_TYPES, columns=columns, batch_rows=batch_rows))
    batches = list(run.batches(SERIES_TYPES, columns=columns, batch_rows=batch_rows, encoded=True))
    assert all(pa.types.is_dictionary(batch.schema.field("attribute_path").type) for batch in batches)
    assert max(map(len, batches)) <= batch_rows
    decoded = pa.Table.from_batches(batches).cast(plain.schema)
    assert decoded.combine_chunks().equals(plain.combine_chunks()) and len(plain)

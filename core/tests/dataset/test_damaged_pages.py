"""Parts of other tools, whose pages have no checksums: what is damaged is an error, and never fewer rows."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.format.local_storage import LocalStorage
from neptune_exporter.dataset.read import parts, scan
from neptune_exporter.dataset.read.parts import Part
from neptune_exporter.dataset.read.wanted import Wanted
from neptune_exporter.model import RunKey
from neptune_exporter.schema import SCHEMA, TIME_TYPE
from neptune_exporter.testing import old_layout

KEY = RunKey("acme/vision", "RUN-1")
ROWS = 200


def points(group: int) -> pa.RecordBatch:
    columns = {
        "attribute_path": [f"metrics/{group}/{row % 7}" for row in range(ROWS)],
        "attribute_type": ["float_series"] * ROWS,
        "float_value": pa.array(map(float, range(ROWS))),
    }
    return pa.record_batch(columns)


@pytest.mark.parametrize("small", [True, False])
def test_a_page_that_gives_fewer_values_is_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: bool
) -> None:
    if not small:
        monkeypatch.setattr(parts, "_SMALL_ROWS", 0)
    path = tmp_path / "part.parquet"
    with pq.ParquetWriter(path, SCHEMA, compression="none") as writer:
        for group in range(3):
            writer.write_table(old_layout.complete(KEY, points(group)))
    content = path.read_bytes()
    column = pq.read_metadata(path).row_group(1).column(SCHEMA.get_field_index("attribute_path"))
    damaged = 0
    for place in range(column.data_page_offset, column.data_page_offset + 60):
        path.write_bytes(content[:place] + b"\x01" + content[place + 1 :])
        part = Part(LocalStorage(tmp_path), path.name)
        for read in (
            lambda part=part: sum(map(len, part.batches(Wanted(), 1_000_000, keep_rows=small))),
            lambda part=part: scan.tally([part]).rows,
        ):
            try:
                assert read() == 3 * ROWS
            except DatasetError:
                damaged += 1
    assert damaged


def test_times_are_looked_at_where_no_statistics_tell_of_them(tmp_path: Path) -> None:
    years_after_9999 = pa.array([10**15], pa.int64()).cast(TIME_TYPE)
    row = pa.record_batch(
        {"attribute_path": ["ended"], "attribute_type": ["datetime"], "datetime_value": years_after_9999}
    )
    pq.write_table(old_layout.complete(KEY, row), tmp_path / "part.parquet", write_statistics=False)
    assert scan.tally([Part(LocalStorage(tmp_path), "part.parquet")]).odd_times == 1


@pytest.mark.parametrize("statistics", [True, False])
def test_only_row_groups_that_may_hold_what_is_left_out_are_counted(tmp_path: Path, statistics: bool) -> None:
    odd = pa.record_batch({"attribute_path": ["a", "b"], "attribute_type": ["float_series", "odd"]})
    odd = odd.append_column("float_value", pa.array([1.0, 2.0]))
    path = tmp_path / "part.parquet"
    with pq.ParquetWriter(path, SCHEMA, write_statistics=statistics) as writer:
        for batch in (points(0), odd, points(1)):
            writer.write_table(old_layout.complete(KEY, batch))
    left_out = scan.left_out([Part(LocalStorage(tmp_path), path.name)])
    assert left_out.unknown() == {"odd": 1}
    assert left_out.rows == (2 if statistics else 2 + 2 * ROWS)

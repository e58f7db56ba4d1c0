"""Tools that people have read what we write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from neptune_exporter.contract import AttributeSelection, SourceRun
from neptune_exporter.dataset import Dataset, WriteBudget
from neptune_exporter.model import AttributeType, RunKey, RunKind
from neptune_exporter.schema import FULL_SCHEMA, SCHEMA, attribute_batch
from neptune_exporter.testing import old_layout

SMALL = old_layout.Shape(metrics=3, steps=500, parameters=30, lines=40, histograms=5, files=3, batch_rows=400)


def ordered(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(repr(row) for row in rows)


def test_they_see_the_same_rows(tmp_path: Path, their_reader: Any) -> None:
    keys = [
        RunKey("acme/one", "RUN-1"),
        RunKey("acme/one", "x_part_0"),
        RunKey("acme/two", "RUN-1"),
        RunKey("acme/two", "é" * 300),
    ]
    dataset = Dataset(tmp_path / "new", tmp_path / "files", budget=WriteBudget(20_000))
    expected: dict[str, list[str]] = {}
    for number, key in enumerate(keys):
        batches = list(old_layout.run_batches(key, number, SMALL))
        writer = dataset.writer(key)
        for batch in batches:
            writer.write(batch)
        odd = {"step_float64": pa.array([1e13]), "float_value": pa.array([1.0])}
        writer.write(attribute_batch("odd", AttributeType.FLOAT_SERIES, odd))
        writer.publish(SourceRun(key), "test 1", [AttributeSelection()])
        rows = [row for batch in batches for row in old_layout.complete(key, batch).to_pylist()]
        rows.append(dict.fromkeys(SCHEMA.names) | {"attribute_path": "odd", "attribute_type": "float_series"})
        rows[-1] |= {"project_id": key.project_id, "run_id": key.run_id, "float_value": 1.0}
        expected[str(key)] = ordered(rows)

    found = {}
    for folder in their_reader.project_folders(tmp_path / "new"):
        for prefix in their_reader.run_prefixes(folder):
            rows = their_reader.read_run(folder, prefix)
            found[f"{rows[0]['project_id']}:{rows[0]['run_id']}"] = ordered(rows)
    assert found == expected


def test_models_lie_where_they_look_for_them(dataset: Dataset, their_reader: Any) -> None:
    for kind, folder in ((RunKind.MODEL, "models"), (RunKind.MODEL_VERSION, "model_versions")):
        key = RunKey("acme/one", "LEG-MOD", kind)
        writer = dataset.writer(key)
        writer.write(attribute_batch("sys/id", AttributeType.STRING, {"string_value": pa.array(["LEG-MOD"])}))
        writer.publish(SourceRun(key), "test 1", [AttributeSelection()])
        place = dataset.data_path / old_layout.san("acme/one") / folder
        (prefix,) = their_reader.run_prefixes(place)
        assert prefix == old_layout.san("LEG-MOD")
        assert [row["string_value"] for row in their_reader.read_run(place, prefix)] == ["LEG-MOD"]
    assert [run.key.kind for run in dataset.runs()] == [RunKind.MODEL, RunKind.MODEL_VERSION]


def test_a_plain_parquet_reader_gets_the_public_types(dataset: Dataset) -> None:
    key = RunKey("acme/one", "RUN-1")
    writer = dataset.writer(key)
    for batch in old_layout.run_batches(key, 0, SMALL):
        writer.write(batch)
    writer.publish(SourceRun(key), "test 1", [AttributeSelection()])
    (path,) = dataset.data_path.rglob("*_part_*.parquet")
    table = pq.read_table(path)
    assert table.schema.equals(FULL_SCHEMA, check_metadata=False)
    table.validate(full=True)

"""A small part is read once for all that is asked of it, and anew when it has changed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset import Dataset, StoredRun
from neptune_exporter.dataset.format.local_storage import LocalStorage
from neptune_exporter.dataset.read import counting, scan
from neptune_exporter.dataset.read.facts import PartFacts, facts_of
from neptune_exporter.dataset.read.part_in_memory import PartInMemory
from neptune_exporter.dataset.read.parts import Part
from neptune_exporter.dataset.read.wanted import Wanted
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import SCHEMA, attribute_batch
from neptune_exporter.testing import old_layout

from .writing import series, write

KEY = RunKey("acme/vision", "RUN-1")
SMALL = old_layout.Shape(metrics=4, steps=600, parameters=30, lines=50, histograms=5, files=3, batch_rows=500)
LARGE = old_layout.Shape(metrics=4, steps=6_000, parameters=30, lines=50, histograms=5, files=3)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The files that were opened."""
    paths: list[str] = []

    def note(method: Any) -> Any:
        def noting(self: LocalStorage, path: str) -> Any:
            paths.append(path)
            return method(self, path)

        return noting

    for name in ("open_input", "read"):
        monkeypatch.setattr(LocalStorage, name, note(getattr(LocalStorage, name)))
    yield paths


@pytest.mark.parametrize("batch_rows", [7, 65_536])
@pytest.mark.parametrize(
    ("types", "attributes", "columns"),
    [
        (None, None, SCHEMA.names),
        ([AttributeType.FLOAT_SERIES], None, ["attribute_path", "step", "float_value"]),
        ([AttributeType.STRING_SERIES, AttributeType.FILE_SERIES], None, ["string_value", "file_value"]),
        ([AttributeType.HISTOGRAM_SERIES], None, ["histogram_value"]),
        (None, ["train/metric_03"], ["timestamp"]),
    ],
)
def test_what_is_kept_is_what_is_there(
    dataset: Dataset,
    types: list[AttributeType] | None,
    attributes: list[str] | None,
    columns: list[str],
    batch_rows: int,
) -> None:
    (path,) = old_layout.write_run(dataset.data_path, KEY, old_layout.run_batches(KEY, 0, SMALL))
    run = dataset.run(KEY)
    assert run is not None
    found = list(run.batches(types, attributes=attributes, columns=columns, batch_rows=batch_rows))
    wanted = Wanted(
        [name for name in SCHEMA.names if name in columns],
        None if types is None else frozenset(t.value for t in types),
        None if attributes is None else frozenset(attributes),
    )
    plain = Part(dataset.data, path.relative_to(dataset.data_path).as_posix())
    expected = list(plain.batches(wanted, batch_rows))
    assert sum(map(len, found)) > 0 and max(map(len, found)) <= batch_rows
    assert pa.Table.from_batches(found).combine_chunks() == pa.Table.from_batches(expected).combine_chunks()


def test_many_questions_open_a_small_part_once_for_its_rows(dataset: Dataset, opened: list[str]) -> None:
    old_layout.write_run(dataset.data_path, KEY, old_layout.run_batches(KEY, 0, SMALL))
    run = dataset.run(KEY)
    assert run is not None
    rows = sum(map(len, run.batches()))
    assert len(opened) <= 1 + 2  # and before that who it is
    opened.clear()
    for _ in range(5):
        assert sum(map(len, run.batches())) == rows
        assert len(run.parameters()) == 30
        assert run.time_span()[0] is not None
    assert opened == []


def test_a_type_that_no_row_in_memory_has_is_not_looked_for(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = {"string_value": pa.array(["baseline"])}
    write(
        dataset,
        series("loss", [1.0, 2.0]),
        attribute_batch("title", AttributeType.STRING, text),
    )
    (run,) = dataset.runs()
    assert len(list(run.rows())) == 3
    reads: list[int] = []
    read_group = Part.read_group

    def noting(self: Part, group: int, *args: Any, **kwargs: Any) -> Iterator[pa.RecordBatch]:
        reads.append(group)
        return read_group(self, group, *args, **kwargs)

    monkeypatch.setattr(Part, "read_group", noting)
    assert list(run.batches([AttributeType.INT])) == []  # by statistics, between the two that are there
    assert reads == []
    assert [len(b) for b in run.batches([AttributeType.INT, AttributeType.STRING])] == [1]
    assert reads == [0]


def test_counting_reads_no_values(dataset: Dataset) -> None:
    (path,) = old_layout.write_run(dataset.data_path, KEY, old_layout.run_batches(KEY, 0, SMALL))
    points = pq.read_table(path, schema=SCHEMA, filters=[("attribute_type", "=", "float_series")])
    pq.write_table(points, path, use_dictionary=False, write_page_checksum=True)
    chunk = pq.read_metadata(path).row_group(0).column(SCHEMA.get_field_index("float_value"))
    assert chunk.path_in_schema == "float_value"
    content = bytearray(path.read_bytes())
    content[chunk.data_page_offset + chunk.total_compressed_size // 2] ^= 1
    path.write_bytes(content)
    run = dataset.run(KEY)
    assert run is not None
    assert run.counts()[AttributeType.FLOAT_SERIES].rows == 2_400
    with pytest.raises(DatasetError, match="damaged"):
        list(run.batches())


def test_a_part_that_changed_is_read_anew(dataset: Dataset) -> None:
    old_layout.write_run(dataset.data_path, KEY, old_layout.run_batches(KEY, 0, SMALL))
    run = dataset.run(KEY)
    assert run is not None
    before = sum(map(len, run.batches([AttributeType.FLOAT_SERIES])))
    fewer = old_layout.Shape(metrics=3, steps=600, parameters=30, lines=50, histograms=5, files=3)
    old_layout.write_run(dataset.data_path, KEY, old_layout.run_batches(KEY, 0, fewer))
    assert (before, sum(map(len, run.batches([AttributeType.FLOAT_SERIES])))) == (2_400, 1_800)


@pytest.mark.parametrize("few", [0, counting._FEW])
def test_few_and_many_attributes_are_counted_alike(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(counting, "_FEW", few)
    (path,) = old_layout.write_run(dataset.data_path, KEY, old_layout.run_batches(KEY, 0, SMALL))
    rows = pq.read_table(path, columns=["attribute_path", "attribute_type"]).to_pylist()
    expected = Counter((row["attribute_path"], row["attribute_type"]) for row in rows)
    run = dataset.run(KEY)
    assert run is not None
    assert {(each.path, each.type.value): each.rows for each in run.attributes()} == expected
    kinds = Counter(kind for _, kind in expected)
    assert {kind.value: count.attributes for kind, count in run.counts().items()} == kinds
    assert scan.tally(run.parts).rows == sum(expected.values())


@pytest.mark.parametrize("steps", [(10, 10), (10, 9), (10,)])
def test_facts_are_the_same_after_they_were_sent(dataset: Dataset, steps: tuple[int, ...]) -> None:
    series = {f"loss {number}": [float(step) for step in range(count)] for number, count in enumerate(steps)}
    batches = [
        attribute_batch(path, AttributeType.FLOAT_SERIES, {"float_value": pa.array(values)})
        for path, values in series.items()
    ]
    (path,) = old_layout.write_run(dataset.data_path, KEY, batches)
    (facts,) = facts_of([Part(dataset.data, path.relative_to(dataset.data_path).as_posix())], decode=True)
    sent = PartFacts.from_json(json.loads(json.dumps(facts.to_json())))
    assert sent.tally.attributes == {"float_series": {path: len(each) for path, each in series.items()}}
    assert sent.to_json() == facts.to_json()
    assert (sent.identity, sent.decoded) == ((KEY.project_id, KEY.run_id), facts.decoded)


def test_what_the_footer_calls_empty_is_not_read_for_the_name(tmp_path: Path) -> None:
    rows = {"attribute_path": ["sys/name", "loss"], "attribute_type": ["string", "float_series"]}
    columns = {"string_value": pa.array(["one", None]), "float_value": pa.array([None, 1.0])}
    batch = pa.record_batch({**rows, **columns})
    tagged = pa.record_batch(
        {**rows, "attribute_type": ["string_set", "float_series"], "attribute_path": ["sys/tags", "loss"]}
        | {"string_set_value": pa.array([["b", None, "a"], None]), "float_value": pa.array([None, 1.0])}
    )
    for number, (each, read, found) in enumerate(
        [(batch, ["string_value"], ("one", ())), (tagged, ["string_set_value"], (None, ("a", "b")))]
    ):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(old_layout.complete(KEY, each), path)
        part = PartInMemory(LocalStorage(tmp_path), path.name)
        (facts,) = facts_of([part], decode=False)
        assert part._kept_names == ["attribute_path", "attribute_type", *read]
        assert (facts.name, facts.tags) == found


def holds_rows(run: StoredRun) -> bool:
    return any("_groups" in vars(part) for part in run.parts)


def test_a_large_part_is_not_kept(dataset: Dataset) -> None:
    old_layout.write_run(dataset.data_path, KEY, old_layout.run_batches(KEY, 0, LARGE))
    run = dataset.run(KEY)
    assert run is not None
    for _ in range(2):
        assert sum(map(len, run.batches([AttributeType.FLOAT_SERIES]))) == 24_000
        assert not holds_rows(run)


def test_a_page_that_stands_for_long_text_many_times_is_not_kept(dataset: Dataset) -> None:
    (path,) = old_layout.write_run(dataset.data_path, KEY, old_layout.run_batches(KEY, 0, SMALL))
    row = pq.read_table(path, schema=SCHEMA, filters=[("attribute_type", "=", "file_series")]).slice(0, 1)
    paths = pa.array(["x" * 100_000], pa.string())
    row = row.set_column(
        row.schema.get_field_index("file_value"), "file_value", pa.StructArray.from_arrays([paths], ["path"])
    )
    pq.write_table(row.take(pa.array([0] * 2_000)), path)
    assert path.stat().st_size < 500_000
    run = dataset.run(KEY)
    assert run is not None
    for _ in range(2):
        batches = run.batches([AttributeType.FILE_SERIES], columns=["file_value"], batch_rows=10)
        assert sum(map(len, batches)) == 2_000
        assert not holds_rows(run)

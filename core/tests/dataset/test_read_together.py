"""Parts that a child process reads together are described as each of them alone, whatever is odd in one."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from neptune_exporter.dataset import Dataset
from neptune_exporter.dataset.format.local_storage import LocalStorage
from neptune_exporter.dataset.read import counting, part_in_memory
from neptune_exporter.dataset.read.facts import PartFacts, facts_of
from neptune_exporter.dataset.read.part_in_memory import PartInMemory
from neptune_exporter.dataset.read.parts import Part
from neptune_exporter.dataset.read.probe import answers
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import FULL_SCHEMA, SCHEMA, TIME_TYPE, attribute_batch
from neptune_exporter.testing import old_layout

from . import test_null_nans
from .writing import series, write

KEY = RunKey("acme/vision", "RUN-1")
SMALL = old_layout.Shape(metrics=3, steps=40, parameters=5, lines=7, histograms=2, files=2, batch_rows=50)


def of_texts(kind: pa.DataType, names: list[str]) -> pa.Table:
    """A part whose texts are stored in another type."""
    rows = {"attribute_path": names, "attribute_type": ["int"] * len(names), "int_value": range(len(names))}
    table = old_layout.complete(KEY, pa.record_batch({k: list(v) for k, v in rows.items()}))
    for index, name in enumerate(table.schema.names[:4]):
        column = table.column(name).combine_chunks()
        encoded = column.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else column.cast(kind)
        table = table.set_column(index, name, encoded)
    return table


def odd_rows(paths: list[str | None], kinds: list[str | None], **columns: Any) -> pa.Table:
    rows = {"attribute_path": pa.array(paths, pa.string()), "attribute_type": pa.array(kinds, pa.string())}
    return old_layout.complete(KEY, pa.record_batch({**rows, **columns}))


def good_tables() -> dict[str, pa.Table]:
    numbers = {"int_value": pa.array([1, 2, 3])}
    other = old_layout.complete(RunKey("acme/vision", "RUN-2"), odd_rows(["a"], ["int"], int_value=[1]))
    later = pa.array([10**15], pa.int64()).cast(TIME_TYPE)
    return {
        "empty": SCHEMA.empty_table(),
        "no value": odd_rows(["a", "b"], ["int", "float"]),
        "large_texts": of_texts(pa.large_string(), ["b", "a"]),
        "short codes": of_texts(pa.dictionary(pa.int8(), pa.string()), [f"n{i}" for i in range(100)]),
        "more short codes": of_texts(pa.dictionary(pa.int8(), pa.string()), [f"m{i}" for i in range(100)]),
        "unknown type": odd_rows(["a", "b", "a"], ["int", "odd", "odd"], **numbers),
        "one name, two types": odd_rows(["a", "a", "a"], ["int", "float", "int"], **numbers),
        "years after 9999": odd_rows(["ended"], ["datetime"], datetime_value=later),
        "several runs": pa.concat_tables([odd_rows(["a"], ["int"], int_value=[1]), other]),
        "nameless, no value": odd_rows([None, "a", "a"], ["int", None, "int"], int_value=[None, None, 1]),
        "double steps": odd_rows(["a"], ["int"], int_value=[1]).append_column(
            FULL_SCHEMA.field("step_float64"), pa.array([1e300])
        ),
        **{
            f"nulls {number}": pa.Table.from_pylist(rows, SCHEMA)
            for number, rows in enumerate(test_null_nans.GROUPS)
        },
    }


def bad_contents(good: bytes) -> dict[str, bytes]:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"attribute_path": ["a"]}), sink)
    nameless = pa.BufferOutputStream()
    pq.write_table(odd_rows([None], ["int"], int_value=[1]), nameless)
    return {
        "no bytes": b"",
        "no Parquet": b"PAR1 and no more",
        "cut short": good[: len(good) // 2],
        "another schema": sink.getvalue().to_pybytes(),
        "nameless": nameless.getvalue().to_pybytes(),
    }


@pytest.fixture
def good(dataset: Dataset) -> list[str]:
    """The paths of parts that can be read."""
    old_layout.write_run(dataset.data_path, KEY, old_layout.run_batches(KEY, 0, SMALL))
    text = {"string_value": pa.array(["its name"])}
    named = [attribute_batch("sys/name", AttributeType.STRING, text), series("loss", [1.0, 2.0])]
    old_layout.write_run(dataset.data_path, RunKey("acme/vision", "RUN-3"), named)
    write(dataset, *named)
    for name, table in good_tables().items():
        pq.write_table(table, dataset.data_path / f"{name}.parquet", row_group_size=40)
    return all_paths(dataset)


def all_paths(dataset: Dataset) -> list[str]:
    found = (path.relative_to(dataset.data_path).as_posix() for path in dataset.data_path.rglob("*.parquet"))
    return sorted(path for path in found if "_receipts" not in path and not path.startswith("."))


def plain(facts: PartFacts) -> dict[str, Any]:
    """What can be compared: attributes are in no order."""
    return {**vars(facts), "tally": vars(facts.tally)}


@pytest.fixture(params=["in memory", "from disk", "a few rows at a time"])
def reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "from disk":
        monkeypatch.setattr(part_in_memory, "_FILE_BYTES", 0)
    if request.param == "a few rows at a time":
        monkeypatch.setattr(counting, "_ROWS", 30)
        monkeypatch.setattr(counting, "_FEW", 10)


@pytest.mark.usefixtures("reading")
@pytest.mark.parametrize("decode", [False, True])
def test_what_can_be_read(dataset: Dataset, good: list[str], decode: bool) -> None:
    data = LocalStorage(dataset.data_path)
    together = facts_of([PartInMemory(data, path) for path in good], decode=decode)
    alone = [facts for path in good for facts in facts_of([Part(data, path)], decode=decode)]
    assert dict(zip(good, map(plain, together), strict=True)) == dict(
        zip(good, map(plain, alone), strict=True)
    )
    assert {facts.name for facts in together} >= {None, "its name"}
    assert sum(facts.tally.rows for facts in together) > 300
    assert sum(facts.tally.files for facts in together) > 0


@pytest.mark.parametrize("decode", [False, True])
def test_damage_is_that_of_its_part(dataset: Dataset, good: list[str], decode: bool) -> None:
    data = LocalStorage(dataset.data_path)
    content = (dataset.data_path / good[0]).read_bytes()
    for name, damaged in bad_contents(content).items():
        (dataset.data_path / f"{name}.parquet").write_bytes(damaged)
    paths = [*all_paths(dataset), "not there.parquet"]
    together = dict(zip(paths, answers(data, paths, decode=decode), strict=True))
    for path, answer in together.items():
        (alone,) = answers(data, [path], decode=decode)
        if "facts" in alone:
            answer, alone = (plain(PartFacts.from_json(each["facts"])) for each in (answer, alone))
        assert answer == alone
    assert sorted(path for path, answer in together.items() if "error" in answer) == sorted(
        [*(f"{name}.parquet" for name in bad_contents(content)), "not there.parquet"]
    )


def test_a_dictionary_that_has_a_name_twice() -> None:
    kinds = pa.DictionaryArray.from_arrays(pa.array([0, 0, 0], pa.int32()), ["int"])
    paths = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2], pa.int32()), ["a", "b", "a"])
    batch = pa.record_batch({"attribute_path": paths, "attribute_type": kinds})
    assert list(counting.attributes(batch)) == [("int", {"a": 2, "b": 1})]

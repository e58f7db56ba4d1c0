"""Exports of other tools in which an attribute path has several single values: none is lost."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest

from neptune_exporter.contract import Parameter, ParameterValue
from neptune_exporter.dataset import Dataset
from neptune_exporter.model import AttributeType
from neptune_exporter.schema import parameter_batch
from neptune_exporter.testing import old_layout

from .writing import KEY

Value = tuple[str, AttributeType, ParameterValue]
INT, FLOAT, STRING = AttributeType.INT, AttributeType.FLOAT, AttributeType.STRING


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([("p", INT, 1), ("p", STRING, "x")], {"p": 1, "p (string)": "x"}),
        ([("p", STRING, "x"), ("p", INT, 1)], {"p": "x", "p (int)": 1}),
        ([("p", INT, 1), ("p", INT, 2), ("p", INT, 3)], {"p": 1, "p (int)": 2, "p (int 2)": 3}),
        ([("p", INT, 1), ("p", FLOAT, 1.0), ("p", INT, 1), ("p", FLOAT, 1.0)], {"p": 1, "p (float)": 1.0}),
        ([("p", INT, 1), ("p (int)", INT, 7), ("p", INT, 2)], {"p": 1, "p (int)": 7, "p (int 2)": 2}),
        (
            [("p", AttributeType.STRING_SET, ["a"]), ("p", AttributeType.STRING_SET, ["b"])],
            {"p": ["a"], "p (string_set)": ["b"]},
        ),
    ],
)
@pytest.mark.parametrize("part_bytes", [1, 1 << 20], ids=["several parts", "one part"])
def test_every_value_has_a_name(
    dataset: Dataset, values: list[Value], expected: dict[str, ParameterValue], part_bytes: int
) -> None:
    batches: list[pa.RecordBatch] = [parameter_batch([value]) for value in values]
    old_layout.write_run(dataset.data_path, KEY, batches, part_bytes=part_bytes)
    run = dataset.run(KEY)
    assert run is not None
    found = run.parameters()
    assert {name: parameter.value for name, parameter in found.items()} == expected
    assert list(found) == sorted(found)
    assert [parameter.path for parameter in found.values()] == list(found)


def test_a_run_that_is_there_twice_has_each_value_once(dataset: Dataset) -> None:
    values: list[Value] = [("lr", FLOAT, 0.5), ("nan", FLOAT, math.nan), ("t", AttributeType.STRING_SET, [])]
    old_layout.write_run(dataset.data_path, KEY, [parameter_batch(values)] * 2, part_bytes=1)
    run = dataset.run(KEY)
    assert run is not None and len(run.parts) == 2
    found = run.parameters()
    assert list(found) == ["lr", "nan", "t"]
    assert found["lr"] == Parameter("lr", FLOAT, 0.5)

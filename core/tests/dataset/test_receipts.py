"""What a receipt holds comes back as it was; one with other content is damaged, whatever it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest

from neptune_exporter.contract import AttributeFailure, DatasetError, Step, StepStatistics, TypeCount
from neptune_exporter.dataset.format.extents import Extent
from neptune_exporter.dataset.format.receipts import Fork, PartRecord, Receipt
from neptune_exporter.model import AttributeType

from .writing import ALL, KEY

TIME = datetime(2025, 3, 1, 12, 30, 0, 123456, tzinfo=timezone.utc)
RECEIPT = Receipt(
    key=KEY,
    source="test 1",
    modified_at=TIME,
    name="its name",
    exported_at=TIME,
    selections=tuple(ALL),
    notes=("a note",),
    types={AttributeType.FLOAT: TypeCount(1, 2)},
    steps=StepStatistics(-0.5, 1e300, 2, False),
    first_time=TIME,
    last_time=None,
    parts=(PartRecord("RUN-1_part_0.parquet", 2, 3, "00"),),
    files=1,
    file_bytes=2,
    file_names="3",
    files_without_checksum="0",
    failures=(AttributeFailure(KEY, "a", AttributeType.INT, "gave up", 2, False, TIME, True, True),),
    tags=("one", "two"),
    logs=(Extent("log", 5),),
)


@pytest.mark.parametrize("step", [None, Decimal("1.50"), Decimal("-0.000001"), 1e300, float("inf")])
def test_it_comes_back(step: Step | None) -> None:
    for receipt in (RECEIPT, replace(RECEIPT, fork=Fork("RUN-0", step))):
        found = Receipt.from_bytes(receipt.to_bytes(), "")
        assert found == receipt and repr(found.fork) == repr(receipt.fork)


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    value = json.loads(RECEIPT.to_json())
    change(value)
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[" * 100_000,
        b"1" * 5_000,
        changed(lambda value: value.pop("parts")),
        changed(lambda value: value.update(more=1)),
        changed(lambda value: value.update(first_time="yesterday")),
        changed(lambda value: value.update(fork={"parent": "RUN-0", "step": "one"})),
        changed(lambda value: value["failures"][0].update(run="another")),
    ],
)
def test_other_content_is_damage(content: bytes) -> None:
    with pytest.raises(DatasetError, match=r"^the receipt is damaged: "):
        Receipt.from_json(content, "the receipt")

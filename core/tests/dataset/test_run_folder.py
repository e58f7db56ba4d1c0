"""The states that a run's folder can be in: the view of it and the opened run agree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from neptune_exporter.dataset import Dataset, RunState
from neptune_exporter.dataset.format.layout import PENDING, RECEIPT, Place
from neptune_exporter.testing import old_layout

from .writing import KEY, series, write


def ours(dataset: Dataset) -> Path:
    """Publish a run. Returns its receipt."""
    write(dataset, series("a", [1.0, 2.0]))
    return dataset.data_path / Place.of(KEY).receipt


def nothing(dataset: Dataset) -> None:
    dataset.data_path.mkdir()


def published(dataset: Dataset) -> None:
    ours(dataset)


def interrupted(dataset: Dataset) -> None:
    receipt = ours(dataset)
    receipt.rename(receipt.with_name(receipt.name.replace(RECEIPT, PENDING)))


def unreadable(dataset: Dataset) -> None:
    ours(dataset).write_bytes(b"PAR1 cut short")


def by_another_tool(dataset: Dataset) -> None:
    old_layout.write_run(dataset.data_path, KEY, [series("a", [1.0, 2.0])])


def without_its_part(dataset: Dataset) -> None:
    ours(dataset)
    next(dataset.data_path.rglob("*_part_0.parquet")).unlink()


def with_a_short_part(dataset: Dataset) -> None:
    ours(dataset)
    part = next(dataset.data_path.rglob("*_part_0.parquet"))
    part.write_bytes(part.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("made", "state", "exporter", "foreign", "complete"),
    [
        (nothing, RunState.ABSENT, "another tool", False, None),
        (published, RunState.PUBLISHED, "test 1", False, True),
        (interrupted, RunState.INTERRUPTED, "test 1", False, False),
        (unreadable, RunState.UNREADABLE, "an export with an unreadable receipt", True, False),
        (by_another_tool, RunState.WITHOUT_RECEIPT, "another tool", True, True),
        (without_its_part, RunState.DAMAGED, "test 1", False, False),
        (with_a_short_part, RunState.DAMAGED, "test 1", False, False),
    ],
)
@pytest.mark.parametrize("once", [False, True])
def test_a_run_is_in_one_state(
    dataset: Dataset,
    made: Callable[[Dataset], None],
    state: RunState,
    exporter: str,
    foreign: bool,
    complete: bool | None,
    once: bool,
) -> None:
    made(dataset)
    with dataset.listed_once() if once else dataset.lock():
        folder = dataset.folder(KEY)
    assert (folder.state, folder.exporter, folder.foreign) == (state, exporter, foreign)
    run = dataset.run(KEY)
    assert (None if run is None else run.complete) is complete
    assert run is None or (run.listed, run.key) == (folder.listed, folder.key)


def test_only_bytes_show_that_a_part_of_the_same_size_has_changed(dataset: Dataset) -> None:
    published(dataset)
    assert not dataset.folder(KEY).is_changed
    part = next(dataset.data_path.rglob("*_part_0.parquet"))
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    folder = dataset.folder(KEY)
    assert (folder.state, folder.is_changed) == (RunState.PUBLISHED, True)

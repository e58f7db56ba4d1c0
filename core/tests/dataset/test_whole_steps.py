"""A receipt tells whether all steps are whole, so that nobody reads the rows for it."""

from __future__ import annotations

import pyarrow as pa
import pytest

from neptune_exporter.dataset import Dataset
from neptune_exporter.jobs.selected_run import selected
from neptune_exporter.model import AttributeClass, AttributeType
from neptune_exporter.schema import attribute_batch, step_columns
from neptune_exporter.sinks.steps import StepRange
from neptune_exporter.sinks.survey import look_at_steps

from .writing import KEY, write


def points(path: str, steps: list[float | None]) -> pa.RecordBatch:
    columns = {**step_columns(pa.array(steps, pa.float64())), "float_value": pa.array([0.5] * len(steps))}
    return attribute_batch(path, AttributeType.FLOAT_SERIES, columns)


@pytest.mark.parametrize(
    ("series", "whole"),
    [
        ([[0, 1, 2], [5, None, 999_999_999_999]], (0.0, 999_999_999_999.0)),
        ([[-3, 0], [2]], (-3.0, 2.0)),
        ([[0, 1], [0.5]], None),
        ([[0.5], [0, 1]], None),
        ([[1], [1e-6, 2]], None),
        ([[1], [2.0**60]], None),  # no decimal(18,6) holds it
        ([[None, None]], None),
    ],
)
def test_what_the_receipt_tells(
    dataset: Dataset, series: list[list[float | None]], whole: tuple[float, float] | None
) -> None:
    write(dataset, *(points(f"m/{number}", steps) for number, steps in enumerate(series)))
    run = dataset.run(KEY)
    assert run is not None and run.whole_steps() == whole


def test_series_that_are_not_selected_do_not_count(dataset: Dataset) -> None:
    columns = {**step_columns(pa.array([1e11])), "string_value": pa.array(["a line"])}
    write(dataset, points("m", [0, 1]), attribute_batch("log", AttributeType.STRING_SERIES, columns))
    run = dataset.run(KEY)
    assert run is not None
    metrics = selected(run, frozenset({AttributeClass.METRICS}))
    all_series = frozenset(AttributeClass) - {AttributeClass.PARAMETERS}
    assert (metrics.whole_steps(), selected(run, all_series).whole_steps()) == (None, (0.0, 1e11))
    assert look_at_steps(metrics, StepRange()).largest == 1.0


def test_an_export_that_adds_fractions(dataset: Dataset) -> None:
    write(dataset, points("a", [0, 1]))
    write(dataset, points("a", [0, 1]), points("b", [0.25]))
    run = dataset.run(KEY)
    assert run is not None and run.whole_steps() is None


@pytest.mark.parametrize("within", [StepRange(), StepRange(0, 2**53), StepRange(0, 100)])
@pytest.mark.parametrize("steps", [[0.0, 7.0], [-5.0, 3.0], [0.0, 1e6], [0.0, 0.125]])
def test_a_survey_of_the_receipt_finds_what_one_of_the_rows_finds(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, steps: list[float | None], within: StepRange
) -> None:
    write(dataset, points("a", steps))
    run = dataset.run(KEY)
    assert run is not None
    found = look_at_steps(run, within)
    with monkeypatch.context() as patched:
        patched.setattr(type(run), "whole_steps", lambda self: None)
        assert look_at_steps(run, within) == found


def test_whole_steps_are_surveyed_without_a_look_at_the_rows(dataset: Dataset) -> None:
    receipt = write(dataset, points("a", [0, 1]))
    run = dataset.run(KEY)
    assert run is not None
    for part in receipt.parts:
        dataset.data.delete(run.place.path(part.name))
    assert look_at_steps(run, StepRange(0, 100)).multiplier == 1
    assert list(run.batches([AttributeType.STRING_SERIES])) == []

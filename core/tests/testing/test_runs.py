"""Sample runs: what they accept, and what of them a request takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neptune_exporter.contract import AttributeRequest, AttributeSelection
from neptune_exporter.model import AttributeClass, AttributeType, RunKey, RunKind
from neptune_exporter.schema import step_as_float, step_columns
from neptune_exporter.testing import (
    Entry,
    SampleAttribute,
    SampleRun,
    canonical_step,
    file,
    float_series,
    parameter,
    sample_runs,
    strategies,
    string_series,
    themed_runs,
    without_times,
)
from neptune_exporter.testing.corpus import THEMES

KEY = RunKey("acme/a", "RUN-1")


@pytest.mark.parametrize(
    ("step", "canonical"),
    [
        (0, Decimal("0.000000")),
        (-0.0, Decimal("0.000000")),
        (0.29, Decimal("0.290000")),
        (Decimal("0.29"), Decimal("0.290000")),
        (1e-6, Decimal("0.000001")),
        (1e-7, 1e-7),
        (Decimal("0.0000001"), 1e-7),
        (1 / 3, 1 / 3),
        (-2, Decimal("-2.000000")),
        (999_999_999_999, Decimal("999999999999.000000")),
        (1e12, 1e12),
        (1_704_067_200_000, 1_704_067_200_000.0),
        (float("inf"), float("inf")),
        (None, None),
    ],
)
def test_a_step_has_one_form(step: Decimal | float | None, canonical: Decimal | float | None) -> None:
    found = canonical_step(step)
    assert (found, type(found)) == (canonical, type(canonical))


@settings(deadline=None)
@given(st.lists(strategies.steps(), min_size=1))
def test_steps_compare_as_the_dataset_keeps_them(steps: list[float]) -> None:
    """Whatever columns a source makes of its doubles, they are the same steps."""
    columns = step_columns(pa.array(steps, pa.float64()))
    batch = pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
    assert step_as_float(batch).to_pylist() == steps
    rows = batch.to_pylist()
    kept = [r["step"] if r.get("step_float64") is None else r["step_float64"] for r in rows]
    assert list(map(canonical_step, kept)) == list(map(canonical_step, steps))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, AttributeType.BOOL),
        (1, AttributeType.INT),
        (1.0, AttributeType.FLOAT),
        ("1", AttributeType.STRING),
        (datetime(2024, 1, 1, tzinfo=timezone.utc), AttributeType.DATETIME),
        (["b", "a", "b"], AttributeType.STRING_SET),
    ],
)
def test_the_type_of_a_parameter_follows_from_its_value(value: object, kind: AttributeType) -> None:
    attribute = parameter("p", value)  # type: ignore[arg-type]
    assert attribute.type is kind
    assert attribute.value == (("a", "b") if kind is AttributeType.STRING_SET else value)


def test_refuses_what_no_dataset_can_hold() -> None:
    with pytest.raises(TypeError, match="not a value of a float"):
        SampleAttribute("p", AttributeType.FLOAT, (Entry(1),))
    with pytest.raises(ValueError, match="beyond int64"):
        parameter("p", 2**63)
    with pytest.raises(ValueError, match="one value, not 0"):
        SampleAttribute("p", AttributeType.INT, ())
    with pytest.raises(ValueError, match="whole number of milliseconds"):
        parameter("p", datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=timezone.utc))
    with pytest.raises(ValueError, match="aware"):
        Entry(1.0, 0, datetime(2024, 1, 1))
    with pytest.raises(ValueError, match="two attributes of one path"):
        SampleRun(KEY, (parameter("p", 1), parameter("p", 2)))


def test_knows_what_its_sys_attributes_say() -> None:
    created = datetime(2024, 1, 1, tzinfo=timezone.utc)
    system = {
        "sys/name": "a name",
        "sys/tags": ["b", "a"],
        "sys/creation_time": created,
        "sys/forking/parent": "RUN-0",
        "sys/forking/step": 3,
    }
    run = SampleRun(KEY, tuple(parameter(path, value) for path, value in system.items()))  # type: ignore[arg-type]
    assert (run.name, run.tags, run.created_at) == ("a name", frozenset("ab"), created)
    assert (run.parent, run.fork_step) == (RunKey("acme/a", "RUN-0"), Decimal(3))
    bare = SampleRun(KEY)
    assert (bare.name, bare.tags, bare.created_at, bare.parent, bare.fork_step) == (
        None,
        frozenset(),
        None,
        None,
        None,
    )


def test_gives_what_a_request_asks_for() -> None:
    metric = float_series("m", enumerate([1.0, 2.0]))
    metric = replace(metric, entries=(metric.entries[0], replace(metric.entries[1], preview=True)))
    run = SampleRun(KEY, (parameter("p", 1), metric, file("f", b"")))
    metrics = AttributeSelection(classes=frozenset({AttributeClass.METRICS}))

    def asked(wanted: AttributeSelection, *covered: AttributeSelection) -> dict[str, int]:
        found = run.asked_for(AttributeRequest(wanted, covered))
        return {a.path: len(a.entries) for a in found.attributes}

    assert asked(AttributeSelection()) == {"p": 1, "m": 1, "f": 1}
    assert asked(AttributeSelection(metric_previews=True)) == {"p": 1, "m": 2, "f": 1}
    assert asked(AttributeSelection(), metrics) == {"p": 1, "f": 1}
    assert asked(AttributeSelection("^[pf]")) == {"p": 1, "f": 1}


def test_makes_variants() -> None:
    run = SampleRun(KEY, (parameter("p", 1), string_series("s", [(0, "a")])))
    assert run.plus(parameter("p", 2)).parameter("p") == 2
    assert run.parameter("p") == 1
    shorter = run.adapted(lambda a: None if a.path == "p" else without_times(a))
    assert [(a.path, a.entries[0].timestamp) for a in shorter.attributes] == [("s", None)]
    assert run.rows == 2


def test_the_corpus_holds_every_trap() -> None:
    runs = sample_runs()
    attributes = [a for run in runs for a in run.attributes]
    entries = [(a, e) for a in attributes for e in a.entries]
    steps = [float(e.step) for _, e in entries if e.step is not None]
    values = {repr(e.value) for _, e in entries if isinstance(e.value, (int, float))}
    texts = [e.value for _, e in entries if isinstance(e.value, str)]
    paths = [a.path for a in attributes]
    assert {a.type for a in attributes} == set(AttributeType)
    assert {"nan", "inf", "-inf", "-0.0", "5e-324", str(2**53 + 1), str(2**63 - 1), str(-(2**63))} <= values
    assert "" in texts and any("\x00" in t for t in texts) and max(map(len, texts)) > 2**18
    assert {"a.b", "a_b", "a b", "x", "x/y", "../x", "/abs", "con", "dot."} <= set(paths)
    assert sum(len(p) > 1000 for p in set(paths)) > 1
    assert {-2.0, 0.1, 0.29, 1e-7, 1e12} <= set(steps)
    assert {run.key.kind for run in runs} == set(RunKind)
    assert any(not a.entries for a in attributes)
    assert any(run.archived for run in runs) and any(not run.attributes for run in runs)
    assert max(len(run.tags) for run in runs) > 50
    same_id = {run.key.project_id for run in runs if run.key.run_id == "RUN-1"}
    assert len(same_id) > 1


def test_the_corpus_is_small_and_always_the_same() -> None:
    runs = sample_runs()
    assert repr(runs) == repr(sample_runs())
    assert [r.key for theme in THEMES for r in themed_runs(theme)] == [r.key for r in runs]
    assert len({run.key for run in runs}) == len(runs)
    assert sum(run.rows for run in runs) < 5_000
    known: set[RunKey] = set()
    for run in runs:
        if run.parent is not None and run.parent.run_id != "run that is not here":
            assert run.parent in known
        known.add(run.key)


@settings(deadline=None)
@given(strategies.sample_run().flatmap(strategies.with_previews))
def test_generated_runs_are_valid(run: SampleRun) -> None:
    assert run.rows == run.asked_for(AttributeRequest(AttributeSelection(metric_previews=True))).rows
    previews = sum(e.preview for a in run.attributes for e in a.entries)
    assert run.asked_for(AttributeRequest()).rows == run.rows - previews
    times = [e.timestamp for a in run.attributes for e in a.entries if e.timestamp is not None]
    assert all(time.utcoffset() == timedelta(0) for time in times)

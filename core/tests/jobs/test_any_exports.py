"""Any exports after another, of a run that changes in between: what each leaves in the dataset."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from neptune_exporter.contract import AttributeSelection, Parameter, Point
from neptune_exporter.model import ALL_CLASSES, AttributeClass, AttributeType, RunKey
from neptune_exporter.testing.memory_source import MemorySource
from neptune_exporter.testing.runs import SampleRun, float_series, parameter

from .test_export import dataset_of, export

KEY = RunKey("acme/vision", "RUN-1")
START = datetime(2024, 1, 1, tzinfo=timezone.utc)
PATHS = [f"{kind}{n}" for kind in "ps" for n in range(3)]
PARAMETERS = frozenset({AttributeClass.PARAMETERS})

State = Mapping[str, float]
"""The value of each attribute; that of a series is its points' too. The others are not there."""

states = st.dictionaries(st.sampled_from(PATHS), st.sampled_from([1.0, 2.0]))
selections = st.builds(
    AttributeSelection,
    pattern=st.sampled_from([None, None, "0$", "[12]$"]),
    classes=st.sampled_from([ALL_CLASSES, PARAMETERS, ALL_CLASSES - PARAMETERS]),
)
exports = st.tuples(
    st.none() | states, selections, st.frozensets(st.sampled_from(PATHS), max_size=2), st.booleans()
)
"""What the run changes to before, what is asked for, what fails, and whether all is read anew."""


def kind_of(path: str) -> AttributeType:
    return AttributeType.FLOAT if path.startswith("p") else AttributeType.FLOAT_SERIES


def run_of(state: State, changes: int) -> SampleRun:
    attributes = [
        parameter(path, value) if path.startswith("p") else float_series(path, [(0, value), (1, value)])
        for path, value in state.items()
    ]
    return SampleRun(KEY, tuple(attributes), modified_at=START + timedelta(hours=changes))


def held(folder: Path) -> dict[str, list[object]]:
    run = dataset_of(folder).run(KEY)
    found: dict[str, list[object]] = {}
    for row in run.rows() if run is not None else ():
        assert isinstance(row, (Parameter, Point))
        found.setdefault(row.path, []).append(row.value)
    return found


@settings(max_examples=60, deadline=None)
@given(states, st.lists(exports, min_size=1, max_size=6))
def test_what_is_asked_for_is_as_it_is_and_all_else_as_it_was(
    first: State, steps: list[tuple[State | None, AttributeSelection, frozenset[str], bool]]
) -> None:
    state, changes = first, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for change, selection, failing, force in steps:
            if change is not None:
                state, changes = change, changes + 1
            source = MemorySource([run_of(state, changes)])
            for path in failing & state.keys():
                source.fail_attribute(KEY, path, times=1)
            before = held(folder)
            result = export(source, folder, attributes=selection, force=force)
            failed = {failure.attribute_path for failure in result.failures}
            after = held(folder)
            for path in PATHS:
                if not selection.includes(path, kind_of(path)) or path in failed:
                    assert after.get(path) == before.get(path), path
                else:
                    now = [state[path]] * (1 if path.startswith("p") else 2) if path in state else None
                    assert after.get(path) == now, path
        source = MemorySource([run_of(state, changes)])
        assert export(source, folder).complete and export(source, folder).projects[0].up_to_date == 1
        assert {path: values[0] for path, values in held(folder).items()} == dict(state)


def failed(folder: Path) -> set[str]:
    """What the receipt says failed: summary and verify show it until it is read."""
    run = dataset_of(folder).run(KEY)
    return set() if run is None else {failure.attribute_path for failure in run.failures}


harms = st.sampled_from([None, None, Path.unlink, lambda part: part.write_bytes(part.read_bytes()[:-9])])


@settings(max_examples=60, deadline=None)
@given(states, st.lists(st.tuples(exports, harms, st.integers(0, 3)), min_size=1, max_size=5))
def test_what_is_lost_on_disk_is_told_until_it_is_read_again(
    first: State,
    steps: list[
        tuple[tuple[State | None, AttributeSelection, frozenset[str], bool], Callable[[Path], object], int]
    ],
) -> None:
    state, changes = first, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export(MemorySource([run_of(state, changes)]), folder)
        owed: set[str] = set()
        for (change, selection, failing, force), harm, which in steps:
            if change is not None:
                state, changes = change, changes + 1
            before = held(folder).keys() | owed
            parts = sorted(folder.rglob("*_part_*.parquet"))
            if harm is not None:
                harm(parts[which % len(parts)])
            source = MemorySource([run_of(state, changes)])
            for path in failing & state.keys():
                source.fail_attribute(KEY, path, times=1)
            result = export(source, folder, attributes=selection, force=force)
            unread = {path for path in before if not selection.includes(path, kind_of(path))}
            if (
                harm is not None
            ):  # the run was read whole: what the source has no more is gone, as it is there
                unread &= state.keys()
            owed = unread - held(folder).keys() - failed(folder)
            assert not owed or not result.complete
        source = MemorySource([run_of(state, changes)])
        assert export(source, folder).complete and export(source, folder).projects[0].up_to_date == 1
        assert {path: values[0] for path, values in held(folder).items()} == dict(state)

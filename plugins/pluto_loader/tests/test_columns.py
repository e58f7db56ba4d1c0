"""The loader fills no user's run table: Pluto makes a column of every key of a config, and removes none."""

from __future__ import annotations

from neptune_exporter.contract import AttributeFailure
from neptune_exporter.model import RunKey
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import SampleRun, float_series, parameter, string_series
from neptune_exporter_pluto.form.config import SECTION
from neptune_exporter_pluto_server import RehearsalServer
from neptune_exporter_pluto_server.columns import PICKER_COLUMNS

from .conftest import MakeSink

RUNS = 40


def odd(number: int) -> MemoryRun:
    """A run of which the loader has much to say, all of it under names that no other run has."""
    key = RunKey("acme/vision", f"RUN-{number}")
    attributes = (
        parameter("lr", 0.1 * number),
        parameter(f"bad\0{number}", 2**60),
        parameter(f"fine {number}", 1 / 3),
        float_series(f"odd\n{number}", [(0, 1.0)]),
        string_series(f"monitoring/{number}/stdout", [(0, "line")]),
    )
    failure = AttributeFailure(key, f"gone {number}", None, "it broke")
    return MemoryRun(SampleRun(key, attributes), failures=(failure,))


def test_at_most_ten_columns_of_any_number_of_runs_are_ours(
    server: RehearsalServer, make_sink: MakeSink
) -> None:
    sink = make_sink()
    keys_of_ours: list[set[str]] = []
    for number in range(RUNS):
        loaded = sink.load(odd(number), None)
        fields = server.runs.by_id[int(loaded.target_id)].fields
        keys_of_ours.append({key for key in fields if key.startswith(SECTION)})
    columns = server.runs.projects["acme/vision"].columns
    theirs = {"lr", *(f"fine {n}" for n in range(RUNS)), *(f"bad\\u0000{n}" for n in range(RUNS))}
    ours = {key for key in columns if key not in theirs and key.split("~")[0] not in theirs}
    assert len(ours) <= 10
    assert "lr" in [*columns][-PICKER_COLUMNS:]
    # Hidden ones are no columns, but are shown beside each other run's: their names must not grow either.
    marks = f"{SECTION}.load.marks."
    assert len(set.union(*keys_of_ours)) - len(keys_of_ours[0]) <= 15
    assert all(sum(key.startswith(marks) for key in keys) == 1 for keys in keys_of_ours)

"""Loading and checking again, from this machine or another, sends nothing and changes nothing.

Everything that the conformance kit knows, an export of the earlier tool, and numbers that need 17 digits.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.contract import LoadedRun
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.schema import parameter_batch
from neptune_exporter.sinks.losses import CommonLoss
from neptune_exporter.testing import old_layout
from neptune_exporter.testing.commands import CommandLine
from neptune_exporter.testing.corpus import THEMES, themed_runs
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import SampleRun, float_series, parameter
from neptune_exporter_pluto.form.losses import LossCode
from neptune_exporter_pluto.sink import PlutoSink
from neptune_exporter_pluto_server import RehearsalServer
from neptune_exporter_pluto_server.listing import run_record

from .conftest import MakeSink

KEY = RunKey("acme/vision", "NUMBERS")
MISMATCH = {"-", "+", "*"}


def numbers() -> list[SampleRun]:
    """i/3, sums of tenths, and doubles of all sizes."""
    some = random.Random(17)
    values = [i / 3 for i in range(50)] + [0.1 * i + 0.2 for i in range(50)]
    values += [some.uniform(-1, 1) * 10 ** some.randint(-300, 308) for _ in range(200)]
    parameters = [parameter(f"value/{n}", value) for n, value in enumerate(values)]
    series = float_series("value", list(enumerate(values)))
    return [
        SampleRun(KEY, (*parameters, series, float_series("thirds", [(i / 3, i / 3) for i in range(20)])))
    ]


CASES: dict[str, Callable[[], list[SampleRun]]] = {theme: lambda t=theme: themed_runs(t) for theme in THEMES}  # type: ignore[misc]
CASES["numbers of 17 digits"] = numbers


def load_all(sink: PlutoSink, runs: list[MemoryRun]) -> list[LoadedRun]:
    found: dict[RunKey, LoadedRun] = {}
    for project in dict.fromkeys(run.key.project_id for run in runs):
        sink.prepare(project, [run for run in runs if run.key.project_id == project])
    for run in runs:  # of the corpus parents come first
        parent = run.parent()
        found[run.key] = sink.load(run, None if parent is None else found.get(parent))
    return [*found.values()]


def everything_in(server: RehearsalServer) -> list[Any]:
    events = [run.events for run in server.runs.by_id.values()]
    return [*map(run_record, server.runs.by_id.values()), events, server.store.counts]


@pytest.mark.parametrize("case", CASES)
def test_the_second_time_nothing_is_sent(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path, case: str
) -> None:
    runs = [MemoryRun(sample) for sample in CASES[case]()]
    load_all(make_sink(), runs)
    before = [str(part) for part in everything_in(server)]
    for machine in ("state", "another", "another"):
        answered = len(server.requests)
        sink = make_sink(base_dir=tmp_path / machine)
        assert all(loaded.already_loaded for loaded in load_all(sink, runs))
        lines = [line for run in runs for line in sink.verify(run, full=True)]
        assert [line for line in lines if line.verdict.value in MISMATCH] == []
        assert {r.method for r in server.requests[answered:] if r.path != "/api/slug"} <= {"GET"}
        assert [str(part) for part in everything_in(server)] == before


def test_every_loss_of_such_numbers_is_named(make_sink: MakeSink) -> None:
    (loaded,) = load_all(make_sink(), [MemoryRun(run) for run in numbers()])
    counts = {loss.reason: 0 for loss in loaded.losses}
    for loss in loaded.losses:
        counts[loss.reason] += loss.count
    assert counts.keys() <= {LossCode.ROUNDED_NUMBER, CommonLoss.FRACTIONAL_STEP}
    rounded = [a for a in numbers()[0].attributes if a.type is AttributeType.FLOAT]
    assert counts[LossCode.ROUNDED_NUMBER] == sum(float(f"{a.value:.15e}") != a.value for a in rounded) > 50


def test_an_export_of_the_earlier_tool_by_the_command(
    command_line: CommandLine, server: RehearsalServer
) -> None:
    values = [(f"third/{i}", AttributeType.FLOAT, i / 3) for i in range(30)]
    old_layout.write_run(command_line.folder / "exports/data", KEY, [parameter_batch(values)])
    for _ in range(2):
        command_line.run("load", "--loader", "pluto", expect=3)
        command_line.run("verify", "--loader", "pluto", "--full")
    for base in ("", "--pluto-base-dir=another"):
        answered = len(server.requests)
        arguments = ("--loader", "pluto", *filter(None, [base]))
        command_line.run("load", *arguments, expect=3)
        command_line.run("verify", *arguments, "--full")
        assert {r.method for r in server.requests[answered:] if r.path != "/api/slug"} <= {"GET"}
    assert len(server.runs.by_id) == 1

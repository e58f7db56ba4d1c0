"""`--executor processes`: several load what one would; whichever of them ends, nothing is lost or doubled."""

from __future__ import annotations

import dataclasses
import json
import re
import signal
import time
from pathlib import Path

import pyarrow as pa
import pytest

from neptune_exporter.contract import UsageError
from neptune_exporter.model import AttributeType, RunKey, SysAttribute
from neptune_exporter.schema import attribute_batch, step_columns
from neptune_exporter.testing import old_layout
from neptune_exporter.testing.commands import CommandLine
from neptune_exporter.testing.runs import SampleRun, float_series, parameter
from neptune_exporter_pluto.form.config import SECTION
from neptune_exporter_pluto.settings import PlutoSettings, divided
from neptune_exporter_pluto_server import RehearsalServer, faults

from .datasets import export
from .test_commands import LOAD, VERIFY, loaded, standard

TWO = ("--executor", "processes", "-j", "2")
PROJECT = "acme/forks"


def family(folder: Path) -> None:
    """Eight runs: every other one is a fork of the one before it, one has fractional and negative steps."""
    runs = []
    for number in range(8):
        run = SampleRun(
            RunKey(PROJECT, f"RUN-{number}"),
            (float_series("loss", [(step, step / 7) for step in range(20)]),),
        )
        if number % 2:
            fork = (
                parameter(SysAttribute.FORK_PARENT, f"RUN-{number - 1}"),
                parameter(SysAttribute.FORK_STEP, 9),
            )
            run = dataclasses.replace(run, attributes=(*run.attributes, *fork))
        runs.append(run)
    odd = SampleRun(RunKey(PROJECT, "RUN-8"), (float_series("loss", [(-1, 1.0), (0.5, 2.0), (1, 3.0)]),))
    export(folder, *runs, odd)


def test_several_processes_load_what_one_would(command_line: CommandLine, server: RehearsalServer) -> None:
    family(command_line.folder)
    done = command_line.run(*LOAD, *TWO, "--json", expect=3)
    told, _ = json.JSONDecoder().raw_decode(done.output, done.output.index("{\n"))
    assert sorted(each["run"]["run_id"] for each in told["loaded"]) == [f"RUN-{n}" for n in range(9)]
    assert told["counts"]["points"] == 8 * 20 + 2
    assert [(loss["reason"], loss["run"]["run_id"], loss["count"]) for loss in told["losses"]] == [
        ("negative-step", "RUN-8", 1)
    ]
    runs = {run.config[SECTION]["run_id"]: run for run in loaded(server)}
    # A process sees only some of the runs; the multiplier is that of all of them.
    assert {run.config[SECTION]["step_multiplier"] for run in runs.values()} == {"10"}
    for number in range(0, 8, 2):
        child, parent = runs[f"RUN-{number + 1}"], runs[f"RUN-{number}"]
        assert (child.parent, child.fork_step) == (parent, 90)
    command_line.run(*VERIFY)
    again = command_line.run(*LOAD, *TWO, expect=3)
    assert again.output.splitlines()[1] == "0 runs loaded, 9 were there already"
    assert len(server.runs.by_id) == 9


def test_what_no_loader_gets_and_what_is_damaged_is_told_once(
    command_line: CommandLine, server: RehearsalServer
) -> None:
    family(command_line.folder)
    data = command_line.folder / "exports/data"
    damaged = next(data.rglob("RUN-6*.parquet"))
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    columns = {**step_columns(pa.array([0.0])), "float_value": pa.array([1.0])}
    point = attribute_batch("gpu", AttributeType.FLOAT_SERIES, columns)
    unknown = point.set_column(1, "attribute_type", pa.array(["gpu_series"]))
    old_layout.write_run(data, RunKey(PROJECT, "OTHER"), [unknown])

    output = command_line.run(*LOAD, *TWO, "--json", expect=3).output
    told, _ = json.JSONDecoder().raw_decode(output, output.index("{\n"))
    losses = [(loss["run"]["run_id"], loss["reason"]) for loss in told["losses"]]
    assert sorted(losses) == [("OTHER", "unknown-type"), ("RUN-8", "negative-step")]
    failed = {each["run"]["run_id"]: each["message"] for each in told["failed"]}
    assert sorted(failed) == ["RUN-6", "RUN-7"]
    assert "changed since it was written" in failed["RUN-6"]
    assert failed["RUN-7"] == "its parent RUN-6 was not loaded"


def test_a_process_that_is_killed_costs_its_runs_until_the_next_load(
    command_line: CommandLine, server: RehearsalServer
) -> None:
    """At every failpoint: `test_killed_workers`."""
    standard(command_line.folder, runs=3)
    done = command_line.run(*LOAD, *TWO, expect=1, NEPTUNE_EXPORTER_FAILPOINT="pluto.data-sent")
    ends = re.findall(r"  \S+(RUN-\d): its worker process was killed or crashed", done.output)
    assert sorted(ends) == ["RUN-1", "RUN-2", "RUN-3"]
    command_line.run(*LOAD, *TWO, "--pluto-visible-within", "0.5")
    assert len(loaded(server)) == 3
    command_line.run(*VERIFY)


def test_processes_end_with_the_one_that_started_them(
    command_line: CommandLine, server: RehearsalServer
) -> None:
    standard(command_line.folder, runs=4)
    done = command_line.run_until_interrupted(
        lambda: any(r.path.startswith("/ingest/") for r in server.requests),
        *(*LOAD, *TWO),
        number=signal.SIGKILL,
    )
    assert done.exit_code == -signal.SIGKILL
    for _ in range(100):  # the moment that it takes them to notice
        done = command_line.run(*LOAD, *TWO, "--pluto-visible-within", "0.5", expect=None)
        if "another process" not in done.output:
            break
    assert done.exit_code == 0, done.output
    assert len(loaded(server)) == 4
    command_line.run(*VERIFY)


@pytest.mark.parametrize("executor", ["threads", "processes", "dask"])
def test_ctrl_c_ends_all_workers_soon(
    command_line: CommandLine, server: RehearsalServer, executor: str
) -> None:
    if executor == "dask":
        pytest.importorskip("distributed")
    spread = ("--executor", executor, "-j", "2")
    standard(command_line.folder, runs=4)
    server.latency = 0.5
    done = command_line.run_until_interrupted(
        lambda: any(r.path.startswith("/ingest/") for r in server.requests), *LOAD, *spread
    )
    made = len(server.requests)
    server.latency = 0.0
    assert done.exit_code == 130
    assert "interrupted; run the same command again to go on" in done.output.splitlines()
    assert "Traceback" not in done.output
    assert made < 30, "they went on with their runs"
    command_line.run(*LOAD, *spread)
    assert len(loaded(server)) == len(server.runs.by_id) == 4
    command_line.run(*VERIFY)


def test_ctrl_c_does_not_wait_for_processes_that_are_starting(
    command_line: CommandLine, server: RehearsalServer
) -> None:
    standard(command_line.folder, runs=4)
    server.fail(faults.stalled(40.0, "slug", times=2, skip=1))  # the first is of the job itself
    interrupted: list[float] = []

    def both_wait() -> bool:
        if not server.faults:
            interrupted.append(time.monotonic())
        return bool(interrupted)

    done = command_line.run_until_interrupted(both_wait, *LOAD, *TWO)
    assert done.exit_code == 130 and "Traceback" not in done.output
    assert time.monotonic() - interrupted[0] < 30, "it waited for them"


def test_a_key_that_expires_half_way_ends_the_load_with_one_line(
    command_line: CommandLine, server: RehearsalServer
) -> None:
    standard(command_line.folder, runs=4)
    server.settings.key_requests = 9
    done = command_line.run(*LOAD, *TWO, expect=1)
    said, *_, line = done.output.splitlines()  # between them progress, on a slow machine
    assert said == "executor: processes, 2 at once (as asked)"
    assert line.startswith("error: ") and "Is the API key (PLUTO_API_KEY or" in line
    server.settings.key_requests = None
    command_line.run(*LOAD, *TWO)
    command_line.run(*VERIFY)


def test_what_other_processes_say_is_said_once_and_here(
    command_line: CommandLine, server: RehearsalServer
) -> None:
    standard(command_line.folder, runs=2)
    command_line.run(*LOAD)
    done = command_line.run(*LOAD, *TWO, "--name-prefix", "old ")
    kept = re.findall(r"(\d) runs? stays? as loaded then", done.output)
    assert sum(map(int, kept)) == 2, (
        done.output
    )  # two lines, or one where one process was there before the other
    (command_line.folder / ".pluto_upload_cache.txt").write_text("")
    done = command_line.run(*LOAD, *TWO)
    assert "2 runs loaded" in done.output.splitlines()
    assert len(loaded(server)) == 2


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((*TWO[:2], "-j", "3", "--pluto-connections", "2"), "--pluto-connections is 2"),
        ((*TWO, "--pluto-rehearse"), "a rehearsal loads in threads only"),
    ],
)
def test_what_cannot_be_divided_is_a_usage_error(
    command_line: CommandLine, options: tuple[str, ...], why: str
) -> None:
    standard(command_line.folder, runs=3)
    assert why in command_line.run(*LOAD, *options, expect=2).output


def test_a_refused_key_comes_before_the_executor_is_announced(
    command_line: CommandLine, server: RehearsalServer
) -> None:
    standard(command_line.folder, runs=2)
    done = command_line.run(*LOAD, *TWO, expect=1, PLUTO_API_KEY="not-a-key")
    assert done.output.startswith("error: ") and "executor:" not in done.output


def test_a_scheduler_that_does_not_answer_is_told_before_anything_is_created(
    command_line: CommandLine, server: RehearsalServer
) -> None:
    standard(command_line.folder, runs=2)
    (command_line.folder / "output.txt").touch()  # of the command itself
    before = sorted(command_line.folder.rglob("*"))
    done = command_line.run(*LOAD, "--executor", "dask://127.0.0.1:9", expect=2)
    assert done.output.startswith("error: --executor: "), done.output
    assert sorted(command_line.folder.rglob("*")) == before


def test_processes_share_the_connections_of_one() -> None:
    each = divided(PlutoSettings(connections=5, file_connections=8), 2)
    assert (each.connections, each.file_connections) == (2, 4)
    with pytest.raises(UsageError):
        divided(PlutoSettings(connections=1), 2)

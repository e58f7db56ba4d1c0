"""The commands as a person uses them: options, variables, what is said, exit codes, interruptions."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.model import RunKey, SysAttribute
from neptune_exporter.testing import old_layout
from neptune_exporter.testing.commands import CommandLine
from neptune_exporter.testing.runs import SampleRun, float_series, parameter, string_series
from neptune_exporter_pluto.ending import SUPERSEDED_TAG
from neptune_exporter_pluto.form.config import SECTION
from neptune_exporter_pluto.settings import PlutoSettings
from neptune_exporter_pluto.state.journal import FOLDER
from neptune_exporter_pluto_server import RehearsalServer, faults
from neptune_exporter_pluto_server.runs import Run

from .datasets import export
from .killed_load import everything
from .reading import read_run
from .test_ordered_ingest import comparable

LOAD = ("load", "--loader", "pluto")
VERIFY = ("verify", "--loader", "pluto", "--full")
SMALL = old_layout.Shape(metrics=2, steps=300, parameters=12, lines=10, histograms=4, files=3)


def standard(folder: Path, *projects: str, runs: int = 1, shape: old_layout.Shape = SMALL) -> None:
    """Exports of the public tool, where the commands look for them."""
    for project in projects or ("acme/standard",):
        old_layout.standard(
            folder / "exports/data", folder / "exports/files", runs=runs, project_id=project, shape=shape
        )


def loaded(server: RehearsalServer) -> list[Run]:
    return [run for run in server.runs.by_id.values() if SUPERSEDED_TAG not in run.tags]


def steps(server: RehearsalServer, run: Run, name: str) -> list[int]:
    return [int(step) for step in server.store.points.series(server.key(run), name, 0, None)["step"]]


# What is said.


def test_what_was_sent_is_told_in_numbers_and_words(command_line: CommandLine) -> None:
    standard(command_line.folder)
    export(
        command_line.folder,
        SampleRun(
            RunKey("acme/words", "one"),
            (string_series("note", [(0, "x")]), string_series("runtime/stdout", [(0, "y")])),
        ),
    )
    done = command_line.run(*LOAD, "-p", "acme/standard")
    assert done.output.splitlines()[1:3] == [
        "1 run loaded",
        "sent: 600 points, 2 metrics, 10 log lines, 4 histograms, 3 files, "
        f"{3 * 1984:,} file bytes, 1 consolidated text",
    ]
    done = command_line.run(*LOAD)
    assert done.output.splitlines()[1:3] == [
        "1 run loaded, 1 was there already",
        "sent: 1 string series entry, 1 log line, 1 consolidated text",
    ]


def test_runs_that_are_loaded_one_by_one_have_comparable_steps(
    server: RehearsalServer, command_line: CommandLine
) -> None:
    coarse, fine = (RunKey("acme/steps", name) for name in ("coarse", "fine"))
    export(
        command_line.folder,
        SampleRun(coarse, (float_series("a", [(1, 1.0), (2, 2.0)]),)),
        SampleRun(fine, (float_series("a", [(0.25, 1.0), (2, 2.0)]),)),
    )
    command_line.run(*LOAD, "-r", "coarse")
    done = command_line.run(*LOAD)
    assert done.output.splitlines()[1] == "1 run loaded, 1 was there already"
    assert [steps(server, run, "a") for run in loaded(server)] == [[100, 200], [25, 200]]


def test_losses_are_a_table_a_file_and_exit_code_3(command_line: CommandLine) -> None:
    run = SampleRun(
        RunKey("acme/lossy", "RUN-1"),
        (float_series("loss", [(-2, 1.0), (-1, 2.0), *((n, 0.0) for n in range(10))]),),
    )
    export(command_line.folder, run)
    done = command_line.run(*LOAD, "--pluto-log-every", "5", expect=3)
    table = [line.split() for line in done.output.splitlines() if "step" in line or "downsampled" in line]
    assert [row[:4] for row in table] == [["downsampled", "1", "1", "7"], ["negative-step", "1", "1", "2"]]
    assert "(as asked for)" in done.output
    (report,) = command_line.folder.glob("losses-*.jsonl")
    records = [json.loads(line) for line in report.read_text().splitlines()]
    assert [(r["reason"], r["attribute_path"], r["count"], r["requested"]) for r in records] == [
        ("downsampled", "loss", 7, True),
        ("negative-step", "loss", 2, False),
    ]
    assert all(r["run"]["run_id"] == "RUN-1" and r["message"] for r in records)


def test_what_was_asked_to_be_dropped_is_exit_code_0(
    command_line: CommandLine, server: RehearsalServer
) -> None:
    standard(command_line.folder)
    done = command_line.run(
        *LOAD, NEPTUNE_EXPORTER_PLUTO_LOG_EVERY="50", NEPTUNE_EXPORTER_PLUTO_MAX_FILES_PER_RUN="2"
    )
    assert done.output.count("(as asked for)") == 2
    (run,) = loaded(server)
    assert steps(server, run, "train/metric_01") == [*range(0, 300, 50), 299]
    command_line.run(*VERIFY)


def test_nothing_that_a_run_printed_is_echoed(command_line: CommandLine) -> None:
    said = "canary that a run had printed"
    run = SampleRun(
        RunKey("acme/loud", "r"),
        (string_series("monitoring/1/stdout", [(0, said)]), string_series("error", [(0, said)])),
    )
    export(command_line.folder, run)
    assert said not in command_line.run(*LOAD).output


# Options and variables.


def test_which_runs_under_which_names_at_which_steps(
    command_line: CommandLine, server: RehearsalServer
) -> None:
    standard(command_line.folder, "acme/one", "acme/two", runs=2)
    options = ("-p", "acme/one", "-r", "RUN-2", "--name-prefix", "old ", "--step-multiplier", "2.5")
    command_line.run(*LOAD, *options, expect=3)  # 2.5 leaves every second step fractional
    (run,) = loaded(server)
    assert (run.name, run.project.name) == ("old experiment RUN-2", "acme/one")
    assert run.config[SECTION]["run_id"] == "RUN-2" and run.config[SECTION]["step_multiplier"] == "2.5"
    assert steps(server, run, "train/metric_00")[:4] == [0, 2, 5, 7]
    command_line.run(*VERIFY, "-p", "acme/one", "-r", "RUN-2")


def test_a_run_that_is_there_with_other_options_is_told_in_one_line(
    command_line: CommandLine, server: RehearsalServer
) -> None:
    standard(command_line.folder, runs=2)
    command_line.run(*LOAD, "-r", "RUN-1")
    other = ("--name-prefix", "old ", "--step-multiplier", "10")
    (line,) = [
        line
        for line in command_line.run(*LOAD, *other).output.splitlines()
        if line.startswith("loaded earlier with other options: ")
    ]
    assert ": 1 run stays as loaded then; to load again with these options, " in line
    assert line.endswith(f"take its line out of {command_line.folder / '.pluto_upload_cache.txt'}")
    assert sorted(run.name for run in loaded(server)) == ["experiment RUN-1", "old experiment RUN-2"]
    # Without options nothing is asked for that differs, but for the name of the second.
    (line,) = [x for x in command_line.run(*LOAD).output.splitlines() if x.startswith("loaded earlier")]
    assert ": 1 run stays as loaded then;" in line
    # Another machine's load is told of too.
    elsewhere = command_line.run(*LOAD, "--pluto-base-dir", "elsewhere", "--pluto-log-every", "7").output
    assert ": 2 runs stay as loaded then; " in elsewhere
    assert "loaded earlier" not in command_line.run(*LOAD, "-r", "RUN-2", "--name-prefix", "old ").output
    other_steps = command_line.run(*LOAD, "-r", "RUN-1", "--step-multiplier", "10").output
    assert ": 1 run stays as loaded then; " in other_steps
    (command_line.folder / ".pluto_upload_cache.txt").unlink()
    assert "2 runs loaded" in command_line.run(*LOAD, *other).output
    assert sorted(run.name for run in loaded(server)) == ["old experiment RUN-1", "old experiment RUN-2"]


def test_names_and_places_by_variables(command_line: CommandLine, server: RehearsalServer) -> None:
    standard(command_line.folder)
    command_line.run(
        *LOAD,
        NEPTUNE_EXPORTER_PLUTO_PROJECT_NAME="my-workspace/migrated-runs",
        NEPTUNE_EXPORTER_PLUTO_BASE_DIR="state",
        NEPTUNE_EXPORTER_PLUTO_LOADED_CACHE="lists/loaded.txt",
    )
    assert [run.project.name for run in loaded(server)] == ["my-workspace/migrated-runs"]
    listed = (command_line.folder / "lists/loaded.txt").read_text()
    assert listed == "my-workspace/migrated-runs::experiment RUN-1\n"
    assert {path.name for path in command_line.folder.iterdir()} == {
        "exports", "lists", "state", "output.txt",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("variable", "default", "too_small"),
    [
        ("PROJECT_NAME", None, None),
        ("BASE_DIR", None, None),  # the folder of the command, on whatever machine a worker is
        ("LOADED_CACHE", None, None),
        ("BATCH_ROWS", 10_000, "999"),
        ("LOG_EVERY", 1, "0"),
        ("FLUSH_EVERY", 1_000, "99"),
        ("FILE_CHUNK_SIZE", 100, "0"),
        ("FILE_CHUNK_SLEEP", 0.5, "-0.1"),
        ("MAX_FILES_PER_RUN", 0, "-1"),
    ],
)
def test_every_variable_of_the_page(
    command_line: CommandLine, server: RehearsalServer, variable: str, default: Any, too_small: str | None
) -> None:
    """Its default, LOG_EVERY excepted, which drops nothing here; and what it must be at least."""
    assert getattr(PlutoSettings(), variable.lower()) == default
    if too_small is None:
        return
    standard(command_line.folder)
    name = f"NEPTUNE_EXPORTER_PLUTO_{variable}"
    (line,) = command_line.run(*LOAD, expect=2, **{name: too_small}).output.splitlines()
    assert line.startswith("error: ") and name in line and f"not {too_small!r}" in line
    assert not server.requests


def test_a_server_of_ones_own_by_its_host_and_the_key_as_a_flag(
    command_line: CommandLine, server: RehearsalServer, tmp_path: Path
) -> None:
    standard(command_line.folder)
    bare = replace(command_line, environment={})
    told = bare.run(*LOAD, "--pluto-host", server.url, "--pluto-api-key", "mlps_wrong", expect=1).output
    assert "Is the API key (PLUTO_API_KEY or" in told and "mlps_wrong" not in told
    bare.run(*LOAD, "--pluto-host", server.url, "--pluto-api-key", server.api_key or "")
    assert len(loaded(server)) == 1
    assert "1 was there already" in bare.run(*LOAD, PLUTO_API_KEY=server.api_key or "",
        NEPTUNE_EXPORTER_PLUTO_HOST=server.url).output  # fmt: skip


def test_a_fork_whose_parent_was_filtered_out_is_told_and_one_that_was_loaded_earlier_is_found(
    command_line: CommandLine, server: RehearsalServer
) -> None:
    root, child = (SampleRun(RunKey("acme/forks", name), (parameter("sys/name", name),)) for name in "ab")
    root = root.plus(float_series("loss", [(0, 1.0), (5, 2.0)]))
    fork = (parameter(SysAttribute.FORK_PARENT, "a"), parameter(SysAttribute.FORK_STEP, 5.0))
    other = SampleRun(RunKey("acme/forks", "c"), fork)
    export(command_line.folder, root, child.plus(*fork), other)
    alone = command_line.run(*LOAD, "-r", "c", expect=3)
    assert [x.split()[:4] for x in alone.output.splitlines() if x.startswith("fork-not-native")] == [
        ["fork-not-native", "1", "1", "1"]
    ]
    command_line.run(*LOAD, "-r", "a")
    command_line.run(*LOAD, "-r", "b")
    runs = {run.config[SECTION]["run_id"]: run for run in loaded(server)}
    assert (runs["b"].parent, runs["b"].fork_step) == (runs["a"], 5)
    assert runs["c"].parent is None
    assert runs["c"].config[SECTION]["fork"] == {"parent": "a", "step": 5}


# Failures and interruptions.


def test_a_host_that_is_not_there_is_told_at_once(command_line: CommandLine) -> None:
    standard(command_line.folder)
    options = ("--pluto-host", "http://127.0.0.1:1", "--pluto-retry-for", "4")
    bare = replace(command_line, environment={"PLUTO_API_KEY": "mlps_any"})
    warning, error = bare.run(*LOAD, *options, expect=1).output.splitlines()
    what = "checking the API key at 127.0.0.1:1 (from --pluto-host): Pluto cannot be reached"
    assert warning.endswith(f"{what}; it is tried again for up to 4 s")
    assert error.startswith(f"error: {what} (tried ")
    assert not (command_line.folder / FOLDER).exists()


def test_an_empty_pluto_is_not_compared(command_line: CommandLine) -> None:
    standard(command_line.folder)
    refused = command_line.run(*VERIFY, "--pluto-rehearse", expect=2).output
    assert "`load --pluto-rehearse` compares what it has loaded" in refused


def test_a_load_without_a_key_leaves_nothing(command_line: CommandLine) -> None:
    standard(command_line.folder)
    before = sorted(command_line.folder.iterdir())
    bare = replace(command_line, environment={"HOME": str(command_line.folder)})
    assert "no API key of Pluto" in bare.run(*LOAD, "--pluto-base-dir=new/state", expect=2).output
    assert sorted(path for path in command_line.folder.iterdir() if path.name != "output.txt") == before


def test_a_quota_is_one_line_and_the_load_goes_on_later(
    command_line: CommandLine, server: RehearsalServer
) -> None:
    standard(command_line.folder, runs=2)
    server.settings.quota_exceeded = True
    done = command_line.run(*LOAD, expect=1)
    told = [line for line in done.output.splitlines() if "at its limit" in line or "at limit" in line]
    assert len([line for line in told if line.startswith("  acme/standard:")]) == 2
    server.settings.quota_exceeded = False
    command_line.run(*LOAD)
    command_line.run(*VERIFY)


def test_ctrl_c_ends_a_load_soon_and_the_next_one_goes_on(
    command_line: CommandLine, server: RehearsalServer
) -> None:
    standard(command_line.folder, runs=4)
    server.latency = 0.5  # a run makes 15 requests or so: all four would take half a minute

    def is_loading() -> bool:
        return any(r.path.startswith("/ingest/") for r in server.requests)

    done = command_line.run_until_interrupted(is_loading, *LOAD, "-j", "1")
    made = len(server.requests)
    server.latency = 0.0
    assert done.exit_code == 130
    assert done.output.splitlines()[-1] == "interrupted; run the same command again to go on"
    assert len(server.runs.by_id) == 1, "it went on with the next run"
    assert made < 12, "it went on with the run"
    assert not (command_line.folder / ".pluto_upload_cache.txt").exists()
    assert "4 runs loaded" in command_line.run(*LOAD).output
    assert len(loaded(server)) == len(server.runs.by_id) == 4
    command_line.run(*VERIFY)


@pytest.mark.parametrize("seed", range(2))
def test_kills_at_random_moments_leave_everything_exactly_once(
    command_line: CommandLine, server: RehearsalServer, tmp_path: Path, seed: int
) -> None:
    """Wherever they strike, in requests or between them; failpoints are in `test_ordered_ingest.py`."""
    whole = everything()
    runs = [replace(whole, key=replace(whole.key, run_id=f"RUN-{n}")) for n in range(2)]
    export(command_line.folder, *runs)
    chance = random.Random(seed)
    each = chance.randint(3, 14)
    options = ("--pluto-flush-every", "100", "--pluto-file-chunk-size", "2", "--pluto-visible-within", "0.5")
    command_line.run_killed_at_random(
        *LOAD,
        *options,
        "--no-verify",
        kills=5,
        chance=chance,
        published=lambda: len(server.requests) // each,
        expect=3,  # their uneven histograms are told as redrawn
    )
    command_line.run(*LOAD, *options, expect=3)
    command_line.run(*VERIFY)
    found = loaded(server)
    assert len(found) == 2
    with RehearsalServer(reaper_interval=None) as other:
        untouched = CommandLine(tmp_path, {**command_line.environment, **other.environment()})
        untouched.run(*LOAD, "--pluto-base-dir", "reference", expect=3)
        wanted = {run.config[SECTION]["run_id"]: run for run in loaded(other)}
        for run in found:
            reference = wanted[run.config[SECTION]["run_id"]]
            for rows in ("data_rows", "log_rows", "file_rows"):
                held = getattr(server.store, rows)(server.key(run))
                assert len(held) == len(getattr(other.store, rows)(other.key(reference))), rows
            sample, expected = (
                comparable(read_run(s, run.project.name, r.id))
                for s, r in ((server, run), (other, reference))
            )
            assert sample == expected
    abandoned = [run for run in server.runs.by_id.values() if run not in found]
    assert all(run.status != "RUNNING" for run in abandoned)


@pytest.mark.parametrize("arguments", [LOAD, VERIFY], ids=["load", "verify"])
def test_ctrl_c_does_not_wait_as_long_as_pluto_asks(
    command_line: CommandLine, server: RehearsalServer, arguments: tuple[str, ...]
) -> None:
    standard(command_line.folder)
    if arguments == VERIFY:
        command_line.run(*LOAD)
    path = "^/ingest/" if arguments == LOAD else "^/api/runs/"
    server.requests.clear()
    server.fail(faults.unavailable(503, path, retry_after="250", times=100))

    def is_asked() -> bool:
        return any(re.match(path, request.path) for request in server.requests)

    command = replace(command_line, seconds=20.0)
    done = command.run_until_interrupted(is_asked, *arguments, "--pluto-retry-for", "300")
    assert done.exit_code == 130
    # Not always last: the signal may come while a thread starts, which tells of its 503 a little later.
    assert "interrupted; run the same command again to go on" in done.output.splitlines()
    server.faults.clear()
    command_line.run(*LOAD)
    command_line.run(*VERIFY)

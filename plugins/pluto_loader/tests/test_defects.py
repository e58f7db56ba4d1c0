"""What other loaders into Pluto are known to lose cannot be lost here: one test for each defect.

From datasets on disk, by the command, read back with the client of Pluto; other tests go further into each.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from neptune_exporter.model import AttributeType, RunKey, SysAttribute
from neptune_exporter.schema import SCHEMA
from neptune_exporter.testing import old_layout
from neptune_exporter.testing.commands import CommandLine
from neptune_exporter.testing.loaded import LoadedEntry, LoadedSample
from neptune_exporter.testing.loopback import Fault
from neptune_exporter.testing.runs import (
    SampleFile,
    SampleHistogram,
    SampleRun,
    file,
    file_series,
    file_set,
    float_series,
    histogram_series,
    parameter,
    string_series,
)
from neptune_exporter_pluto.form.config import SECTION
from neptune_exporter_pluto_server import RehearsalServer
from neptune_exporter_pluto_server.runs import Run

from .datasets import export
from .reading import read_run

LOAD = ("load", "--loader", "pluto")
VERIFY = ("verify", "--loader", "pluto", "--full")
KEY = RunKey("acme/vision", "RUN-1")
CREATED = datetime(2024, 5, 6, 7, 8, 9, 123000, tzinfo=timezone.utc)
CACHE = ".pluto_upload_cache.txt"

Loads = Callable[..., dict[str, Run]]


@pytest.fixture
def load(command_line: CommandLine, server: RehearsalServer) -> Loads:
    """Exports runs, loads them by the command, compares all, and gives what Pluto has, by run id."""

    def load(*runs: SampleRun, options: tuple[str, ...] = (), into: str = "") -> dict[str, Run]:
        target = ("--pluto-project-name", into) if into else ()
        export(command_line.folder, *runs)
        command_line.run(*LOAD, *options, *target)
        command_line.run(*VERIFY, *target)
        return by_run_id(server)

    return load


def by_run_id(server: RehearsalServer) -> dict[str, Run]:
    return {run.config[SECTION]["run_id"]: run for run in server.runs.by_id.values()}


def read(server: RehearsalServer, run: Run) -> LoadedSample:
    return read_run(server, run.project.name, run.id)


def milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def timed(attribute: Any, *times: datetime) -> Any:
    entries = (replace(e, timestamp=t) for e, t in zip(attribute.entries, times, strict=True))
    return replace(attribute, entries=tuple(entries))


def values(entries: list[LoadedEntry]) -> list[tuple[Any, Any]]:
    return [(float(e.step), e.value) for e in entries if e.step is not None]


def test_every_histogram_arrives_and_no_point_is_dropped_unless_asked(
    load: Loads, server: RehearsalServer
) -> None:
    histograms = [
        (step, SampleHistogram((0.0, 0.5, 1.0), (float(step), 3.0)))
        for step in range(400)
    ]  # fmt: skip
    sparse = [(1, 0.5), (99, 0.25), (199, 0.125)]
    dense = [(step, float(step)) for step in range(200)]
    run = SampleRun(
        KEY,
        (histogram_series("weights", histograms), float_series("s", sparse), float_series("d", dense)),
    )
    found = read(server, load(run)["RUN-1"])
    assert values(found.histograms["weights"]) == histograms
    assert (values(found.points["s"]), values(found.points["d"])) == (sparse, dense)
    thinned = load(run, options=("--pluto-log-every", "50"), into="acme/thin")["RUN-1"]
    found = read(server, thinned)
    assert thinned.project.name == "acme/thin"
    assert [step for step, _ in values(found.points["s"])] == [1, 199]
    assert [step for step, _ in values(found.points["d"])] == [0, 50, 100, 150, 199]
    assert values(found.histograms["weights"]) == histograms


def test_times_states_forks_and_tags_are_those_of_neptune(load: Loads, server: RehearsalServer) -> None:
    times = [CREATED + timedelta(days=30, seconds=1.5 * n) for n in range(4)]
    created = parameter(SysAttribute.CREATION_TIME, CREATED)
    tags = parameter(SysAttribute.TAGS, ["baseline", "v2"])
    parent = SampleRun(
        KEY, (created, tags, timed(float_series("loss", enumerate([1.0] * 4)), *times))
    )  # fmt: skip

    def other(run_id: str, *attributes: Any) -> SampleRun:
        return SampleRun(replace(KEY, run_id=run_id), (created, *attributes))

    runs = load(
        parent,
        other("failed", parameter(SysAttribute.FAILED, True)),
        other("running", parameter(SysAttribute.STATE, "Active")),
        other("child", parameter(SysAttribute.FORK_PARENT, "RUN-1"), parameter(SysAttribute.FORK_STEP, 2.0)),
    )
    assert {name: run.status for name, run in runs.items()} == {
        "RUN-1": "COMPLETED",
        "failed": "FAILED",
        "running": "TERMINATED",
        "child": "COMPLETED",
    }
    assert {run.created_at for run in runs.values()} == {milliseconds(CREATED)}
    assert runs["RUN-1"].status_updated == milliseconds(times[-1])
    found = read(server, runs["RUN-1"])
    assert [entry.timestamp for entry in found.points["loss"]] == times
    assert {"baseline", "v2"} <= set(runs["RUN-1"].tags)
    assert set(runs["RUN-1"].log_names) == {"loss"}, "metrics of this machine are mixed in"
    assert (runs["child"].parent, runs["child"].fork_step) == (runs["RUN-1"], 2)


def test_fractional_steps_stay_apart_and_are_multiplied_exactly(load: Loads, server: RehearsalServer) -> None:
    points = [(0.1, 1.0), (0.2, 2.0), (0.9, 3.0)]
    run = load(SampleRun(KEY, (float_series("loss", points),)))["RUN-1"]
    assert values(read(server, run).points["loss"]) == points
    exact = SampleRun(replace(KEY, run_id="exact"), (float_series("loss", [(0.29, 1.0), (0.57, 2.0)]),))
    run = load(exact, options=("-r", "exact", "--step-multiplier", "100"))["exact"]
    rows = server.store.points.series(server.key(run), "loss", 0, None)
    assert rows["step"].tolist() == [29, 57]


def test_a_slow_server_costs_no_point(load: Loads, server: RehearsalServer) -> None:
    """There is no time limit after which the rest is dropped and the run called COMPLETED."""
    server.latency = 0.1
    metrics = [
        float_series(f"m{metric}", ((step, float(step)) for step in range(4_000))) for metric in range(10)
    ]
    run = load(SampleRun(KEY, tuple(metrics)))["RUN-1"]
    held = server.store.points
    assert sum(len(held.series(server.key(run), f"m{n}", 0, None)) for n in range(10)) == 40_000


@pytest.mark.parametrize("path", ["/ingest/", "/api/runs/", "/files|/storage/"])
def test_a_server_that_answers_500_is_no_success(
    command_line: CommandLine, server: RehearsalServer, path: str
) -> None:
    export(
        command_line.folder,
        SampleRun(KEY, (float_series("loss", [(0, 1.0)]), file("model", b"weights", "m.pt"))),
    )
    server.fail(Fault(path, status=500, times=10_000))
    done = command_line.run(*LOAD, expect=1, NEPTUNE_EXPORTER_PLUTO_RETRY_FOR="0.5")
    assert done.output.startswith("0 runs loaded, 1 failed") or "\n0 runs loaded, 1 failed" in done.output
    assert "500" in done.output and "Traceback" not in done.output
    assert not (command_line.folder / CACHE).exists()
    server.faults.clear()
    command_line.run(*LOAD)
    command_line.run(*VERIFY)


def test_no_two_names_and_no_two_files_merge(load: Loads, server: RehearsalServer) -> None:
    names = [
        "a b",
        "a_b",
        "a:b",
        "é",
        "ü",
        "n" * 251 + "1",
        "n" * 251 + "2",
        "x" * 2_500 + "1",
        "x" * 2_500 + "2",
    ]
    plots = [(step, SampleFile(b"%d" % n, "p.png")) for n, step in enumerate((0, 0.2, 0.4, 1))]
    run = load(
        SampleRun(
            KEY,
            (
                *(float_series(name, [(0, float(n))]) for n, name in enumerate(names)),
                file_series("plots", plots),
                file_set("source_code", {"a.py": b"a", "b/a.py": b"b"}),
            ),
        )
    )["RUN-1"]
    found = read(server, run)
    assert {name: values(found.points[name]) for name in names} == {
        name: [(0, float(n))] for n, name in enumerate(names)
    }
    assert sorted(values(found.files["plots"])) == [(step, sample.content) for step, sample in plots]
    assert len(found.files["source_code"]) == 1


def test_texts_keep_their_names_steps_and_times(load: Loads, server: RehearsalServer) -> None:
    times = [CREATED + timedelta(seconds=n) for n in range(2)]
    notes = timed(string_series("notes", [(0.5, "first"), (2, "second")]), *times)
    errors = timed(string_series("train/errors", [(7, "third"), (8, "fourth")]), *times)
    out = timed(string_series("monitoring/1/stdout", [(0, "out 0"), (1, "out 1")]), *times)
    run = load(SampleRun(KEY, (notes, errors, out)))["RUN-1"]
    found = read(server, run).texts
    assert {path: [(float(e.step), e.timestamp, e.value) for e in found[path]] for path in found} == {
        "notes": [(0.5, times[0], "first"), (2, times[1], "second")],
        "train/errors": [(7, times[0], "third"), (8, times[1], "fourth")],
        "monitoring/1/stdout": [(0, times[0], "out 0"), (1, times[1], "out 1")],
    }
    text = server.file_bytes(run.id, "logs/stdout", "stdout.txt").decode()
    assert "\tnotes\t0.5\tfirst\n" in text and "third" not in text
    assert "third" in server.file_bytes(run.id, "logs/stderr", "stderr.txt").decode()


def test_two_projects_and_two_accounts_do_not_hide_each_others_runs(
    command_line: CommandLine, server: RehearsalServer
) -> None:
    runs = [
        SampleRun(RunKey(project, "RUN-1"), (parameter("which", project), parameter("sys/name", "same")))
        for project in ("acme/one", "acme/two")
    ]
    export(command_line.folder, *runs)
    into_one = ("--pluto-project-name", "team/all")
    assert "2 runs loaded" in command_line.run(*LOAD, *into_one).output
    assert {run.config["which"] for run in server.runs.by_id.values()} == {"acme/one", "acme/two"}
    assert "0 runs loaded, 2 were there already" in command_line.run(*LOAD, *into_one).output
    with RehearsalServer(reaper_interval=None) as other:
        command_line.run(*LOAD, *into_one, **other.environment())
        assert len(other.runs.by_id) == 2


def old_run(folder: Path, run_id: str, stored: str, content: bytes | None = None) -> Path:
    """An export of the public tool with one file, whose row names a path; the part."""
    key = replace(KEY, run_id=run_id)
    batch = pa.RecordBatch.from_pydict(
        {
            "attribute_path": ["model", "lr"],
            "attribute_type": [AttributeType.FILE.value, AttributeType.FLOAT.value],
            "file_value": pa.array([{"path": stored}, None], SCHEMA.field("file_value").type),
            "float_value": pa.array([None, 0.5], pa.float64()),
        }
    )
    if content is not None:
        path = folder / "exports/files" / old_layout.san(KEY.project_id) / stored
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (part,) = old_layout.write_run(folder / "exports/data", key, [batch])
    return part


@pytest.mark.parametrize("ours", [False, True], ids=["their export", "our export"])
@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_corrupt_part_is_no_loaded_run(
    command_line: CommandLine, server: RehearsalServer, ours: bool, damage: str
) -> None:
    folder = command_line.folder
    if ours:
        points = float_series("loss", ((step, step / 7) for step in range(5_000)))
        export(folder, SampleRun(KEY, (points,)), SampleRun(replace(KEY, run_id="good"), (points,)))
        (part,) = folder.glob("exports/data/*/RUN-1-*_part_0.parquet")
    else:
        old_run(folder, "good", "good/m", b"x")
        part = old_run(folder, "RUN-1", "RUN-1/m", b"y")
    whole = part.read_bytes()
    broken = whole[:-50] if damage == "cut" else whole[:4] + bytes(200) + whole[204:]
    part.write_bytes(broken)
    done = command_line.run(*LOAD, expect=3)
    assert "1 run loaded, 1 failed" in done.output and part.name in done.output
    assert by_run_id(server).keys() >= {"good"}
    assert (folder / CACHE).read_text() == "acme/vision::good\n"
    loaded = [run for run in server.runs.by_id.values() if run.config[SECTION]["load"]["state"] == "complete"]
    assert [run.config[SECTION]["run_id"] for run in loaded] == ["good"]
    part.write_bytes(whole)
    command_line.run(*LOAD)
    command_line.run(*VERIFY)


def test_nothing_outside_of_the_files_folder_is_uploaded(
    command_line: CommandLine, server: RehearsalServer
) -> None:
    folder, canary = command_line.folder, b"a canary outside of the folder"
    secret = folder / "secret.txt"
    secret.write_bytes(canary)
    old_run(folder, "absolute", str(secret))
    old_run(folder, "upwards", "../../../secret.txt")
    old_run(folder, "inside", "inside/m", b"fine")
    link = folder / "exports/files" / old_layout.san(KEY.project_id) / "link"
    link.symlink_to(secret)
    old_run(folder, "linked", "link")
    done = command_line.run(*LOAD, expect=3)
    assert "4 runs loaded" in done.output
    (row,) = [line for line in done.output.splitlines() if line.startswith("file-unsafe")]
    assert row.split()[1:4] == ["3", "3", "3"]
    assert [blob.path.read_bytes() for blob in server.store.blobs.all()] == [b"fine"]
    report = next(folder.glob("losses-*.jsonl")).read_text().splitlines()
    assert {json.loads(line)["run"]["run_id"] for line in report} == {"absolute", "upwards", "linked"}


def test_ctrl_c_does_not_go_on_with_the_next_run(command_line: CommandLine, server: RehearsalServer) -> None:
    points = float_series("loss", enumerate([1.0, 2.0]))
    export(command_line.folder, *(SampleRun(replace(KEY, run_id=f"r{n}"), (points,)) for n in range(5)))
    server.latency = 0.3

    def has_begun() -> bool:
        return bool(server.runs.by_id)

    done = command_line.run_until_interrupted(has_begun, *LOAD, "-j", "1")
    assert done.exit_code == 130 and len(server.runs.by_id) == 1
    server.latency = 0.0
    assert "5 runs loaded" in command_line.run(*LOAD).output
    assert len(server.runs.by_id) == 5
    command_line.run(*VERIFY)


def test_runs_without_a_name_follow_the_project_override(load: Loads, server: RehearsalServer) -> None:
    unnamed = SampleRun(KEY, (float_series("loss", [(0, 1.0)]),))
    runs = load(unnamed, into="team/migrated")
    assert (runs["RUN-1"].name, runs["RUN-1"].project.name) == ("RUN-1", "team/migrated")

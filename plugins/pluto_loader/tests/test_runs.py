"""A run in Pluto is what it was in Neptune: when, how it ended, whose child, under which names."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.contract import AttributeFailure, LoadOptions, SinkError, UsageError
from neptune_exporter.model import RunKey, RunKind, SysAttribute
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.loopback import Fault
from neptune_exporter.testing.runs import SampleRun, file, float_series, parameter, string_series
from neptune_exporter_pluto.form.config import SECTION, of_pairs
from neptune_exporter_pluto.form.metadata import external_id
from neptune_exporter_pluto_server import RehearsalServer

from .conftest import MakeSink
from .reading import read_run
from .samples import CREATED, KEY, losses_of, sample


def milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


# Times and status.


def test_every_point_keeps_its_time(server: RehearsalServer, make_sink: MakeSink) -> None:
    times = [CREATED + timedelta(seconds=1.5 * n) for n in range(5)]
    series = float_series("loss", enumerate([1.0] * 5))
    series = replace(
        series, entries=tuple(replace(e, timestamp=t) for e, t in zip(series.entries, times, strict=True))
    )
    loaded = make_sink().load(MemoryRun(sample(series)), None)
    found = read_run(server, KEY.project_id, int(loaded.target_id))
    assert [entry.timestamp for entry in found.points["loss"]] == times


def test_creation_end_and_duration(stored: Any) -> None:
    run, _ = stored(sample(parameter("sys/running_time", 90.5)))
    assert run.created_at == milliseconds(CREATED)
    assert run.status_updated - run.created_at == 90_500


def test_the_end_is_the_last_thing_logged(stored: Any) -> None:
    """A tag that somebody adds a year later does not make a run a year long."""
    series = float_series("loss", [(0, 1.0)])
    last = CREATED + timedelta(hours=2)
    series = replace(series, entries=(replace(series.entries[0], timestamp=last),))
    modified = parameter(SysAttribute.MODIFICATION_TIME, CREATED + timedelta(days=365))
    run, _ = stored(sample(series, modified))
    assert run.status_updated == milliseconds(last)


def test_a_run_without_any_time_does_not_end_before_it_begins(stored: Any) -> None:
    run, _ = stored(SampleRun(KEY, (parameter("lr", 0.1), file("model", b"weights", "m.pt"))))
    assert 0 <= run.status_updated - run.created_at < 60_000


@pytest.mark.parametrize(
    ("created", "shown", "lost"),
    [
        (datetime(1969, 7, 20, tzinfo=timezone.utc), 0, 1),
        (datetime(1970, 1, 1, tzinfo=timezone.utc), 0, 0),
        (datetime(1970, 1, 1, 0, 0, 1, tzinfo=timezone.utc), 1000, 0),
    ],
)
def test_a_creation_before_1970_is_as_early_as_pluto_takes(
    server: RehearsalServer, make_sink: MakeSink, created: datetime, shown: int, lost: int
) -> None:
    """That is 0, which the real API takes for a time (pluto-server 3e89082)."""
    run = MemoryRun(SampleRun(KEY, (parameter(SysAttribute.CREATION_TIME, created),)))
    sink = make_sink()
    loaded = sink.load(run, None)
    held = server.runs.by_id[int(loaded.target_id)]
    assert (held.created_at, held.status_updated) == (shown, shown)
    told = [(loss.attribute_path, loss.count) for loss in loaded.losses if loss.reason == "time-before-1970"]
    assert told == [(SysAttribute.CREATION_TIME, 1)] * lost
    assert held.config[SysAttribute.CREATION_TIME] == created.isoformat(timespec="milliseconds").replace(
        "+00:00", "Z"
    )
    verdicts = {line.item: line.verdict.value for line in sink.verify(run, full=True)}
    assert (verdicts["time of creation"], verdicts["time of the end"]) == ("=", "=")


@pytest.mark.parametrize(
    ("attributes", "status"),
    [
        ((), "COMPLETED"),
        ((parameter(SysAttribute.FAILED, True),), "FAILED"),
        ((parameter(SysAttribute.FAILED, False), parameter(SysAttribute.STATE, "Inactive")), "COMPLETED"),
        ((parameter(SysAttribute.STATE, "Active"),), "TERMINATED"),
    ],
)
def test_status(stored: Any, attributes: tuple[Any, ...], status: str) -> None:
    run, _ = stored(sample(*attributes))
    assert run.status == status


def test_the_reaper_changes_nothing(server: RehearsalServer, make_sink: MakeSink) -> None:
    """It fails every RUNNING run without a recent sign of life, and may look at any moment of a load."""
    handle, statuses = server.handle, []

    def reaping(request: Any) -> Any:
        response = handle(request)
        if not request.path.endswith("/resume"):
            server.reap()
        statuses.append({run.status for run in server.runs.by_id.values()})
        return response

    server.handle = reaping  # type: ignore[method-assign]
    runs = [sample(float_series("loss", [(0, 1.0)]), key=replace(KEY, run_id=f"RUN-{n}")) for n in range(3)]
    sink = make_sink()
    for run in runs:
        sink.load(MemoryRun(run), None)
    assert {"FAILED"} in statuses, "the reaper never struck: the test proves nothing"
    assert [run.status for run in server.runs.by_id.values()] == ["COMPLETED"] * 3
    server.reap()
    assert [run.status for run in server.runs.by_id.values()] == ["COMPLETED"] * 3


def test_the_final_status_is_read_back(server: RehearsalServer, make_sink: MakeSink, tmp_path: Path) -> None:
    """Pluto answers 200 to a status that it ignores."""
    server.fail(Fault("/status/update$", status=200, body=b'{"success":true}', times=100))
    with pytest.raises(SinkError, match="should be COMPLETED but Pluto shows RUNNING"):
        make_sink().load(MemoryRun(sample()), None)
    assert not (tmp_path / "state" / ".pluto_upload_cache.txt").exists()
    server.faults.clear()
    loaded = make_sink().load(MemoryRun(sample()), None)
    assert not loaded.already_loaded
    assert [run.status for run in server.runs.by_id.values()] == ["COMPLETED"]


# Names, tags, notes, origin.


def test_name_and_project(stored: Any) -> None:
    run, _ = stored(sample(parameter(SysAttribute.NAME, "baseline")), LoadOptions(name_prefix="old "))
    assert (run.name, run.project.name) == ("old baseline", "acme/vision")


def test_a_project_name_that_no_header_takes(stored: Any) -> None:
    run, loaded = stored(SampleRun(RunKey("acme/bildgröße", "RUN-1"), (float_series("a", [(0, 1.0)]),)))
    assert run.project.name.isascii() and run.config[SECTION]["project"] == "acme/bildgröße"
    assert losses_of(loaded) == {("project-renamed", None): 1}
    with pytest.raises(UsageError, match="ASCII"):
        stored(SampleRun(KEY), project_name="bildgröße")


def test_tags_beyond_fifty_go_into_the_config(stored: Any) -> None:
    tags = [f"tag {n:02}" for n in range(60)]
    run, loaded = stored(
        sample(parameter(SysAttribute.TAGS, tags), parameter(SysAttribute.GROUP_TAGS, ["g"]))
    )
    assert len(run.tags) == 50 and {"import:neptune", "import_project:acme/vision"} <= set(run.tags)
    beyond = of_pairs(run.config[SECTION]["tags_beyond_limit"])
    assert set(run.tags) | set(beyond[SysAttribute.TAGS]) >= set(tags)
    assert losses_of(loaded) == {
        ("tags-beyond-limit", "sys/tags"): 12,
        ("tags-beyond-limit", "sys/group_tags"): 1,
    }


def test_more_than_one_group_tag_is_no_refusal(stored: Any) -> None:
    run, loaded = stored(sample(parameter(SysAttribute.TAGS, ["group:a", "group:b"])))
    assert sum(tag.startswith("group:") for tag in run.tags) == 1
    assert losses_of(loaded) == {("tags-beyond-limit", "sys/tags"): 1}


def test_the_description_becomes_notes(stored: Any) -> None:
    run, loaded = stored(sample(parameter(SysAttribute.DESCRIPTION, "why " * 500)))
    assert run.notes == ("why " * 500)[:1000]
    assert run.config[SysAttribute.DESCRIPTION] == "why " * 500
    assert losses_of(loaded) == {("long-description", "sys/description"): 1}


@pytest.mark.parametrize(
    ("description", "notes"),
    [
        ("x" * 990 + "😀" * 5, "x" * 990 + "😀" * 5),
        ("x" * 990 + "😀" * 8, "x" * 990 + "😀" * 5),
        ("x" * 991 + "😀" * 8, "x" * 991 + "😀" * 4),
    ],
    ids=["fits", "too long", "too long by half a pair"],
)
def test_notes_are_measured_as_pluto_does(stored: Any, description: str, notes: str) -> None:
    """In UTF-16 units, of which an emoji has two."""
    run, loaded = stored(sample(parameter(SysAttribute.DESCRIPTION, description)))
    assert run.notes == notes and run.config[SysAttribute.DESCRIPTION] == description
    told = {("long-description", "sys/description"): 1}
    assert losses_of(loaded) == ({} if notes == description else told)


def test_where_it_came_from(stored: Any, server: RehearsalServer, make_sink: MakeSink) -> None:
    run, _ = stored(sample(parameter(SysAttribute.ID, "RUN-1")))
    origin = run.config[SECTION]
    assert (origin["source"], origin["project"], origin["run_id"]) == ("neptune", "acme/vision", "RUN-1")
    assert origin["sys_id"] == "RUN-1" and "url" not in origin  # no link is made up
    assert origin["load"]["state"] == "complete"
    address = "https://neptune.example/acme/vision/-/run/?customId=RUN-2"
    told = MemoryRun(SampleRun(RunKey("acme/vision", "RUN-2"), ()), url=address)
    loaded = make_sink().load(told, None)
    assert server.runs.by_id[int(loaded.target_id)].config[SECTION]["url"] == address
    assert {line.verdict.value for line in make_sink().verify(told)} <= {"=", "?"}


def test_null_characters_from_anywhere_are_no_refusal(server: RehearsalServer, make_sink: MakeSink) -> None:
    """PostgreSQL holds none: Pluto would answer 500 to each of these, on every load."""

    key = RunKey("acme/vis\0ion", "RUN\0-1")

    class Failed(MemoryRun):
        failures = (
            AttributeFailure(key, "bad\0name", None, "it broke\0"),
            AttributeFailure(key, "", None, "all\0of it"),
        )
        notes = ("a note\0",)

    texts = {SysAttribute.NAME: "a\0b", SysAttribute.ID: "i\0d", SysAttribute.FORK_PARENT: "par\0ent"}
    sink = make_sink(LoadOptions(name_prefix="pre\0"))
    console = string_series("monitoring/a\0b/stdout", [(0, "line")])
    run = Failed(sample(*(parameter(path, text) for path, text in texts.items()), console, key=key))
    stored = server.runs.by_id[int(sink.load(run, None).target_id)]
    assert stored.name == r"pre\u0000a\u0000b" and r"import_project:acme/vis\u0000ion" in stored.tags
    origin = stored.config[SECTION]
    assert (origin["project"], origin["run_id"]) == (r"acme/vis\u0000ion", r"RUN\u0000-1")
    assert (origin["full_name"], origin["sys_id"]) == (stored.name, r"i\u0000d")
    assert origin["fork"] == {"parent": r"par\u0000ent", "step": None}
    assert origin["not_exported"] == [[r"bad\u0000name", r"it broke\u0000"], ["(run)", r"all\u0000of it"]]
    assert origin["notes"] == [r"a note\u0000"]
    assert origin["console"] == [[r"monitoring/a\u0000b/stdout", 1]]
    assert {c.verdict.value for c in sink.verify(run, full=True)} <= {"=", "~", "?"}
    assert make_sink(LoadOptions(name_prefix="pre\0")).load(run, None).already_loaded


def test_models_are_runs_with_a_tag(stored: Any) -> None:
    key = RunKey("acme/vision", "VIS-MOD-1", RunKind.MODEL_VERSION)
    run, _ = stored(SampleRun(key, (parameter("stage", "production"), file("binary", b"onnx", "m.onnx"))))
    assert "neptune:model_version" in run.tags and run.config["stage"] == "production"


def test_external_ids_are_unique_and_no_display_ids() -> None:
    keys = [
        RunKey("a", "b/c"), RunKey("a/b", "c"), RunKey("a", "b"), RunKey("a", "b", RunKind.MODEL),
        RunKey("p", "r" * 400), RunKey("p", "r" * 401), RunKey("p", "RUN-12"),
    ]  # fmt: skip
    ids = [external_id(key, generation) for key in keys for generation in (1, 2)]
    assert len(set(ids)) == len(ids)
    assert all(len(i) <= 255 and i.startswith("neptune:") for i in ids)


def test_two_runs_of_one_name_stay_two(server: RehearsalServer, make_sink: MakeSink) -> None:
    sink = make_sink(project_name="team/all")
    keys = [RunKey(project, "RUN-1") for project in ("acme/one", "acme/two")]
    for key in keys:
        sink.load(MemoryRun(sample(parameter("which", key.project_id), key=key)), None)
    assert [run.config["which"] for run in server.runs.by_id.values()] == ["acme/one", "acme/two"]

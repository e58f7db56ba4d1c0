"""Verification of the loader's own section of the config."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.contract import AttributeFailure, LoadOptions
from neptune_exporter.model import SysAttribute
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.loopback import Fault
from neptune_exporter.testing.runs import SampleRun, file, float_series, parameter, string_series
from neptune_exporter_pluto.form.config import SECTION
from neptune_exporter_pluto.sink import PlutoSink
from neptune_exporter_pluto_server import RehearsalServer

from .conftest import MakeSink
from .killed_load import KEY
from .test_verify import BAD, missing_points

Section = dict[str, Any]
SAMPLE = SampleRun(
    KEY,
    (
        parameter(SysAttribute.NAME, "n" * 300),
        parameter(SysAttribute.ID, "VIS-1"),
        parameter(SysAttribute.CREATION_TIME, datetime(2024, 1, 1, tzinfo=timezone.utc)),
        parameter(SysAttribute.TAGS, [f"tag {n}" for n in range(60)]),
        parameter(SysAttribute.FORK_PARENT, "RUN-0"),
        parameter(SysAttribute.FORK_STEP, 2.5),
        parameter("large", 2**60),
        parameter("fine", 0.1 + 0.2),
        parameter("a\0b", 1),
        float_series("loss", [(0.1, 1.0), (0.2, 2.0)]),
        float_series("odd\nname", [(0.1, 1.0)]),
        string_series("monitoring/x/stdout", [(0, "line")]),
        file("model", b"weights", "model.pt"),
    ),
)
RUN = MemoryRun(SAMPLE, failures=(AttributeFailure(KEY, "gone", None, "it broke"),), notes=("a note",))


def bad(sink: PlutoSink) -> list[tuple[str, str]]:
    return [(c.verdict.value, c.item) for c in sink.verify(RUN) if c.verdict in BAD]


def section(server: RehearsalServer, run_id: str) -> Section:
    config = server.runs.by_id[int(run_id)].config
    assert isinstance(config, dict)
    return dict[str, Any](config)[SECTION]  # type: ignore[no-any-return]


@pytest.mark.parametrize("machine", ["this", "another"])
def test_the_section_is_equal(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path, machine: str
) -> None:
    server.fail(Fault("/storage/", "PUT", status=403))  # a file that is listed twice: only the load knows
    loaded = make_sink(LoadOptions(name_prefix='old "'), log_every=2).load(RUN, None)
    held = section(server, loaded.target_id)
    every = {
        "names",
        "renamed",
        "converted",
        "exact",
        "texts",
        "console",
        "losses",
        "fork",
        "sys_id",
        "full_name",
    }
    assert every | {"not_exported", "notes", "tags_beyond_limit", "load"} <= set(held)
    sink = make_sink(base_dir=tmp_path / machine) if machine == "another" else make_sink()
    assert not bad(sink)
    (line,) = [c for c in sink.verify(RUN) if c.item == SECTION]
    assert line.verdict.value == "="


def changed(key: str, value: object) -> Callable[[Section], None]:
    return lambda section: section.__setitem__(key, value)


def removed(key: str) -> Callable[[Section], None]:
    return lambda section: section.__delitem__(key)


def added(key: str) -> Callable[[Section], None]:
    return lambda section: section[key].append(["more", "x"])


CHANGES = [
    ("project", changed("project", "other/project"), "*"),
    ("run_id", removed("run_id"), "-"),
    ("sys_id", changed("sys_id", "VIS-2"), "*"),
    ("step_multiplier", changed("step_multiplier", "1000"), "*"),
    ("step_multiplier", removed("step_multiplier"), "-"),
    ("fork", changed("fork", {"parent": "RUN-0", "step": 3}), "*"),
    ("names", removed("names"), "-"),
    ("names", added("names"), "+"),
    ("renamed", changed("renamed", []), "*"),
    ("converted", changed("converted", [["large", "number as text"]]), "*"),
    ("exact", changed("exact", [["fine", "0.3"]]), "*"),
    ("texts", removed("texts"), "-"),
    ("console", changed("console", [["monitoring/x/stdout", 2]]), "*"),
    ("not_exported", changed("not_exported", []), "*"),
    ("not_exported", added("not_exported"), "+"),
    ("mine", changed("mine", 1), "+"),
    ("load/status", lambda section: section["load"].__setitem__("status", "FAILED"), "*"),
    ("load/options", lambda section: section["load"]["options"].__setitem__("log_every", 9), "*"),
    ("load/state", lambda section: section["load"].__delitem__("state"), "-"),
]


@pytest.mark.parametrize(("key", "change", "verdict"), CHANGES)
def test_a_change_is_found(
    server: RehearsalServer, make_sink: MakeSink, key: str, change: Callable[[Section], None], verdict: str
) -> None:
    """And put right in the same run, or left alone where something was added."""
    loaded = make_sink().load(RUN, None)
    change(section(server, loaded.target_id))
    assert bad(make_sink()) == [(verdict, f"{SECTION}: {key}")]
    again = make_sink().load(RUN, None)
    assert again.target_id == loaded.target_id and again.already_loaded is (verdict == "+")
    assert bad(make_sink()) == ([] if verdict != "+" else [(verdict, f"{SECTION}: {key}")])


def test_a_section_that_is_gone_is_told_and_written_again(
    server: RehearsalServer, make_sink: MakeSink
) -> None:
    loaded = make_sink().load(RUN, None)
    before = section(server, loaded.target_id)
    config = server.runs.by_id[int(loaded.target_id)].config
    del config[SECTION]
    assert bad(make_sink()) == [("-", SECTION)]
    assert make_sink().load(RUN, None).target_id == loaded.target_id
    after = section(server, loaded.target_id)
    # The mark may stand under the key of a load that went on with the run.
    assert list(after["load"].pop("marks").values()) == list(before["load"].pop("marks").values())
    assert after == before
    assert not bad(make_sink())


def test_the_words_of_what_was_not_exported_are_not_compared(
    server: RehearsalServer, make_sink: MakeSink
) -> None:
    loaded = make_sink().load(RUN, None)
    held = section(server, loaded.target_id)
    held["not_exported"] = [["gone", "it broke in another way"]]
    assert not bad(make_sink())


@pytest.mark.parametrize("change", [changed("converted", [["large", "as text"]]), removed("names")])
def test_what_another_machine_wrote_of_its_load_begins_nothing_anew(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path, change: Callable[[Section], None]
) -> None:
    loaded = make_sink().load(RUN, None)
    change(section(server, loaded.target_id))
    for _ in range(2):
        sink = make_sink(base_dir=tmp_path / "another")
        again = sink.load(RUN, None)
        assert again.already_loaded and again.target_id == loaded.target_id
        assert len(bad(sink)) == 1
    missing_points(server, int(loaded.target_id))
    assert bad(sink)
    assert make_sink(base_dir=tmp_path / "another").load(RUN, None).target_id != loaded.target_id

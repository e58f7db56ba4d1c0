"""Which runs are loaded: the journal, the page's list, and what another machine has done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.contract import LoadedRun, Secret, SinkError
from neptune_exporter.model import RunKey, SysAttribute
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.loopback import Fault
from neptune_exporter.testing.runs import SampleRun, float_series, parameter, string_series
from neptune_exporter_pluto.ending import SUPERSEDED_TAG
from neptune_exporter_pluto.state import cachefile
from neptune_exporter_pluto.state.cachefile import LineOwners, LoadedCache
from neptune_exporter_pluto.state.journal import Target
from neptune_exporter_pluto_server import RehearsalServer

from .conftest import MakeSink
from .reading import read_run

KEY = RunKey("acme/vision", "RUN-1")
RUN = SampleRun(
    KEY,
    (
        parameter(SysAttribute.NAME, "baseline"),
        float_series("loss", [(0, 1.0), (1, 0.5)]),
        string_series("notes", [(0, "a"), (1, "b")]),
        string_series("monitoring/1/stdout", [(0, "a"), (1, "b")]),
    ),
)


def load(make_sink: MakeSink, run: SampleRun = RUN, **changes: object) -> LoadedRun:
    return make_sink(**changes).load(MemoryRun(run), None)


def cache(tmp_path: Path) -> Path:
    return tmp_path / "state" / ".pluto_upload_cache.txt"


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def live(server: RehearsalServer) -> list[int]:
    return [run.id for run in server.runs.by_id.values() if SUPERSEDED_TAG not in run.tags]


def test_a_loaded_run_is_listed_and_not_loaded_again(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path
) -> None:
    first = load(make_sink)
    assert cache(tmp_path).read_text() == "acme/vision::baseline\n"
    posted = len([r for r in server.requests if r.path.startswith("/ingest")])
    again = load(make_sink)
    assert again.already_loaded and again.target_id == first.target_id
    assert len([r for r in server.requests if r.path.startswith("/ingest")]) == posted
    assert cache(tmp_path).read_text() == "acme/vision::baseline\n"


def test_a_list_of_another_tool_is_honoured(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path
) -> None:
    write(cache(tmp_path), "acme/vision::baseline", "acme/vision::another")
    assert load(make_sink).already_loaded
    assert not server.runs.by_id


def test_the_list_may_be_elsewhere(server: RehearsalServer, make_sink: MakeSink, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "list.txt"
    write(other, "team/all::baseline")
    assert load(make_sink, loaded_cache=other, project_name="team/all").already_loaded
    assert not load(make_sink, loaded_cache=other).already_loaded
    assert other.read_text() == "team/all::baseline\nacme/vision::baseline\n"


def test_a_line_stands_for_one_run_only(server: RehearsalServer, make_sink: MakeSink, tmp_path: Path) -> None:
    """Two projects' runs of one name under one target: the second must not vanish."""
    write(cache(tmp_path), "team/all::baseline")
    other = replace(RUN, key=RunKey("acme/other", "RUN-1"))
    same_name = replace(RUN, key=RunKey("acme/vision", "RUN-2"))
    assert load(make_sink, project_name="team/all").already_loaded
    assert not load(make_sink, other, project_name="team/all").already_loaded
    assert not load(make_sink, same_name, project_name="team/all").already_loaded
    assert load(make_sink, project_name="team/all").already_loaded
    assert load(make_sink, other, project_name="team/all").already_loaded
    assert len(server.runs.by_id) == 2


@pytest.mark.parametrize("whole", [True, False])
def test_taking_a_line_out_loads_the_run_again(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path, whole: bool
) -> None:
    first = load(make_sink)
    if whole:
        cache(tmp_path).unlink()
    else:
        write(cache(tmp_path), "acme/vision::another")
    again = load(make_sink)
    assert not again.already_loaded and again.target_id != first.target_id
    assert live(server) == [int(again.target_id)]
    assert load(make_sink).already_loaded


def test_accounts_hosts_and_targets_are_kept_apart(make_sink: MakeSink) -> None:
    load(make_sink)
    assert not load(make_sink, project_name="team/all").already_loaded
    with RehearsalServer(reaper_interval=None) as other:
        elsewhere = {"url_api": other.url, "url_ingest": other.url, "api_key": Secret(other.api_key or "")}
        assert not load(make_sink, RUN, **elsewhere).already_loaded
        assert len(other.runs.by_id) == 1


def test_a_run_that_grew_is_loaded_anew(server: RehearsalServer, make_sink: MakeSink) -> None:
    load(make_sink)
    grown = RUN.plus(float_series("later", [(0, 1.0)]))
    again = load(make_sink, grown)
    assert not again.already_loaded and live(server) == [int(again.target_id)]
    assert set(read_run(server, KEY.project_id, int(again.target_id)).points) == {"loss", "later"}


# Another machine.


def test_what_another_machine_loaded_is_found(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path
) -> None:
    first = load(make_sink)
    posted = len([r for r in server.requests if r.path.startswith("/ingest")])
    again = load(make_sink, base_dir=tmp_path / "other machine")
    assert again.already_loaded and again.target_id == first.target_id
    assert len([r for r in server.requests if r.path.startswith("/ingest")]) == posted
    assert [run.status for run in server.runs.by_id.values()] == ["COMPLETED"]
    assert (tmp_path / "other machine" / ".pluto_upload_cache.txt").read_text() == "acme/vision::baseline\n"


def test_what_another_machine_began_is_left_to_it(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path
) -> None:
    server.fail(Fault("/ingest/metrics", status=400))
    with pytest.raises(SinkError, match="400"):
        load(make_sink)
    other = tmp_path / "other machine"
    with pytest.raises(SinkError, match="--pluto-restart-unfinished"):
        load(make_sink, base_dir=other)
    anew = load(make_sink, base_dir=other, restart_unfinished=True)
    assert not anew.already_loaded and live(server) == [int(anew.target_id)]


def test_what_another_machine_loaded_of_an_older_export(
    server: RehearsalServer, make_sink: MakeSink, tmp_path: Path
) -> None:
    load(make_sink)
    grown = RUN.plus(float_series("later", [(0, 1.0)]))
    again = load(make_sink, grown, base_dir=tmp_path / "other machine")
    assert not again.already_loaded
    assert set(read_run(server, KEY.project_id, int(again.target_id)).points) == {"loss", "later"}
    assert all(run.status == "COMPLETED" for run in server.runs.by_id.values())


# What was sent but is not there.


def test_lost_points_are_sent_again(server: RehearsalServer, make_sink: MakeSink) -> None:
    """A 200 is no proof: rows wait in memory, and a crash of the server takes them along."""
    loaded = load(make_sink)
    run_id = int(loaded.target_id)
    server.store.points._runs.pop(server.key(run_id))
    again = load(make_sink)
    assert again.target_id == loaded.target_id and not again.already_loaded
    assert [e.value for e in read_run(server, KEY.project_id, run_id).points["loss"]] == [1.0, 0.5]
    assert load(make_sink).already_loaded


def test_lost_log_lines_make_a_new_run(server: RehearsalServer, make_sink: MakeSink) -> None:
    loaded = load(make_sink)
    server.store.logs._runs.pop(server.key(int(loaded.target_id)))
    again = load(make_sink)
    assert live(server) == [int(again.target_id)] and again.target_id != loaded.target_id
    assert len(server.store.log_rows(server.key(int(again.target_id)))) == 2


def test_a_run_that_was_removed_is_loaded_anew(server: RehearsalServer, make_sink: MakeSink) -> None:
    loaded = load(make_sink)
    run = server.runs.by_id.pop(int(loaded.target_id))
    server.runs._by_external.pop((run.project.name, run.external_id))
    again = load(make_sink)
    assert not again.already_loaded and int(again.target_id) in server.runs.by_id


# The files themselves.

TARGET = Target("account", "host", "team/all")


def test_the_first_claim_stays_whoever_else_claims(tmp_path: Path) -> None:
    """Two processes append to one file; what was known must not be forgotten for what is read later."""
    ours, theirs = LineOwners(tmp_path / "owners"), LineOwners(tmp_path / "owners")
    assert ours.claim("line", TARGET, "first")
    with (tmp_path / "owners").open("ab") as file:  # a claim that raced with ours and came second
        file.write(b'{"line":"line","run":"000000000000"}\n{"line":"other","run":"000000000000"}\n')
    for owners in (ours, theirs, LineOwners(tmp_path / "owners")):
        assert owners.claim("line", TARGET, "first")
        assert not owners.claim("line", TARGET, "second")
        assert not owners.claim("other", TARGET, "first")


def test_of_two_claims_at_once_the_first_in_the_file_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "owners"
    ours, theirs = LineOwners(path), LineOwners(path)
    original = Path.open

    def overtaken(self: Path, *args: object, **options: object) -> object:
        if args == ("ab",):
            monkeypatch.undo()
            assert theirs.claim("line", TARGET, "theirs")
        return original(self, *args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", overtaken)
    assert not ours.claim("line", TARGET, "ours")
    assert theirs.claim("line", TARGET, "theirs")


def test_a_claim_that_is_being_written_is_read_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "owners"
    assert LineOwners(path).claim("first", TARGET, "mine")
    owners = LineOwners(path)
    assert owners.claim("first", TARGET, "mine")
    record = b'{"line":"second","run":"000000000000"}\n'
    with path.open("ab") as file:
        file.write(record[:20])

    def written(seconds: float) -> None:
        with path.open("ab") as file:
            file.write(record[20:])

    monkeypatch.setattr(cachefile, "pause", written)
    assert not owners.claim("second", TARGET, "mine")
    assert path.read_bytes().count(b"\n") == 2


def test_a_list_that_others_change_is_read_anew(tmp_path: Path) -> None:
    cache = LoadedCache(tmp_path / "folder" / "list")
    assert "a::b" not in cache
    cache.add("a::b")
    write(cache.path, "a::b", "c::d")
    assert "c::d" in cache and "a::b" in cache
    cache.path.write_text("c::d")  # without a line break at its end
    assert "a::b" not in cache
    cache.add("e::f")
    cache.add("e::f")
    assert cache.path.read_text() == "c::d\ne::f\n"
    cache.path.unlink()
    assert "c::d" not in cache


class _Counted:
    """A file of which it is counted how many bytes are read."""

    def __init__(self, file: Any, reads: list[int]) -> None:
        self._file, self._reads = file, reads

    def __enter__(self) -> _Counted:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._file.read(size)
        self._reads.append(len(data))
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@pytest.mark.parametrize("processes", [1, 2])
def test_many_runs_do_not_read_the_list_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    reads: list[int] = []
    original = Path.open

    def counted(self: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        file = original(self, mode, *args, **options)
        return _Counted(file, reads) if mode == "rb" else file

    monkeypatch.setattr(Path, "open", counted)
    monkeypatch.setattr(cachefile, "_COMPARED", 64)
    made = [
        (LoadedCache(tmp_path / "list"), LineOwners(tmp_path / "owners")) for _ in range(processes)
    ]  # as each process has its own
    for number in range(300):
        cache, owners = made[number % processes]
        assert f"a::{number}" not in cache
        assert owners.claim(f"a::{number}", TARGET, str(number))
        cache.add(f"a::{number}")
    written = (tmp_path / "list").stat().st_size + (tmp_path / "owners").stat().st_size
    assert sum(reads) <= 3 * written + 600 * 64
    for cache, owners in made:
        assert all(f"a::{number}" in cache for number in range(300))
        assert not owners.claim("a::7", TARGET, "8")


def test_a_list_that_was_changed_and_has_grown_is_read_anew(tmp_path: Path) -> None:
    cache = LoadedCache(tmp_path / "list")
    write(cache.path, "a::b", "c::d")
    assert "a::b" in cache
    write(cache.path, "c::d", "e::f", "g::h")
    assert "a::b" not in cache and "g::h" in cache

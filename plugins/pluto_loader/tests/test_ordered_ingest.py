"""Once, and only once: kills and broken connections leave what one undisturbed load leaves."""

from __future__ import annotations

import itertools
import runpy
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from neptune_exporter.contract import AuthenticationError, LoadedRun, LoadOptions, SinkError
from neptune_exporter.testing.commands import fork
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.loaded import LoadedSample
from neptune_exporter.testing.loopback import Fault, Request, Response
from neptune_exporter_pluto import ordered_ingest
from neptune_exporter_pluto.ending import SUPERSEDED_TAG
from neptune_exporter_pluto.form import metric_lines
from neptune_exporter_pluto.form.config import SECTION
from neptune_exporter_pluto.service.transport import UncertainError
from neptune_exporter_pluto.settings import PlutoSettings
from neptune_exporter_pluto.sink import PlutoSink
from neptune_exporter_pluto.state.journal import Journal, Target
from neptune_exporter_pluto_server import RehearsalServer, faults

from .conftest import MakeSink
from .killed_load import FAILPOINTS, KEY, everything, settings
from .reading import read_run

SCRIPT = Path(__file__).with_name("killed_load.py")


@pytest.fixture
def small_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordered_ingest, "BODY_BYTES", 4_000)
    monkeypatch.setattr(metric_lines, "BODY_BYTES", 4_000)


def comparable(sample: LoadedSample) -> dict[str, Any]:
    """A run as read back, without the order in which Pluto tells things; NaN equals NaN."""
    series = {"points": sample.points, "texts": sample.texts, "histograms": sample.histograms}
    return {
        "parameters": sample.parameters,
        "name": sample.name,
        "tags": sample.tags - {SUPERSEDED_TAG} if sample.tags else None,
        "created": sample.created_at,
        "files": {path: Counter(entries) for path, entries in sample.files.items()},
        **{
            kind: {path: Counter(map(repr, entries)) for path, entries in held.items()}
            for kind, held in series.items()
        },
    }


def check(server: RehearsalServer, run_id: int, reference: RehearsalServer, reference_id: int) -> None:
    found = read_run(server, KEY.project_id, run_id)
    assert comparable(found) == comparable(read_run(reference, KEY.project_id, reference_id))
    key, other = server.key(run_id), reference.key(reference_id)
    for rows in ("data_rows", "log_rows", "file_rows"):
        held, wanted = getattr(server.store, rows)(key), getattr(reference.store, rows)(other)
        assert len(held) == len(wanted), f"{rows}: {len(held)} instead of {len(wanted)}"
    assert server.runs.by_id[run_id].status == reference.runs.by_id[reference_id].status


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RehearsalServer, int]]:
    """A local Pluto into which the run was loaded undisturbed, and the id that it has there."""
    with RehearsalServer(reaper_interval=None) as server:
        loaded = load_once(server, tmp_path_factory.mktemp("reference"))
        yield server, int(loaded.target_id)


def load_once(server: RehearsalServer, base_dir: Path) -> LoadedRun:
    run = MemoryRun(everything())
    sink = PlutoSink.connected(
        settings(server.url, server.api_key or "", base_dir), LoadOptions(), local=True
    )
    try:
        sink.prepare(KEY.project_id, [run])
        return sink.load(run, None)
    finally:
        sink.close()


def kill_at(failpoint: str, server: RehearsalServer, base_dir: Path) -> None:
    """Load the run in a process that dies at a failpoint."""
    given = {"CALL": (failpoint, server.url, server.api_key or "", base_dir)}
    process = fork(runpy.run_path, str(SCRIPT), given, "killed")
    process.join(120)
    assert process.exitcode == -signal.SIGKILL, f"{failpoint} was not passed: {process.exitcode}"


def superseded_because(config: dict[str, Any]) -> str:
    return str(config[SECTION]["load"]["reason"])


LATER = ("pluto.data-sent:2", "pluto.files-signed:3", "pluto.file-put:6", "pluto.metrics-sent:2")


@pytest.mark.parametrize("failpoint", [*FAILPOINTS, *LATER])
def test_a_killed_load_is_completed(
    server: RehearsalServer,
    reference: tuple[RehearsalServer, int],
    tmp_path: Path,
    small_bodies: None,
    failpoint: str,
) -> None:
    kill_at(failpoint, server, tmp_path)
    run_id = int(load_once(server, tmp_path).target_id)
    check(server, run_id, *reference)
    stored, undisturbed = server.store.points, reference[0].store.points
    assert stored.rows(server.key(run_id)) == undisturbed.rows(reference[0].key(reference[1]))
    others = [run for run in server.runs.by_id.values() if run.id != run_id]
    assert all(SUPERSEDED_TAG in run.tags and run.status != "RUNNING" for run in others)
    if "metrics" in failpoint:  # files are announced meanwhile
        assert all("files were announced" in superseded_because(run.config) for run in others)
    elif "announced" not in failpoint and "data-sent" not in failpoint and "files-signed" not in failpoint:
        assert not others, f"{failpoint}: loaded a second time"
    assert load_once(server, tmp_path).already_loaded
    assert not list(tmp_path.glob("**/*.work")), "temporary files are left"


def test_requests_of_another_size_complete_it_too(
    server: RehearsalServer, reference: tuple[RehearsalServer, int], tmp_path: Path
) -> None:
    """Requests are acknowledged by number, which means nothing once they are cut differently."""
    kill_at("pluto.metrics-sent:2", server, tmp_path)
    check(server, int(load_once(server, tmp_path).target_id), *reference)


ROUTES = ["/ingest/metrics", "/ingest/data", "/ingest/logs", "^/files", "/storage/", "/api/runs/"]


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    "fault",
    [faults.commit_then_drop, faults.commit_then_fail, partial(faults.commit_then_fail, 503)],
    ids=["drop", "504", "503"],
)
def test_a_lost_answer_duplicates_nothing(
    server: RehearsalServer,
    reference: tuple[RehearsalServer, int],
    tmp_path: Path,
    small_bodies: None,
    path: str,
    fault: Callable[..., Fault],
) -> None:
    server.fail(fault(path=path, skip=1))
    loaded = load_once(server, tmp_path)
    assert not server.faults, "it never went wrong"
    check(server, int(loaded.target_id), *reference)


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    "fault",
    [faults.dropped, faults.unavailable, lambda **k: faults.unavailable(429, retry_after="0", **k)],
    ids=["dropped", "503", "429"],
)
def test_a_passing_failure_is_retried(
    server: RehearsalServer,
    reference: tuple[RehearsalServer, int],
    tmp_path: Path,
    small_bodies: None,
    path: str,
    fault: Callable[..., Fault],
) -> None:
    server.fail(fault(path=path, times=2, skip=1))
    loaded = load_once(server, tmp_path)
    assert not server.faults, "it never went wrong"
    check(server, int(loaded.target_id), *reference)


@pytest.mark.parametrize("route", ["metrics", "data", "logs"])
def test_a_busy_database_is_no_refusal(
    server: RehearsalServer,
    reference: tuple[RehearsalServer, int],
    tmp_path: Path,
    small_bodies: None,
    route: str,
) -> None:
    server.fail(faults.database_busy(f"^/ingest/{route}$", times=3))
    loaded = load_once(server, tmp_path)
    assert not server.faults, "it never went wrong"
    check(server, int(loaded.target_id), *reference)
    assert len(server.runs.by_id) == 1


def test_a_503_of_pluto_itself_is_no_lost_answer(
    server: RehearsalServer, reference: tuple[RehearsalServer, int], tmp_path: Path
) -> None:
    """`/files` answers so before it takes anything."""
    body = b'{"code":"DATABASE_ERROR","message":"Failed to validate API key"}'
    server.fail(Fault("^/files$", status=503, body=body, times=2))
    loaded = load_once(server, tmp_path)
    assert not server.faults, "it never went wrong"
    check(server, int(loaded.target_id), *reference)
    assert len(server.runs.by_id) == 1


@pytest.mark.parametrize("status", [502, 503])
@pytest.mark.parametrize("route", ["^/ingest/data$", "^/ingest/logs$", "^/files$"])
def test_a_service_that_is_gone_for_a_while_is_waited_for(
    server: RehearsalServer,
    reference: tuple[RehearsalServer, int],
    tmp_path: Path,
    small_bodies: None,
    route: str,
    status: int,
) -> None:
    """However often a proxy says so, at most one run is begun anew."""
    server.fail(faults.unavailable(status, route, times=6, skip=1))
    loaded = load_once(server, tmp_path)
    assert not server.faults, "it never went wrong"
    check(server, int(loaded.target_id), *reference)
    assert len(server.runs.by_id) == (2 if "data" in route else 1)


@pytest.mark.parametrize("route", ["^/ingest/data$", "^/ingest/logs$", "^/files$"])
def test_a_service_that_stays_away_fails_the_run_and_duplicates_nothing(
    server: RehearsalServer, reference: tuple[RehearsalServer, int], tmp_path: Path, route: str
) -> None:
    server.fail(faults.commit_then_fail(503, route))
    server.fail(faults.unavailable(503, route, times=1_000))
    run = MemoryRun(everything())
    impatient = replace(settings(server.url, server.api_key or "", tmp_path), retry_for=0.5)
    sink = PlutoSink.connected(impatient, LoadOptions(), local=True)
    with pytest.raises(SinkError, match="503"):
        sink.load(run, None)
    sink.close()
    assert len(server.runs.by_id) == 1
    server.faults.clear()
    check(server, int(load_once(server, tmp_path).target_id), *reference)


def test_a_stall_is_waited_for(
    server: RehearsalServer, reference: tuple[RehearsalServer, int], tmp_path: Path
) -> None:
    """Back-pressure is a stall; whoever gives up and sends again duplicates."""
    for route in ("metrics", "data", "logs"):
        server.fail(faults.stalled(1.5, f"/ingest/{route}"))
    loaded = load_once(server, tmp_path)
    check(server, int(loaded.target_id), *reference)
    posted, undisturbed = (
        [r.path for r in s.requests if r.path.startswith("/ingest/")] for s in (server, reference[0])
    )
    assert sorted(posted) == sorted(undisturbed)


@pytest.mark.parametrize("route", ["metrics", "data", "logs"])
def test_a_stall_beyond_the_time_out_duplicates_nothing_in_silence(
    server: RehearsalServer,
    reference: tuple[RehearsalServer, int],
    tmp_path: Path,
    small_bodies: None,
    route: str,
) -> None:
    """The server takes the request when the loader has long gone on. Log lines are then there twice, which
    reading back shows and the next load repairs."""
    assert PlutoSettings().timeout > 60, "a stall of a minute is waited for"
    go_on, taken, numbers, handle = threading.Event(), threading.Event(), itertools.count(), server.handle

    def stalling(request: Request) -> Response:
        stalled = request.path == f"/ingest/{route}" and next(numbers) == 1
        if stalled:
            go_on.wait(60)
        response = handle(request)
        if stalled:
            taken.set()
        return response

    server.handle = stalling  # type: ignore[method-assign]
    run = MemoryRun(everything())
    impatient = replace(settings(server.url, server.api_key or "", tmp_path), timeout=1.0)
    sink = PlutoSink.connected(impatient, LoadOptions(), local=True)
    first = sink.load(run, None)
    go_on.set()
    assert taken.wait(60)
    verdicts = {c.item: c.verdict.value for c in sink.verify(run, full=True)}
    loaded = sink.load(run, None)
    sink.close()
    check(server, int(loaded.target_id), *reference)
    if route == "logs":
        assert verdicts["log lines"] == "+" and loaded.target_id != first.target_id
    else:
        assert set(verdicts.values()) <= {"=", "~", "?"} and loaded.already_loaded


def test_a_token_that_expires_half_way(
    server: RehearsalServer, reference: tuple[RehearsalServer, int], tmp_path: Path, small_bodies: None
) -> None:
    """The load ends at once and says so; with a valid token it goes on where it was."""
    server.settings.key_requests = 9
    with pytest.raises(AuthenticationError, match="key"):
        load_once(server, tmp_path)
    server.settings.key_requests = None
    check(server, int(load_once(server, tmp_path).target_id), *reference)
    assert len(server.runs.by_id) == 1


def test_a_quota_is_told(server: RehearsalServer, tmp_path: Path) -> None:
    server.settings.quota_exceeded = True
    with pytest.raises(SinkError, match="at its limit"):
        load_once(server, tmp_path)
    server.settings.quota_exceeded = False
    assert not load_once(server, tmp_path).already_loaded


def test_two_processes_do_not_load_one_run(make_sink: MakeSink, server: RehearsalServer) -> None:
    sink, other = make_sink(), make_sink()
    run = MemoryRun(everything())
    stall = server.fail(faults.stalled(3.0, "/api/runs/create"))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(sink.load, run, None)
        wait_until(lambda: stall not in server.faults)  # taken: the request is there, and the run is held
        with pytest.raises(SinkError, match="another process"):
            other.load(run, None)
        assert not first.result().already_loaded


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_that_a_position_was_found_is_known_to_the_next_load(tmp_path: Path) -> None:
    """It checks the end of the log, whenever the load before it ended."""

    def send(lines: bytes, records: int) -> None:
        raise UncertainError("the connection broke")

    target = Target("account", "host", "project")
    journal = Journal.of(tmp_path, target, KEY).open()
    begun = {"external_id": "x", "fingerprint": "f", "content": "c", "chunking": "k", "mark": "m"}
    journal.note("begin", number=1, **begun)
    stream = ordered_ingest.OrderedIngest("logs", journal, send, lambda: 2, 0)
    assert not stream.resolved
    stream.add(pa.array([b"first\n", b"second\n"]))
    stream.flush()
    assert stream.resolved
    journal.close()
    journal = Journal.of(tmp_path, target, KEY).open()
    assert ordered_ingest.OrderedIngest("logs", journal, send, lambda: 2, 0).resolved
    assert not ordered_ingest.OrderedIngest("data", journal, send, None, 0).resolved
    journal.close()

"""A credential on its way to a worker: in no process list, scheduler's page, task key, log, and no file."""

from __future__ import annotations

import importlib.util
import json
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.jobs.executors import Choice, JobExecutor, LostWorkerError, opened
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.location import Location, options_of
from neptune_exporter.testing import units

TOKEN = "a-token-of-the-test"
STORE = Location.of("s3://bucket/data", options_of(["endpoint_url=http://127.0.0.1:9", f"secret={TOKEN}"]))
"""With a credential that was given by `--storage-option`."""
HAS_DASK = importlib.util.find_spec("distributed") is not None


def assert_no_file_holds_it(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            assert TOKEN.encode() not in path.read_bytes(), path


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_process_lists_and_files_do_not_show_it_under_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    opening = units.Opening("one", tmp_path)
    with opened(Choice("processes", 1), Progress(), threads=1) as executor:
        assert executor.submit(units.token_of, opening).result(60) == TOKEN
        assert executor.submit(units.secret_of_store, STORE).result(60) == TOKEN
        _assert_no_error_shows_it(executor)
        _, pid = executor.submit(units.settings_of, opening).result(60)
        for name in ("cmdline", "environ"):
            assert TOKEN.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()
    assert_no_file_holds_it(tmp_path)


@pytest.mark.skipif(not HAS_DASK, reason="Dask is not installed")
def test_dask_shows_it_nowhere(cluster: Any, scheduler: str, tmp_path: Path) -> None:
    """Neither of a unit that was carried out, nor of one that failed, nor of one whose workers died."""
    opening = units.Opening("one", tmp_path)
    with opened(Choice(scheduler, 2), Progress(), threads=1) as executor:
        assert executor.submit(units.token_of, opening).result(60) == TOKEN
        with pytest.raises(Exception, match="of the token"):
            executor.submit(units.failing_with_token, opening).result(60)
        assert executor.submit(units.secret_of_store, STORE).result(60) == TOKEN
        _assert_no_error_shows_it(executor)
        running = executor.submit(units.waiting_for_file, opening)
        try:
            shown = _shown(cluster)
        finally:
            (tmp_path / "go").touch()
        running.result(60)
        with pytest.raises(LostWorkerError):
            executor.submit(units.killed_with_token, opening).result(120)
        shown += _shown(cluster)
    shown += _shown(cluster)
    assert "token_of" in shown or "_carry_out" in shown, shown[:2_000]  # it is the right place to look
    assert TOKEN not in shown
    assert_no_file_holds_it(Path(cluster.workers[0].local_directory).parent)
    assert_no_file_holds_it(tmp_path)


def _assert_no_error_shows_it(executor: JobExecutor) -> None:
    with pytest.raises(Exception, match="of the secret") as raised:
        executor.submit(units.failing_with_secret_of_store, STORE).result(60)
    assert TOKEN not in str(raised.value) + repr(raised.value)


def _shown(cluster: Any) -> str:
    """What a scheduler keeps for people: keys, transitions, events, logs, and its HTTP pages."""
    from distributed import Client

    scheduler = cluster.scheduler
    parts: list[Any] = [
        *scheduler.tasks,
        [repr(task) for task in scheduler.tasks.values()],
        list(scheduler.transition_log),
        {topic: list(events) for topic, events in scheduler.get_events().items()},
        scheduler.get_logs(),
    ]
    with Client(cluster.scheduler_address) as client:
        parts += [client.get_worker_logs(), client.get_scheduler_logs(), client.story(*scheduler.tasks)]
        parts += [client.run(units.log_of_dask), client.get_task_stream()]
    port = scheduler.http_server.port
    pages = ["info/main/workers.html", "json/counts.json", "metrics"]
    pages += [f"info/task/{urllib.parse.quote(str(key))}.html" for key in scheduler.tasks]
    for page in pages:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=30) as answer:
            parts.append(answer.read().decode())
    return "\n".join(map(str, parts)) + json.dumps([str(key) for key in scheduler.tasks])

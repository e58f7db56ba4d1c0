"""Workers that are killed, and two loads at once: in the end Pluto holds each run whole, and once."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from neptune_exporter.jobs.load import LoadJobOptions, LoadResult, load_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.jobs.verify import verify_sink
from neptune_exporter.testing import units
from neptune_exporter.testing.commands import failpoints
from neptune_exporter.toolkit.failpoints import VARIABLE
from neptune_exporter_pluto.plugin import neptune_exporter_sinks
from neptune_exporter_pluto_server import RehearsalServer

from .conftest import settings_for
from .killed_load import FAILPOINTS
from .test_commands import loaded, standard

(SPEC,) = neptune_exporter_sinks()
KILLED = "its worker process was killed or crashed in the middle of it"
needs_dask = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="Dask is not installed"
)


def load(server: RehearsalServer, folder: Path, executor: str, base: str | None = "state") -> LoadResult:
    """Without a base folder: where the loader keeps its state by itself."""
    base_dir = None if base is None else folder / base
    settings = settings_for(server, base_dir=base_dir, visible_within=0.5)
    return load_runs(SPEC, settings, _options(folder, executor), Progress())


def _options(folder: Path, executor: str) -> LoadJobOptions:
    data, files = folder / "exports/data", folder / "exports/files"
    return LoadJobOptions(data, files, executor=executor, workers=1, verify=False)


def assert_whole(server: RehearsalServer, folder: Path, runs: int, base: str = "state") -> None:
    """Each run once, with everything; what cannot be read back is counted in the server's store."""
    live = loaded(server)
    assert len(live) == runs
    for run in live:
        key = server.key(run.id)
        assert (len(server.store.histograms(key)), server.store.points.rows(key)) == (4, 600)
    settings = settings_for(server, base_dir=folder / base)
    options = _options(folder, "threads")
    result = verify_sink(SPEC, settings, options, full=True, progress=Progress())
    assert result.whole, (result.mismatches, result.failed)


FILES = tuple(point for point in FAILPOINTS if ".file" in point)
"""Files go beside metrics: whoever dies at one may have sent all of the other."""
OTHERS = tuple(point for point in (*FAILPOINTS, *failpoints("load.")) if point not in FILES)


@pytest.mark.parametrize("points", [OTHERS, FILES], ids=["one after another", "of files"])
def test_a_process_that_is_killed_at_every_failpoint(
    server: RehearsalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, points: tuple[str, ...]
) -> None:
    """One run is loaded again and again, and each time its process dies a little later."""
    standard(tmp_path)
    for point in points:
        monkeypatch.setenv(VARIABLE, point)
        failed = load(server, tmp_path, "processes").failed
        assert [message for _, message in failed] == [KILLED], point
    monkeypatch.delenv(VARIABLE)
    assert not load(server, tmp_path, "processes").failed
    assert_whole(server, tmp_path, 1)


@contextlib.contextmanager
def dask_cluster(workers: int = 0, **nanny: Any) -> Iterator[str]:
    import dask
    from distributed import LocalCluster

    patient = dask.config.set({"distributed.deploy.lost-worker-timeout": "10 minutes"})
    with (
        patient,
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            **nanny,
        ) as cluster,
    ):
        yield str(cluster.scheduler_address).replace("tcp://", "dask://")


@contextlib.contextmanager
def dask_worker(address: str, *, folder: Path | None = None, **environment: str) -> Iterator[None]:
    """A worker without a nanny: once it is dead it stays dead. In a working folder of its own."""
    if folder is not None:
        folder.mkdir()
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address.replace("dask://", "tcp://")]
    options = ["--no-nanny", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1"]
    with subprocess.Popen(
        [*command, *options], env={**os.environ, **environment}, cwd=folder, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield
        finally:
            process.kill()


def wait_for_workers(address: str, number: int) -> None:
    from distributed import Client

    with Client(address.replace("dask://", "tcp://")) as client:
        client.wait_for_workers(number, timeout=60)


@needs_dask
def test_another_worker_of_dask_ends_what_a_killed_one_began(server: RehearsalServer, tmp_path: Path) -> None:
    standard(tmp_path)
    with dask_cluster() as address, contextlib.ExitStack() as workers:
        workers.enter_context(dask_worker(address, **{VARIABLE: "pluto.metrics-sent"}))
        wait_for_workers(address, 1)
        with ThreadPoolExecutor(1) as beside:
            begun = beside.submit(load, server, tmp_path, address, None)
            workers.enter_context(dask_worker(address, folder=tmp_path / "elsewhere"))
            result = begun.result(120)
    assert len(result.loaded) == 1 and not result.failed
    assert_whole(server, tmp_path, 1, "exports/data/.neptune-exporter")


@needs_dask
def test_workers_that_nannies_start_again_and_again_cost_the_run_until_the_next_load(
    server: RehearsalServer, tmp_path: Path
) -> None:
    standard(tmp_path)
    with dask_cluster(1, env={VARIABLE: "pluto.data-sent"}) as address:
        ((_, message),) = load(server, tmp_path, address).failed
    assert message == "its worker was killed or crashed in the middle of it, each time it was tried"
    with dask_cluster(1) as address:
        assert len(load(server, tmp_path, address).loaded) == 1
    assert_whole(server, tmp_path, 1)


@needs_dask
def test_two_loads_at_once_that_share_no_disk_end_with_one_whole_run_each(
    server: RehearsalServer, tmp_path: Path
) -> None:
    standard(tmp_path, runs=2)
    server.latency = 0.02
    with dask_cluster(2) as address, ThreadPoolExecutor(2) as jobs:
        both = [jobs.submit(load, server, tmp_path, address, base) for base in ("one", "two")]
        results = [job.result(120) for job in both]
        for key, message in (failure for result in results for failure in result.failed):
            assert "another machine has begun to load it" in message, (key, message)
        server.latency = 0.0
        again = [load(server, tmp_path, address, base) for base in ("one", "two")]
    assert [len(result.already_loaded) for result in again] == [2, 2]
    assert sum(len(result.loaded) for result in results) == 2
    for base in ("one", "two"):
        assert_whole(server, tmp_path, 2, base)


@needs_dask
def test_the_key_of_pluto_is_in_no_key_log_or_event_of_dask(server: RehearsalServer, tmp_path: Path) -> None:
    from distributed import Client

    standard(tmp_path)
    with dask_cluster(1, local_directory=str(tmp_path / "dask")) as address:
        assert load(server, tmp_path, address).loaded
        with Client(address.replace("dask://", "tcp://")) as client:
            shown = [client.get_events(), client.get_scheduler_logs(), client.get_worker_logs()]
            shown += [client.get_task_stream(), client.run(units.log_of_dask)]
    key = server.api_key
    assert key and key not in str(shown) and "_carry_out" in str(shown)
    files = [path for path in (tmp_path / "dask").rglob("*") if path.is_file()]
    assert not any(key.encode() in path.read_bytes() for path in files)

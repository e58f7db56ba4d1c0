"""A dataset in a bucket under executors of several processes: the same as threads and a folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from neptune_exporter_pluto_server import RehearsalServer

from .store_server import StoreServer
from .test_executors import by_threads, exported, loaded_by, server
from .test_export_crashes import arguments, assert_same, undisturbed
from .test_object_store import PLACES, bucket, holdings, store

__all__ = ["bucket", "by_threads", "exported", "server", "store", "undisturbed"]

pytest.importorskip("moto")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """A scheduler of Dask whose two workers know nothing of the bucket."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        local_directory=str(tmp_path / "dask"),
        silence_logs=logging.CRITICAL,
    ) as started:
        yield str(started.scheduler_address).replace("tcp://", "dask://")


def test_processes_work_on_a_bucket(  # type: ignore[no-untyped-def]
    store, bucket, offline_folder, undisturbed, command_line, by_threads, server: RehearsalServer
):
    """From the export to the comparison of every value, as from a folder with threads."""
    executor = ("--executor", "processes", "-j", "1")
    command_line.run(*arguments(offline_folder, *PLACES, *executor))
    assert_same(holdings(bucket), undisturbed)
    assert loaded_by(executor, command_line, server, PLACES) == by_threads
    assert not list(command_line.folder.rglob("*.parquet")), "nothing of it lies on this machine"


def test_workers_of_a_cluster_get_the_options_of_the_store_with_their_units(  # type: ignore[no-untyped-def]
    cluster: str, store: StoreServer, bucket, offline_folder, undisturbed, command_line, by_threads, server
):
    """Their environment has nothing of it: they were started before the store."""
    pairs = (f"endpoint_url={store.url}", "key=key-of-options", "secret=secret-of-options")
    places = (*PLACES, *(text for pair in pairs for text in ("--storage-option", pair)))
    executor = ("--executor", cluster, "-j", "2")
    wrong = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    command_line.run(*arguments(offline_folder, *places, *executor), **wrong)
    assert_same(holdings(bucket), undisturbed)
    assert loaded_by(executor, command_line, server, places) == by_threads

"""A Dask cluster on this machine that goes on from job to job."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Its scheduler lives in this process, its two workers have processes of their own."""
    import dask
    from distributed import LocalCluster

    # On a busy machine, Dask gives a worker that a test has killed up for good after 15 s.
    stays = dask.config.set({"distributed.deploy.lost-worker-timeout": "365 days"})
    with (
        stays,
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            local_directory=str(tmp_path_factory.mktemp("dask")),
            silence_logs=logging.CRITICAL,
        ) as started,
    ):
        yield started


@pytest.fixture(scope="session")
def scheduler(cluster: Any) -> str:
    """As `dask://HOST:PORT`."""
    return str(cluster.scheduler_address).replace("tcp://", "dask://")

"""Data for measuring: many runs, each with the same shape."""

from __future__ import annotations

import numpy as np

from neptune_exporter_neptune2_server.attributes import EPOCH_MS, Attribute, Float, FloatSeries, Int, String
from neptune_exporter_neptune2_server.project import FakeProject
from neptune_exporter_neptune2_server.wire import NonFinite, series_page

_DISTINCT_SERIES, _DISTINCT_POINTS = 40, 2_000_000
"""How much really differs. The runs share it, so that the serialised pages stay small in memory."""


def synthetic_project(runs: int, series: int, points: int, parameters: int = 20) -> FakeProject:
    """`runs` runs with `parameters` numbers and texts, and `series` float series of `points` points."""
    random = np.random.default_rng(7)
    pool = []
    distinct = max(1, min(_DISTINCT_SERIES, _DISTINCT_POINTS // max(points, 1)))
    for index in range(min(distinct, runs * series)):
        values = np.cumsum(random.normal(size=points))
        pool.append(FloatSeries(values, timestamps=EPOCH_MS + 250 * np.arange(points) + index))
    project = FakeProject("synthetic", "benchmark", "BENCH")
    for run in range(runs):
        added = project.add_run()
        for index in range(parameters):
            path = f"parameters/p{index:04d}"
            kinds: tuple[Attribute, ...] = (Float(run + index / 7), Int(index), String(f"value {index}"))
            added[path] = kinds[index % 3]
        for index in range(series):
            added[f"metrics/m{index:04d}"] = pool[(run * series + index) % len(pool)]
    return project


def prepare(project: FakeProject, page_limit: int, mode: NonFinite = "text") -> None:
    """Serialise all pages now, so that a measurement does not wait for it."""
    for container in project.everything():
        for attribute in container.attributes.values():
            if isinstance(attribute, FloatSeries):
                for offset in range(0, max(1, len(attribute)), page_limit):
                    series_page(attribute, offset, page_limit, mode)

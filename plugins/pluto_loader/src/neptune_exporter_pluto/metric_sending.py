"""Sends requests with metrics, and finds out about those that were under way when a load was killed.

Pluto's charts keep one point a step, so repeating points is harmless, but Pluto stores every row that it gets
until it merges them. So the journal says which requests are under way, and a load that goes on asks Pluto how
far each of those came, and sends the rest. The ingest takes the lines of a request in order, one after the
other, and keeps those that it took when the connection breaks (pluto-server,
`ingest/src/processors/stream.rs`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import orjson

from neptune_exporter.toolkit import failpoint
from neptune_exporter_pluto.form.metric_lines import Body
from neptune_exporter_pluto.form.values import times_of
from neptune_exporter_pluto.service.pipeline import Pipeline, settled
from neptune_exporter_pluto.state.journal import Journal

_MOST_ROWS = 1_000
_MOST_NAMES = 50
"""A line with more names is sent again, without a check of each name."""
_EXACT = 2**53
"""Up to here, Pluto's API reads steps exactly."""

ReadPoints: TypeAlias = "Callable[[str, int, int, int], tuple[list[dict[str, Any]], bool]]"
"""Stored rows of a metric from a step to a step, and how many at most: see `PlutoApi.raw_points`."""


def send_bodies(
    bodies: Iterator[Body],
    journal: Journal,
    pipeline: Pipeline,
    send: Callable[[bytes, int], None],
    read: ReadPoints,
    patience: float,
) -> None:
    """Post everything that Pluto has not acknowledged.

    Args:
        send: Posts lines with this many points.
        patience: Seconds to wait until what has arrived can be read back.
    """
    progress = journal.current
    assert progress is not None  # a journal is opened before anything is sent
    uncertain = dict(progress.metrics_sending)

    def post(number: int, body: Body) -> None:
        if number in uncertain:
            body = _not_arrived(body, uncertain[number], read, patience)
        if body.points:
            journal.note("metrics-sending", body=number, at=time.time())
            failpoint("pluto.metrics-announced")
            send(body.lines, body.points)
            failpoint("pluto.metrics-sent")
        journal.note("metrics", body=number)

    try:
        for number, body in enumerate(bodies):
            if number not in progress.metric_bodies:
                pipeline.submit(post, number, body)
        pipeline.drain()
    finally:
        pipeline.settle()


def _not_arrived(body: Body, begun: float, read: ReadPoints, patience: float) -> Body:
    """The lines of a request that Pluto lacks, including a line of which it may have a part."""
    lines = body.lines.splitlines(keepends=True)
    records = [orjson.loads(line) for line in lines]
    there = 0

    def arrived() -> int:
        nonlocal there
        low, high = there, len(lines)
        if low < high and not _is_there(records[low], read, names=1):
            return there
        while low < high:  # all before `low` are there
            middle = (low + high) // 2
            if _is_there(records[middle], read, names=1):
                low = middle + 1
            else:
                high = middle
        there = low
        return there

    is_old = not 0 <= time.time() - begun < patience
    count = arrived() if is_old else settled(arrived, len(lines), patience)
    if count and not _is_there(records[count - 1], read, names=_MOST_NAMES):
        count -= 1
    return Body(b"".join(lines[count:]), sum(len(record["data"]) for record in records[count:]))


def _is_there(record: dict[str, Any], read: ReadPoints, names: int) -> bool:
    """Whether Pluto has the first points of a line, or all points if the line has few names."""
    step = record["step"]
    if step > _EXACT or (names > 1 and len(record["data"]) > names):
        return False
    for name in list(record["data"])[:names]:
        rows, _ = read(name, step, step, _MOST_ROWS)
        if record["time"] not in times_of(rows).tolist():
            return False
    return True

"""What a load that goes on sends of a metric request that was cut off: what Pluto lacks, and hardly more."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from neptune_exporter_pluto.form.metric_lines import Body
from neptune_exporter_pluto.metrics import _not_arrived

LINES = 20
NAMES = ("loss", "accuracy", "rate")


def record(step: int, names: tuple[str, ...] = NAMES) -> dict[str, Any]:
    return {"time": 1_000 + step, "step": step, "data": dict.fromkeys(names, step / 2)}


def body(names: tuple[str, ...] = NAMES, first: int = 0) -> Body:
    lines = [orjson.dumps(record(first + step, names)) + b"\n" for step in range(LINES)]
    return Body(b"".join(lines), LINES * len(names))


class Stored:
    """Pluto's rows of one run: of each name, (step, time)."""

    def __init__(self) -> None:
        self.rows: set[tuple[str, int, int]] = set()
        self.reads = 0

    def take(self, sent: bytes, points: int | None = None) -> None:
        """All points of these lines, or the first so many of them."""
        found = [(n, r["step"], r["time"]) for r in map(orjson.loads, sent.splitlines()) for n in r["data"]]
        self.rows |= set(found[:points])

    def read(self, name: str, low: int, high: int, limit: int) -> tuple[list[dict[str, Any]], bool]:
        self.reads += 1
        found = [t for n, s, t in sorted(self.rows) if n == name and low <= s <= high]
        return [{"time": f"1970-01-01 00:00:{t / 1000:06.3f}"} for t in found[:limit]], False


@pytest.mark.parametrize("points", range(LINES * len(NAMES) + 1))
def test_the_rest_of_a_request_is_sent(points: int) -> None:
    """However much of it arrived; a line that arrived in part is sent again as a whole."""
    sent, stored = body(), Stored()
    stored.take(sent.lines, points)
    rest = _not_arrived(sent, time.time() - 100, stored.read, patience=10)
    whole = points // len(NAMES)
    assert rest.lines == b"".join(sent.lines.splitlines(keepends=True)[whole:])
    assert rest.points == (LINES - whole) * len(NAMES)
    assert stored.reads < 20, "it asked for every line"


def test_what_arrives_meanwhile_is_waited_for() -> None:
    sent, stored = body(), Stored()

    def read(*asked: Any) -> tuple[list[dict[str, Any]], bool]:
        answer = stored.read(*asked)
        stored.take(sent.lines, 3 * stored.reads)
        return answer

    assert _not_arrived(sent, time.time(), read, patience=0.5).points == 0


def test_other_points_of_the_step_are_not_taken_for_these() -> None:
    """Another time: of two points of one step Pluto stores both."""
    sent, stored = body(), Stored()
    stored.rows = {(name, step, 7) for name in NAMES for step in range(LINES)}
    assert _not_arrived(sent, 0, stored.read, patience=0) == sent


def test_what_cannot_be_asked_for_is_sent_again() -> None:
    """Pluto's API rounds steps above 2**53; a line with many names is not asked for name by name."""
    far, stored = body(first=2**53 + 1), Stored()
    stored.take(far.lines)
    assert _not_arrived(far, 0, stored.read, patience=0) == far
    wide = body(tuple(f"m{i}" for i in range(60)))
    stored.take(wide.lines)
    rest = _not_arrived(wide, 0, stored.read, patience=0)
    assert rest == Body(wide.lines.splitlines(keepends=True)[-1], 60)

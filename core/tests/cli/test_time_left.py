"""The time left counts down, follows what changes, and never jumps."""

from __future__ import annotations

import random

import pytest

from neptune_exporter.cli.time_left import TimeLeft, in_words


def shown(durations: list[float], workers: int = 1) -> list[tuple[float, float]]:
    """Seconds shown, each second, while runs of these durations are done by so many workers."""
    ends: list[float] = []
    free = [0.0] * workers
    for duration in durations:
        at = min(range(workers), key=free.__getitem__)
        free[at] += duration
        ends.append(free[at])
    ends.sort()
    left, found, done = TimeLeft(0.0), [], 0
    for second in range(1, int(ends[-1]) + 1):
        while done < len(ends) and ends[done] <= second:
            done += 1
            left.advance(done, ends[done - 1])
        if (seconds := left.seconds(len(ends), float(second))) is not None:
            found.append((ends[-1] - second, seconds))
    return found


def jumps(found: list[tuple[float, float]]) -> float:
    """The largest change from one second to the next, beyond counting down, as a part of what was shown."""
    pairs = [(found[i][1], found[i + 1][1]) for i in range(len(found) - 1)]
    return max(abs(after - before + 1) / max(before, 60.0) for before, after in pairs)


def test_even_work_counts_down_to_its_end() -> None:
    found = shown([2.0] * 300)
    assert all(abs(true - told) <= 0.05 * true + 3 for true, told in found)
    assert jumps(found) < 0.02


@pytest.mark.parametrize("workers", [1, 4])
def test_uneven_work_does_not_jump(workers: int) -> None:
    lengths = [random.Random(7).choice([0.2, 1, 5, 30]) for _ in range(300)]
    found = shown(lengths, workers)
    assert jumps(found) < 0.25
    middle = found[len(found) // 2]
    assert middle[1] == pytest.approx(middle[0], rel=0.5)


def test_long_runs_do_not_make_it_endless() -> None:
    found = shown([600.0] * 10)
    assert jumps(found) < 0.1
    assert max(told for _, told in found) < 2 * 6_000


def test_a_change_of_speed_is_followed() -> None:
    found = shown([0.1] * 600 + [2.0] * 400)
    at = next(i for i, (true, _) in enumerate(found) if true < 400)
    assert found[at][1] == pytest.approx(found[at][0], rel=0.35)
    assert jumps(found) < 0.25


def test_nothing_is_said_before_anything_is_known() -> None:
    left = TimeLeft(0.0)
    assert left.text(10, 60.0) == ""
    left.advance(1, 61.0)
    assert left.text(10, 61.0) == "9 min left"
    assert TimeLeft(0.0).text(10, 1.0) == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "5 s"),
        (42, "40 s"),
        (57, "55 s"),
        (58, "1 min"),
        (750, "12 min"),
        (3_600, "1 h 0 min"),
        (7_900, "2 h 10 min"),
        (200_000, "2 d 8 h"),
    ],
)
def test_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words

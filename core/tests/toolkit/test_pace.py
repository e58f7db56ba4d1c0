"""The least rate of answers, with a clock of the test's own."""

from __future__ import annotations

import pytest

from neptune_exporter.toolkit import SlowError, longest_wait, pace, waiting_for


def came(monkeypatch: pytest.MonkeyPatch, sizes: list[int], every: float) -> None:
    """Count pieces of these sizes that come so many seconds apart, in spans of a minute."""
    now = [0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    answer = pace.Pace(60)
    assert answer.left() is None  # until an answer begins, the timeout of the client counts
    for size in [0, *sizes]:
        answer.add(size)
        assert (answer.left() or 0) > 0
        now[0] += every


def test_a_drip_ends_after_the_first_span(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SlowError, match="only 120 bytes in 60 s"):
        came(monkeypatch, [1] * 1000, 0.5)


def test_a_fast_beginning_does_not_pay_for_a_drip(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SlowError):
        came(monkeypatch, [10**6] * 100 + [1] * 1000, 1.0)


def test_a_slow_line_and_a_small_answer_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for sizes, every in (([200] * 1000, 1.0), ([1] * 50, 1.0), ([10_000] * 50, 59.0), ([], 1.0)):
        came(monkeypatch, sizes, every)


def test_what_is_waited_for_longest_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert longest_wait() is None
    with waiting_for("the first"), waiting_for("the second"):
        found = longest_wait()
        assert found is not None and found[0] == "the first" and found[1] >= 0
        assert longest_wait(3600) is None
    assert longest_wait() is None

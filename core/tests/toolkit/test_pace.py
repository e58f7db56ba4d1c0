"""The least rate of answers, with a clock of the test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from neptune_exporter.toolkit import SlowError, longest_wait, pace, paced, waiting_for


def chunks(monkeypatch: pytest.MonkeyPatch, sizes: list[int], every: float) -> Iterator[bytes]:
    """Pieces of these sizes, so many seconds apart."""
    now = [0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])

    def come() -> Iterator[bytes]:
        for size in sizes:
            now[0] += every
            yield bytes(size)

    return come()


def test_a_drip_ends_after_the_first_span(monkeypatch: pytest.MonkeyPatch) -> None:
    came: list[bytes] = []
    with pytest.raises(SlowError, match="only 120 bytes in 60 s"):
        came.extend(paced(chunks(monkeypatch, [1] * 1000, 0.5), 60))


def test_a_fast_beginning_does_not_pay_for_a_drip(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SlowError):
        list(paced(chunks(monkeypatch, [10**6] * 100 + [1] * 1000, 1.0), 60))


def test_a_slow_line_and_a_small_answer_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for sizes, every in (([200] * 1000, 1.0), ([1] * 50, 1.0), ([10_000] * 50, 59.0), ([], 1.0)):
        came = list(paced(chunks(monkeypatch, sizes, every), 60))
        assert [len(chunk) for chunk in came] == sizes


def test_what_is_waited_for_longest_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert longest_wait() is None
    with waiting_for("the first"), waiting_for("the second"):
        found = longest_wait()
        assert found is not None and found[0] == "the first" and found[1] >= 0
        assert longest_wait(3600) is None
    assert longest_wait() is None

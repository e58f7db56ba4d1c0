"""What fails for everything costs a few patiences; what fails for one thing costs the others nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from neptune_exporter.contract import SourceError
from neptune_exporter.toolkit import Patience, Streaks, TransientError
from neptune_exporter.toolkit import streaks as module
from neptune_exporter.toolkit.streaks import PATIENT, TRIED

PATIENCE = Patience(60, 0, 0)


class Server:
    """Fails while it is told to, after a time at which a clock of its own looks."""

    def __init__(self, streaks: Streaks) -> None:
        self.streaks = streaks
        self.is_away = True
        self.takes = 0.0
        self.now = 1000.0
        self.attempts = 0

    def monotonic(self) -> float:
        return self.now

    def attempt(self) -> str:
        self.attempts += 1
        self.now += self.takes
        if self.is_away:
            raise TransientError("HTTP 503")
        return "done"

    def ask(self, kind: str = "series") -> int:
        """Ask for one thing, patience being three attempts. Gives how many it took, below 0 if in vain."""
        before = self.attempts

        def three_times(patience: Patience) -> str:
            for _ in range(2 if patience.seconds else 0):
                try:
                    return self.attempt()
                except TransientError:
                    continue
            return self.attempt()

        try:
            self.streaks.call(kind, three_times)
        except TransientError as error:
            self.error = error
            return before - self.attempts
        return self.attempts - before


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server(Streaks(PATIENCE))
    monkeypatch.setattr(module, "time", server)
    return server


def test_after_a_few_in_a_row_each_is_tried_once(server: Server) -> None:
    assert [server.ask() for _ in range(1000)] == [-3] * PATIENT + [-1] * (1000 - PATIENT)
    assert str(server.error) == "HTTP 503"
    assert server.streaks.length("series") == 1000
    assert server.ask("attributes") == -3  # another kind


def test_a_success_is_followed_by_full_patience(server: Server) -> None:
    for _ in range(PATIENT + 1):
        server.ask()
    server.is_away = False
    assert server.ask() == 1 and server.streaks.length("series") == 0
    server.is_away = True
    assert server.ask() == -3


def test_what_the_server_refuses_is_no_part_of_a_streak(server: Server) -> None:
    def refuse(_: Patience) -> None:
        raise SourceError("HTTP 404")

    for _ in range(PATIENT):
        with pytest.raises(SourceError, match="404"):
            server.streaks.call("series", refuse)
    assert server.ask() == -3


def hang(server: Server) -> list[int]:
    server.takes = 10.0
    return [server.ask() for _ in range(1000)]


def test_a_server_that_hangs_is_not_waited_for_at_each_thing(server: Server) -> None:
    asked = hang(server)
    # The last one is what is asked now and then: time passes only where something else is done.
    assert asked == [-3] * PATIENT + [-1] * (TRIED - PATIENT + 1) + [0] * (1000 - TRIED - 1)
    assert server.error.attempts == 0
    assert str(server.error) == f"not tried, as {TRIED + 1} before it failed in a row: HTTP 503"


@pytest.mark.parametrize("is_well", [True, False])
def test_now_and_then_one_is_tried_to_see_whether_all_is_well_again(server: Server, is_well: bool) -> None:
    hang(server)
    server.now += PATIENCE.seconds
    server.is_away = not is_well
    assert [server.ask() for _ in range(3)] == ([1, 1, 1] if is_well else [-1, 0, 0])


def by_project(server: Server) -> None:
    server.streaks.renew()


@pytest.mark.parametrize(("begin", "asked"), [(by_project, -1), (lambda _: None, 0)])
def test_each_thing_of_another_project_is_tried(
    server: Server, begin: Callable[[Server], None], asked: int
) -> None:
    hang(server)
    begin(server)
    assert [server.ask() for _ in range(3)] == [asked] * 3

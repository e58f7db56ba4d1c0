"""Units of work that workers in other processes can import."""

from __future__ import annotations

import logging
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neptune_exporter.contract import Secret, SourceError
from neptune_exporter.interruption import pause
from neptune_exporter.jobs.executors import Worker
from neptune_exporter.location import Location

_log = logging.getLogger("neptune_exporter.test")


class Opened:
    """What units share. Notes in a file what becomes of it."""

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        self._note("opened")

    def close(self) -> None:
        self._note("closed")

    def interrupt(self) -> None:
        self._note("interrupted")

    def _note(self, what: str) -> None:
        with (self.opening.folder / "notes.txt").open("a") as notes:
            notes.write(f"{what} {self.opening.settings}\n")


@dataclass(frozen=True)
class Opening:
    """As of a plugin with these settings."""

    settings: str
    folder: Path
    token: Secret = field(default=Secret("a-token-of-the-test"))

    def open(self) -> Opened:
        return Opened(self)


def settings_of(opening: Opening, worker: Worker) -> tuple[str, int]:
    """The settings of what the worker keeps for these, and its process."""
    return worker.kept(opening).opening.settings, os.getpid()


def token_of(opening: Opening, worker: Worker) -> str:
    return worker.kept(opening).opening.token.reveal()


def secret_of_store(location: Location, worker: Worker) -> str:
    return str(location.given()["secret"])


def failing_with_secret_of_store(location: Location, worker: Worker) -> None:
    raise ValueError(f"of the secret {secret_of_store(location, worker)}")


def failing_with_token(opening: Opening, worker: Worker) -> None:
    """As a client does that quotes its credentials."""
    raise ValueError(f"of the token {opening.token.reveal()}")


def killed_with_token(opening: Opening, worker: Worker) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def waiting_for_file(opening: Opening, worker: Worker) -> None:
    """Goes on until there is a file `go`."""
    while not (opening.folder / "go").exists():
        time.sleep(0.02)


def log_of_dask(dask_worker: Any) -> list[str]:
    """What a worker of Dask remembers of its tasks; Dask gives the worker by the name of the argument."""
    state = dask_worker.state
    return [str(each) for each in state.log] + [repr(task) for task in state.tasks.values()]


def told(text: str, worker: Worker) -> None:
    worker.progress.advance(runs=1, rows=2, bytes=3)
    _log.info("%s", text)


def told_while_running(folder: Path, worker: Worker) -> None:
    """Goes on until the job says that it has heard."""
    worker.progress.advance(rows=7)
    while not (folder / "heard").exists():
        time.sleep(0.02)


def failing(text: str, worker: Worker) -> None:
    raise SourceError(text)


def failing_once(folder: Path, worker: Worker) -> int:
    """Counts how often it was called, and fails the first time."""
    calls = folder / "calls"
    with calls.open("a") as file:
        file.write("x")
    if calls.stat().st_size == 1:
        raise SourceError("the first time")
    return calls.stat().st_size


def waiting(folder: Path, worker: Worker) -> None:
    """As for a server that asks for minutes."""
    (folder / "waiting").touch()
    pause(600)


def hanging(folder: Path, worker: Worker) -> None:
    """As in a request without an answer: nothing ends it."""
    (folder / "waiting").touch()
    time.sleep(600)


def killed(folder: Path, worker: Worker) -> None:
    with (folder / "killed").open("a") as file:
        file.write("x")
    os.kill(os.getpid(), signal.SIGKILL)

"""Runs `neptune-exporter` in processes of their own, to be killed at failpoints, without a start-up each.

The processes are forked from a server process that has imported everything and
started no thread (multiprocessing's fork server), so a command costs only what it does.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

_preloaded = [
    "neptune_exporter.testing.commands",
    "neptune_exporter.cli.app",
    "neptune_exporter.jobs.export",
    "neptune_exporter.jobs.load",
    "neptune_exporter.jobs.verify",
    "pandas",  # which pyarrow imports at its first use, if it is there
]
_FOREIGN = ("NEPTUNE", "PLUTO", "MLOP", "MLFLOW", "WANDB")


def failpoints(prefix: str) -> list[str]:
    """The failpoints in core whose names begin like this."""
    sources = Path(__file__).parents[1].rglob("*.py")
    found = {name for path in sources for name in re.findall(r'failpoint\("([\w.-]+)"\)', path.read_text())}
    return sorted(name for name in found if name.startswith(prefix))


def preload(*modules: str) -> None:
    """Import more modules ahead of time, such as the plugin under test and its SDK.

    To be called while tests are collected, as a `conftest.py` is: when the first process
    is started, all that are to come get what is known then.
    """
    _preloaded.extend(modules)


def fork(target: Callable[..., object], *arguments: object, daemon: bool = True) -> BaseProcess:
    """Start a process that has imported everything.

    Args:
        daemon: It ends with this one at the latest, and cannot start processes with multiprocessing.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_preloaded)
    process = context.Process(target=target, args=arguments, daemon=daemon)
    process.start()
    return process


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    exit_code: int
    """Below 0: the signal that killed it."""
    output: str
    """What it wrote to stdout and stderr."""


@dataclass(frozen=True)
class CommandLine:
    """`neptune-exporter` in a folder, with an environment that has nothing of the tool's or the vendors'."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 120.0
    """A command that takes longer is killed."""

    def run(self, *arguments: str, expect: int | None = 0, **environment: str) -> Done:
        """Run a command to its end.

        Args:
            arguments: As on the command line.
            expect: The exit code that it must have; None for any.
            environment: More variables.

        Raises:
            AssertionError: another exit code; with what the command wrote.
        """
        process = self._start(arguments, environment)
        try:
            process.join(self.seconds)
        finally:
            done = self._end(process)
        if expect is not None and done.exit_code != expect:
            raise AssertionError(f"exit code {done.exit_code}, not {expect}:\n{done.output}")
        return done

    def _start(self, arguments: Sequence[str], environment: Mapping[str, str]) -> BaseProcess:
        variables = {**clean_environment(), **self.environment, **environment}
        return fork(_run, arguments, str(self.folder), variables, str(self._output), daemon=False)

    def _end(self, process: BaseProcess) -> Done:
        """Kill it if it has not ended."""
        if process.exitcode is None:
            process.kill()
            process.join()
        output = self._output.read_text() if self._output.exists() else ""
        return Done(process.exitcode or 0, output)

    @property
    def _output(self) -> Path:
        return self.folder / "output.txt"

    def run_until_killed(self, failpoint: str, *arguments: str, **environment: str) -> None:
        """Run a command that must be killed at a failpoint (`name` or `name:count`).

        Raises:
            AssertionError: it never passed there; with what it wrote.
        """
        done = self.run(*arguments, expect=None, NEPTUNE_EXPORTER_FAILPOINT=failpoint, **environment)
        if done.exit_code != -signal.SIGKILL:
            raise AssertionError(f"{failpoint} was never passed; exit code {done.exit_code}:\n{done.output}")

    def run_until_interrupted(
        self, when: Callable[[], bool], *arguments: str, number: signal.Signals = signal.SIGINT
    ) -> Done:
        """Run a command that gets a signal, by default that of Ctrl-C, when something is so.

        Raises:
            AssertionError: it ended before; with what it wrote.
        """
        process = self._start(arguments, {})
        deadline = time.monotonic() + self.seconds
        while not when():
            if not process.is_alive() or time.monotonic() > deadline:
                done = self._end(process)
                raise AssertionError(f"exit code {done.exit_code} before the signal:\n{done.output}")
            time.sleep(0.002)
        os.kill(process.pid or 0, number)
        process.join(self.seconds)
        return self._end(process)

    def run_killed_at_random(
        self,
        *arguments: str,
        kills: int,
        chance: random.Random,
        published: Callable[[], int],
        expect: int = 0,
    ) -> list[int]:
        """Run a command that is killed at random moments: at once, or just after it has published more.

        Args:
            arguments: As on the command line.
            kills: How often it is run to be killed.
            chance: Gives the moments.
            published: How many runs can be seen now.
            expect: The exit code of one that ends before it is killed.

        Returns:
            How many runs could be seen after each kill.

        Raises:
            AssertionError: it failed by itself; with what it wrote.
        """
        seen = []
        for _ in range(kills):
            before, at_once = published(), chance.random() < 0.3
            process = self._start(arguments, {})
            deadline = time.monotonic() + self.seconds
            while not at_once and process.is_alive() and published() == before:
                if time.monotonic() > deadline:
                    break
                time.sleep(0.002)
            process.join(chance.uniform(0.0, 0.5 if at_once else 0.05))
            done = self._end(process)
            if done.exit_code not in (expect, -signal.SIGKILL):
                raise AssertionError(f"exit code {done.exit_code}:\n{done.output}")
            seen.append(published())
        return seen


def clean_environment() -> dict[str, str]:
    """This process's environment without what would configure the tool or a vendor's client."""
    return {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}


def _run(arguments: Sequence[str], folder: str, environment: Mapping[str, str], output: str) -> None:
    from neptune_exporter.cli import main
    from neptune_exporter.toolkit import failpoints

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    failpoints.arm(environment.get(failpoints.VARIABLE, ""))
    stream = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    sys.argv = ["neptune-exporter", *arguments]
    sys.exit(main())

"""What takes the content of a run and writes it as W&B has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from neptune_exporter.contract import ParameterValue
from neptune_exporter.sinks.metadata import RunMetadata
from neptune_exporter.sinks.points import Points
from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter_wandb.console import ConsoleLine


@dataclass(frozen=True)
class RunStart:
    """What is known of a run before its content."""

    run: RunMetadata
    run_id: str
    """How W&B calls the run."""
    project: str
    """With entity and group: where the run goes in W&B."""
    entity: str
    group: str
    multiplier: Multiplier


class RunOutput(Protocol):
    """One run of W&B that is being written."""

    shows_console: bool
    """Whether `print` has a place for lines with the time at which they were printed."""

    @property
    def files(self) -> Path:
        """The folder for the files of the run."""

    @property
    def rows(self) -> int:
        """How many rows the history has so far."""

    @property
    def losses(self) -> Mapping[str, int]:
        """What has no place, by reason; see `losses.MESSAGES`."""

    def configure(self, values: Mapping[str, ParameterValue]) -> None:
        """Add to the config."""

    def define(self, name: str) -> None:
        """Let charts of a series have Neptune's steps as their x axis."""

    def points(self, names: Sequence[str], points: Points) -> None:
        """Write points that are in the order of steps and times. All `names` are defined already."""

    def show(self, name: str, value: Mapping[str, Any], step: int | None, time: int) -> None:
        """Write a row with one value that has parts.

        Args:
            step: Multiplied; None for a row that has none.
            time: In ms since 1970.
        """

    def print(self, line: ConsoleLine) -> None:
        """Show a line of the console on the page Logs."""

    def finish(self, paths: Sequence[str]) -> None:
        """Write what only the end knows.

        Args:
            paths: Of all files to send, within the folder `files`.
        """

    def close(self) -> None:
        """Let go of the files, whatever has been written."""


OpenOutput = Callable[[Path, RunStart], RunOutput]
"""Begins a run in its folder, which is there and empty."""

"""The loader for versions of wandb whose files are not known: wandb's SDK writes them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from neptune_exporter.contract import ExportedRun, LoadedRun
from neptune_exporter_wandb import inspecting
from neptune_exporter_wandb.loader import WandbLoader
from neptune_exporter_wandb.records import Record
from neptune_exporter_wandb.sdk_output import SdkOutput, sdk_session
from neptune_exporter_wandb.settings import CAPABILITIES
from neptune_exporter_wandb.writing import RunStart, RunWriter

_log = logging.getLogger(__name__)


class SdkLoader(WandbLoader):
    """Loads one run at a time.

    Args:
        reason: Why wandb must write itself.
    """

    # Its SDK takes steps as numbers of Python, of which those with a fraction have 53 bits. What its reader
    # shows has no -0.0.
    capabilities = replace(CAPABILITIES, lowest_step=-(2**53), highest_step=2**53, signed_zeros=False)
    _one_at_a_time: ClassVar = threading.Lock()

    def __init__(self, reason: str, *args: Any) -> None:
        super().__init__(*args)
        self._reason = reason
        _log.warning("%s: runs are written by wandb's SDK, which is slower and stores no start time", reason)

    def open_writer(self, folder: Path, start: RunStart) -> RunWriter:
        return SdkOutput(folder, start)

    def read_records(self, folder: Path, run_id: str) -> Iterator[Record]:
        return inspecting.read(folder, run_id)

    def load(self, run: ExportedRun, parent: LoadedRun | None) -> LoadedRun:
        with self._one_at_a_time, sdk_session():
            try:
                return super().load(run, parent)
            finally:
                self.close()  # what a failure has left open

    def closing_report(self) -> Mapping[str, str | int]:
        report = super().closing_report()
        return {**report, "written by wandb's SDK, as": self._reason} if report else report

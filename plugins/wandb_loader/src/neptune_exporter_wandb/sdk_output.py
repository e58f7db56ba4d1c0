"""Writes a run through wandb's public SDK, for versions whose files are not known.

Seen with wandb 0.30.0 and 0.31.0, offline: every row whose `step` grows is kept, with `_timestamp` as given,
NaN, infinities and -0.0. `_runtime` and the start of the run are those of the load. Dicts arrive as they are
logged. `wandb.teardown` waits until the file is whole, and ends every run of the process.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from neptune_exporter.contract import ParameterValue, SinkError
from neptune_exporter.sinks.points import Points
from neptune_exporter.sinks.received import Entries
from neptune_exporter.sinks.texts import console_stream
from neptune_exporter.sinks.values import as_json
from neptune_exporter_wandb.naming import about, tags_of
from neptune_exporter_wandb.rows import STEP, in_rows
from neptune_exporter_wandb.steps import step_texts
from neptune_exporter_wandb.undisturbed import wandb
from neptune_exporter_wandb.writing import (
    CONSOLE_PAGE,
    START_TIME,
    STEP_AXIS,
    ConsoleLine,
    RunStart,
    RunWriter,
)


@contextmanager
def sdk_session() -> Iterator[None]:
    """Writes one run within it; at its end wandb has ended every run that it began. Raises SinkError if wandb
    raised one of its own errors, not all of which have a public base class."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "wandb":
            raise
        raise SinkError(f"wandb's SDK: {error}") from error
    finally:
        wandb.teardown()


class SdkOutput(RunWriter):
    """Lets wandb write the file, within a `sdk_session`. One at a time in a process."""

    def open(self, folder: Path) -> Path:
        self._folder = folder
        self.losses[START_TIME] = int(self.run.created is not None)
        self._sdk = wandb.init(settings=_settings(folder, self.start), config={"neptune": about(self.run)})
        self._sdk.define_metric(STEP)
        return Path(self._sdk.dir)

    def parameters(self, values: Mapping[str, ParameterValue]) -> None:
        self._sdk.config.update({name: as_json(value) for name, value in values.items()})

    def define(self, name: str) -> None:
        if "*" in name:
            self.losses[STEP_AXIS] += 1
        else:
            self._sdk.define_metric(name, step_metric=STEP)

    def write_points(self, names: Sequence[str], points: Points) -> None:
        if not len(points):
            return
        points, starts = in_rows(points)
        series, values = points.series.tolist(), points.value.tolist()
        steps, times = step_texts(points.step[starts], self.start.multiplier), points.time[starts].tolist()
        ends = [*starts[1:].tolist(), len(points)]
        for start, end, step, time in zip(starts.tolist(), ends, steps, times, strict=True):
            row = {names[series[i]]: values[i] for i in range(start, end)}
            self._log({**row, STEP: json.loads(step)}, time)

    def show(self, name: str, value: Mapping[str, Any], step: int | None, time: int) -> None:
        row: dict[str, Any] = {name: dict(value)}
        if step is not None:
            (text,) = step_texts(np.array([step], np.int64), self.start.multiplier)
            row[STEP] = json.loads(text)
        self._log(row, time)

    def _log(self, row: dict[str, Any], time: int) -> None:
        self._sdk.log({**row, "_timestamp": time / 1000}, step=self.rows)
        self.rows += 1

    def texts(self, entries: Entries[str]) -> None:
        super().texts(entries)
        printed = [console_stream(name) is not None for name in entries.names]
        self.losses[CONSOLE_PAGE] += sum(printed[number] for number in entries.series.tolist())

    def print(self, lines: Iterable[ConsoleLine]) -> None:
        """Nothing: wandb's SDK takes no line with its time."""

    def end(self, paths: Sequence[str]) -> None:
        for path in paths:
            self._sdk.save(self.files / path, base_path=self.files, policy="end", glob=False)
        self._sdk.finish(exit_code=int(self.run.status == "failed"))
        wandb.teardown()
        written = self.files.parent
        (records,) = written.glob("run-*.wandb")
        records.rename(self._folder / records.name)
        self.files.rename(self._folder / "files")
        shutil.rmtree(self._folder / "wandb")


def _settings(folder: Path, start: RunStart) -> wandb.Settings:
    """Nothing of this machine or of the process that loads belongs into the run."""
    return wandb.Settings(
        mode="offline",
        root_dir=str(folder),
        run_id=start.run_id,
        project=start.project,
        entity=start.entity,
        run_group=start.group,
        run_name=start.run.name,
        run_notes=start.run.description,
        run_tags=tuple(tags_of(start.run)),
        console="off",
        silent=True,
        reinit="create_new",
        resume="never",
        disable_git=True,
        disable_code=True,
        save_code=False,
        x_disable_machine_info=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )

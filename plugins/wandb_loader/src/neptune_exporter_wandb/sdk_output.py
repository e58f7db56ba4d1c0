"""Writes a run through wandb's public SDK, for versions whose files are not known.

Seen with wandb 0.30.0 and 0.31.0, offline: every row whose `step` grows is kept, with `_timestamp` as given,
NaN, infinities and -0.0. `_runtime` and the start of the run are those of the load. Dicts arrive as they are
logged. `wandb.teardown` waits until the file is whole, and ends every run of the process.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from neptune_exporter.contract import ParameterValue, SinkError
from neptune_exporter.sinks.points import Points
from neptune_exporter.sinks.values import as_json
from neptune_exporter_wandb.console import ConsoleLine
from neptune_exporter_wandb.losses import START_TIME, STEP_AXIS
from neptune_exporter_wandb.naming import about, tags_of
from neptune_exporter_wandb.outputs import RunStart
from neptune_exporter_wandb.rows import STEP, in_rows
from neptune_exporter_wandb.steps import step_texts
from neptune_exporter_wandb.undisturbed import wandb


@contextmanager
def sdk_session() -> Iterator[None]:
    """A time in which one run is written: it ends whatever wandb has begun.

    Raises:
        SinkError: wandb raised an error of its own; not all of them have a public base.
    """
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "wandb":
            raise
        raise SinkError(f"wandb's SDK: {error}") from error
    finally:
        wandb.teardown()


class SdkOutput:
    """A `RunOutput` of which wandb makes the file, within a `sdk_session`. One at a time in a process.

    Args:
        folder: Of the run; it is there, and empty.
    """

    shows_console = False

    def __init__(self, folder: Path, start: RunStart) -> None:
        self._folder, self._run, self._multiplier = folder, start.run, start.multiplier
        self.rows = 0
        self._lost = Counter({START_TIME: int(start.run.created is not None)})
        self._sdk = wandb.init(settings=_settings(folder, start), config={"neptune": about(start.run)})
        self.files = Path(self._sdk.dir)
        self._sdk.define_metric(STEP)

    @property
    def losses(self) -> Mapping[str, int]:
        return self._lost

    def configure(self, values: Mapping[str, ParameterValue]) -> None:
        self._sdk.config.update({name: as_json(value) for name, value in values.items()})

    def define(self, name: str) -> None:
        if "*" in name:
            self._lost[STEP_AXIS] += 1
        else:
            self._sdk.define_metric(name, step_metric=STEP)

    def points(self, names: Sequence[str], points: Points) -> None:
        if not len(points):
            return
        points, starts = in_rows(points)
        series, values = points.series.tolist(), points.value.tolist()
        steps, times = step_texts(points.step[starts], self._multiplier), points.time[starts].tolist()
        ends = [*starts[1:].tolist(), len(points)]
        for start, end, step, time in zip(starts.tolist(), ends, steps, times, strict=True):
            row = {names[series[i]]: values[i] for i in range(start, end)}
            self._log({**row, STEP: json.loads(step)}, time)

    def show(self, name: str, value: Mapping[str, Any], step: int | None, time: int) -> None:
        row: dict[str, Any] = {name: dict(value)}
        if step is not None:
            (text,) = step_texts(np.array([step], np.int64), self._multiplier)
            row[STEP] = json.loads(text)
        self._log(row, time)

    def _log(self, row: dict[str, Any], time: int) -> None:
        self._sdk.log({**row, "_timestamp": time / 1000}, step=self.rows)
        self.rows += 1

    def print(self, line: ConsoleLine) -> None:
        raise NotImplementedError("wandb's SDK takes no line with its time")

    def finish(self, paths: Sequence[str]) -> None:
        for path in paths:
            self._sdk.save(self.files / path, base_path=self.files, policy="end", glob=False)
        self._sdk.finish(exit_code=int(self._run.status == "failed"))
        wandb.teardown()
        written = self.files.parent
        (records,) = written.glob("run-*.wandb")
        records.rename(self._folder / records.name)
        self.files.rename(self._folder / "files")
        shutil.rmtree(self._folder / "wandb")

    def close(self) -> None:
        """The session ends the run."""


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

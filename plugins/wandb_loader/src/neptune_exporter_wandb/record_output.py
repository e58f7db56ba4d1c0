"""Writes the `.wandb` file of a run directly, with wandb's own protobuf records."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp
from wandb import __version__ as version
from wandb.proto import wandb_internal_pb2 as pb

from neptune_exporter.contract import ParameterValue
from neptune_exporter.sinks.points import Points
from neptune_exporter.sinks.values import as_json
from neptune_exporter_wandb.framing import RecordWriter
from neptune_exporter_wandb.naming import about, tags_of
from neptune_exporter_wandb.rows import STEP, PointHeads, Tails, point_rows
from neptune_exporter_wandb.steps import json_texts
from neptune_exporter_wandb.wire import ItemHeads, row_record
from neptune_exporter_wandb.writing import ConsoleLine, RunWriter

_STREAMS = {"stdout": pb.OutputRawRecord.STDOUT, "stderr": pb.OutputRawRecord.STDERR}
_FILES_IN_RECORD = 1_000


class RecordOutput(RunWriter):
    """Writes the file itself, record by record."""

    def open(self, folder: Path) -> Path:
        files = folder / "files"
        files.mkdir()
        self._file = (folder / f"run-{self.start.run_id}.wandb").open("xb")
        self._out = RecordWriter(self._file)
        self._record = 0
        self._started = self.run.created or 0
        self._tails = Tails(self.start.multiplier, self._started)
        self._heads: PointHeads | None = None
        self._names: Sequence[str] = ()
        self._last: Any = None
        header = pb.HeaderRecord(version_info=pb.VersionInfo(producer=version, min_consumer="0.70.0"))
        self._write(header=header)
        self._write(run=self._run_record())
        self._write(metric=pb.MetricRecord(name=STEP, options=pb.MetricOptions(defined=True)))
        return files

    def _run_record(self) -> pb.RunRecord:
        start, run = self.start, self.run
        record = pb.RunRecord(
            run_id=start.run_id,
            project=start.project,
            entity=start.entity,
            run_group=start.group,
            display_name=run.name,
            notes=run.description,
            tags=tags_of(run),
            start_time=_moment(self._started),
        )
        for key, value in {"_wandb": {}, "neptune": about(run)}.items():
            record.config.update.add(key=key, value_json=json.dumps(value))
        return record

    def _write(self, **what: Any) -> None:
        self._record += 1
        self._out.write(pb.Record(num=self._record, **what).SerializeToString())

    def _write_rows(self, rows: Sequence[bytes]) -> None:
        self._out.write_all(iter(rows))
        self._record += len(rows)
        self.rows += len(rows)

    def parameters(self, values: Mapping[str, ParameterValue]) -> None:
        config = pb.ConfigRecord()
        for name, value in values.items():
            config.update.add(key=name, value_json=json.dumps(as_json(value), ensure_ascii=False))
        self._write(config=config)

    def define(self, name: str) -> None:
        options = pb.MetricOptions(defined=True, step_sync=True)
        self._write(metric=pb.MetricRecord(name=name, step_metric=STEP, options=options))

    def write_points(self, names: Sequence[str], points: Points) -> None:
        if self._heads is None:
            self._heads, self._names = PointHeads(names), names
            self._last = np.full(len(names), np.nan)
        if len(points):
            rows = list(point_rows(self._heads, self._tails, points, self.rows, self._record + 1))
            self._write_rows(rows)
            self._last[points.series] = points.value

    def show(self, name: str, value: Mapping[str, Any], step: int | None, time: int) -> None:
        items = []
        for part, content in value.items():
            text = json.dumps(content, ensure_ascii=False).encode()
            items.append(ItemHeads(name, part)[len(text)] + text)
        steps = None if step is None else np.array([step], np.int64)
        (tail,) = self._tails.of(steps, np.array([time], np.int64), self.rows)
        self._write_rows([row_record(b"".join(items) + tail, self.rows, self._record + 1)])

    def print(self, lines: Iterable[ConsoleLine]) -> None:
        for time, stream, text in lines:
            record = pb.OutputRawRecord(output_type=_STREAMS[stream], timestamp=_moment(time), line=text)
            self._write(output_raw=record)

    def end(self, paths: Sequence[str]) -> None:
        self._write_summary()
        for start in range(0, len(paths), _FILES_IN_RECORD):
            record = pb.FilesRecord()
            for path in paths[start : start + _FILES_IN_RECORD]:
                record.files.add(path=path, policy=pb.FilesItem.END)
            self._write(files=record)
        failed = self.run.status == "failed"
        self._write(exit=pb.RunExitRecord(exit_code=int(failed), runtime=self._runtime()))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def _runtime(self) -> int:
        """Seconds, as far as the record has room."""
        ended = self.run.ended
        return min(2**31 - 1, max(0, (ended - self._started) // 1000)) if ended is not None else 0

    def _write_summary(self) -> None:
        summary = pb.SummaryRecord()
        summary.update.add(nested_key=["_wandb", "runtime"], value_json=str(self._runtime()))
        summary.update.add(nested_key=["_runtime"], value_json=str(self._runtime()))
        if self.run.ended is not None:
            summary.update.add(nested_key=["_timestamp"], value_json=str(self.run.ended / 1000))
        if self.rows:
            summary.update.add(nested_key=["_step"], value_json=str(self.rows - 1))
        for name, text in zip(self._names, json_texts(self._last) if len(self._names) else [], strict=True):
            summary.update.add(nested_key=[name], value_json=text.decode())
        self._write(summary=summary)

    def close(self) -> None:
        try:
            super().close()
        finally:
            with suppress(OSError):  # of a run that is not finished: what a full disk did not take before
                self._file.close()


def _moment(milliseconds: int) -> Timestamp:
    seconds, rest = divmod(milliseconds, 1000)
    return Timestamp(seconds=seconds, nanos=rest * 1_000_000)

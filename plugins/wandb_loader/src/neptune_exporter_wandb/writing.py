"""Writes one run as wandb's offline mode would: the `.wandb` file, and the files beside it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp
from wandb import __version__ as version
from wandb.proto import wandb_internal_pb2 as pb

from neptune_exporter.contract import ParameterValue
from neptune_exporter.sinks.metadata import RunMetadata
from neptune_exporter.sinks.points import Points
from neptune_exporter.sinks.received import Entries, FileToSend, HistogramValue
from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter.sinks.texts import console_stream
from neptune_exporter.sinks.values import as_json
from neptune_exporter_wandb.console import ConsoleLines
from neptune_exporter_wandb.drawn import drawn_histogram, drawn_media
from neptune_exporter_wandb.framing import RecordWriter
from neptune_exporter_wandb.naming import about, tags_of
from neptune_exporter_wandb.rows import STEP, PointHeads, Tails, point_rows
from neptune_exporter_wandb.steps import json_texts, step_texts
from neptune_exporter_wandb.tables import TableWriter
from neptune_exporter_wandb.wire import ItemHeads, row_record

HISTOGRAMS = "neptune/histograms.jsonl"
_STREAMS = {"stdout": pb.OutputRawRecord.STDOUT, "stderr": pb.OutputRawRecord.STDERR}
_FILES_IN_RECORD = 1_000


class RunWriter:
    """One run. Everything is in place after `finish`.

    Args:
        folder: Of the run; it is there, and empty.
        run_id: How W&B calls the run.
        project: With entity and group: where the run goes in W&B.
    """

    def __init__(
        self,
        folder: Path,
        run: RunMetadata,
        run_id: str,
        project: str,
        entity: str,
        group: str,
        multiplier: Multiplier,
    ) -> None:
        self._run, self._multiplier = run, multiplier
        self._started = run.created or 0
        self._files = folder / "files"
        self._files.mkdir()
        self._file: BinaryIO = (folder / f"run-{run_id}.wandb").open("xb")
        self._out = RecordWriter(self._file)
        self._record = self.rows = 0
        self._tails = Tails(multiplier, self._started)
        self._heads: PointHeads | None = None
        self._names: Sequence[str] = ()
        self._last: Any = None
        self._defined: set[str] = set()
        self._tables = TableWriter(self._files)
        self._console = ConsoleLines()
        self._histograms: BinaryIO | None = None
        self._paths: list[str] = []
        header = pb.HeaderRecord(version_info=pb.VersionInfo(producer=version, min_consumer="0.70.0"))
        self._write(header=header)
        self._write(run=self._run_record(run_id, project, entity, group))
        self._write(metric=pb.MetricRecord(name=STEP, options=pb.MetricOptions(defined=True)))

    def _run_record(self, run_id: str, project: str, entity: str, group: str) -> pb.RunRecord:
        run = self._run
        record = pb.RunRecord(
            run_id=run_id,
            project=project,
            entity=entity,
            run_group=group,
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

    def _define(self, name: str) -> None:
        """Let charts of a series have Neptune's steps as their x axis."""
        if name not in self._defined:
            self._defined.add(name)
            options = pb.MetricOptions(defined=True, step_sync=True)
            self._write(metric=pb.MetricRecord(name=name, step_metric=STEP, options=options))

    def _write_rows(self, rows: Sequence[bytes]) -> None:
        self._out.write_all(iter(rows))
        self._record += len(rows)
        self.rows += len(rows)

    def parameters(self, values: Mapping[str, ParameterValue]) -> None:
        config = pb.ConfigRecord()
        for name, value in values.items():
            config.update.add(key=name, value_json=json.dumps(as_json(value), ensure_ascii=False))
        self._write(config=config)

    def points(self, names: Sequence[str], points: Points) -> None:
        if self._heads is None:
            self._heads, self._names = PointHeads(names), names
            self._last = np.full(len(names), np.nan)
            for name in names:
                self._define(name)
        if len(points):
            rows = list(point_rows(self._heads, self._tails, points, self.rows, self._record + 1))
            self._write_rows(rows)
            self._last[points.series] = points.value

    def texts(self, entries: Entries[str]) -> None:
        for number in np.unique(entries.series).tolist():
            at = np.flatnonzero(entries.series == number)
            name, times = entries.names[number], entries.time[at].tolist()
            texts = [entries.values[i] for i in at.tolist()]
            self._tables.write(name, step_texts(entries.step[at], self._multiplier), times, texts)
            stream = console_stream(name)
            if stream is not None:
                self._console.write(name, stream, times, texts)

    def _show_console(self) -> None:
        """Show console output on the page Logs."""
        for line in self._console.by_time():
            stream, moment = _STREAMS[line.stream], _moment(line.time)
            self._write(output_raw=pb.OutputRawRecord(output_type=stream, timestamp=moment, line=line.text))

    def histograms(self, entries: Entries[HistogramValue]) -> None:
        if self._histograms is None:
            (self._files / HISTOGRAMS).parent.mkdir(exist_ok=True)
            self._histograms = (self._files / HISTOGRAMS).open("wb")
        steps = step_texts(entries.step, self._multiplier)
        for i, (step, (name, _, time, value)) in enumerate(zip(steps, entries, strict=True)):
            exact = {"name": name, "step": step.decode(), "time": time, **value._asdict()}
            self._histograms.write(json.dumps(exact, ensure_ascii=False).encode() + b"\n")
            drawn = drawn_histogram(value)
            if drawn is not None:
                self._define(name)
                self._show(name, drawn, entries.step[i : i + 1], time)

    def _show(self, name: str, value: Mapping[str, Any], step: Any, time: int) -> None:
        """A row with one value that has parts."""
        items = []
        for part, content in value.items():
            text = json.dumps(content, ensure_ascii=False).encode()
            items.append(ItemHeads(name, part)[len(text)] + text)
        (tail,) = self._tails.of(step, np.array([time], np.int64), self.rows)
        self._write_rows([row_record(b"".join(items) + tail, self.rows, self._record + 1)])

    def file(self, file: FileToSend) -> None:
        path = self._files / file.unique_name
        path.parent.mkdir(parents=True, exist_ok=True)
        with file.open() as source, path.open("xb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        self._paths.append(file.unique_name)
        if file.step is not None and file.time is not None:
            value = drawn_media(file, path, file.unique_name)
            if value is not None:
                self._define(file.name)
                self._show(file.name, value, np.array([file.step]), file.time)

    def finish(self) -> None:
        """Write what only the end knows: tables, the summary, the list of files, the exit code."""
        self._tables.close()
        self._show_console()
        for table in self._tables.whole:
            self._show(table.name, table.value(), None, table.time)
            self._paths.append(table.path)
        if self._histograms is not None:
            self._histograms.close()
            self._paths.append(HISTOGRAMS)
        self._write_summary()
        for start in range(0, len(self._paths), _FILES_IN_RECORD):
            record = pb.FilesRecord()
            for path in self._paths[start : start + _FILES_IN_RECORD]:
                record.files.add(path=path, policy=pb.FilesItem.END)
            self._write(files=record)
        failed = self._run.status == "failed"
        self._write(exit=pb.RunExitRecord(exit_code=int(failed), runtime=self._runtime()))
        self._console.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def _runtime(self) -> int:
        """Seconds, as far as the record has room."""
        ended = self._run.ended
        return min(2**31 - 1, max(0, (ended - self._started) // 1000)) if ended is not None else 0

    def _write_summary(self) -> None:
        summary = pb.SummaryRecord()
        summary.update.add(nested_key=["_wandb", "runtime"], value_json=str(self._runtime()))
        summary.update.add(nested_key=["_runtime"], value_json=str(self._runtime()))
        if self._run.ended is not None:
            summary.update.add(nested_key=["_timestamp"], value_json=str(self._run.ended / 1000))
        if self.rows:
            summary.update.add(nested_key=["_step"], value_json=str(self.rows - 1))
        for name, text in zip(self._names, json_texts(self._last) if len(self._names) else [], strict=True):
            summary.update.add(nested_key=[name], value_json=text.decode())
        self._write(summary=summary)

    def close(self) -> None:
        """Let go of the files, whatever has been written."""
        self._file.close()
        self._console.close()
        if self._histograms is not None:
            self._histograms.close()


def _moment(milliseconds: int) -> Timestamp:
    seconds, rest = divmod(milliseconds, 1000)
    return Timestamp(seconds=seconds, nanos=rest * 1_000_000)

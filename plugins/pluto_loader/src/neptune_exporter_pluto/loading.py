"""One run into one run of Pluto: what is done in which order.

What Pluto cannot tell about (histograms, tables, string series) goes first: if
an interruption leaves it uncertain, little has been sent when the run is begun
again. Metrics, which may be repeated, go last.
"""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from neptune_exporter.contract import ExportedRun, LoadedRun, Loss, failpoint
from neptune_exporter.model import AttributeType
from neptune_exporter_pluto import lifecycle, metrics
from neptune_exporter_pluto.config import SECTION, escaped
from neptune_exporter_pluto.encode.rows import object_row
from neptune_exporter_pluto.facts import RunFacts
from neptune_exporter_pluto.files import FileTask, file_tasks, text_tasks
from neptune_exporter_pluto.histograms import draw
from neptune_exporter_pluto.losses import LossBook, LossCode
from neptune_exporter_pluto.names import NameBook
from neptune_exporter_pluto.once import OnceStream, StartAgainError, settled
from neptune_exporter_pluto.points import PointSorter
from neptune_exporter_pluto.rows import SeriesRows, series_rows
from neptune_exporter_pluto.session import Pipeline, Session
from neptune_exporter_pluto.state import Journal
from neptune_exporter_pluto.steps import Multiplier
from neptune_exporter_pluto.strings import StringStreams
from neptune_exporter_pluto.upload import Uploader

_ROW_TYPES = (AttributeType.STRING_SERIES, AttributeType.HISTOGRAM_SERIES)
_ROW_COLUMNS = ("string_value", "histogram_value")
_LINE = pa.binary()


@dataclass(frozen=True)
class Outcome:
    """What became of a run, and what the journal is to keep of it."""

    loaded: LoadedRun
    record: Mapping[str, Any]


@dataclass
class RunLoad:
    """The load of one run, whose journal is open and has begun a generation."""

    session: Session
    run: ExportedRun
    project: str
    journal: Journal
    run_id: int
    url: str
    facts: RunFacts
    multiplier: Multiplier
    losses: LossBook

    def __post_init__(self) -> None:
        self.names = NameBook()
        self._counts: dict[str, int] = {}
        self._last_step: int | None = None

    def execute(self) -> Outcome:
        """Send everything, then read the status back.

        Raises:
            StartAgainError: what the run in Pluto holds cannot be known any more.
            SinkError, AuthenticationError: the load can be gone on with later.
        """
        api, folder = self.session.api, self.journal.work_folder
        shutil.rmtree(folder, ignore_errors=True)
        try:
            texts = self._send_rows()
            self._send_files_and_metrics(texts)
            texts.close()
            failpoint("pluto.data-complete")
            self._register_names()
            api.merge_config(self.run_id, orjson.dumps({SECTION: self._closing_section(texts)}))
            lifecycle.finish(api, self.project, self.run_id, self.facts.status, self.facts.ended)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        losses = self.losses.losses()
        result = {
            "counts": self._counts,
            "losses": [loss_record(loss) for loss in losses],
            "last_step": self._last_step,
            "at": time.time(),
            "multiplier": str(self.multiplier),
        }
        failpoint("pluto.run-finished")
        return Outcome(
            LoadedRun(str(self.run_id), self.url or None, counts=dict(self._counts), losses=losses), result
        )

    # --- string series, console lines, histograms

    def _send_rows(self) -> StringStreams:
        settings, created = self.session.settings, self.facts.created
        data = OnceStream("data", self.journal, lambda body: self._ingest("data", body, False), None, 0)
        logs = OnceStream(
            "logs",
            self.journal,
            lambda body: self._ingest("logs", body, False),
            lambda: self.session.api.log_total(self.project, self.run_id),
            settings.visible_within,
        )
        strings = StringStreams(self.names, self.losses, self.journal.work_folder, data.add, logs.add)
        rows = series_rows(self.run, _ROW_TYPES, _ROW_COLUMNS, self.multiplier, settings.batch_rows, created)
        for batch in rows:
            is_string = np.asarray(batch.batch.column("string_value").is_valid())
            if is_string.all():
                strings.take(batch)
            else:
                self._take_histograms(batch.where(~is_string), data)
                if is_string.any():
                    strings.take(batch.where(is_string))
        data.flush()
        logs.flush()
        if logs.resolved:
            self._check_logs(logs.lines)
        self._counts |= {
            "texts": strings.entries + sum(strings.console_lines.values()),
            "string entries": strings.entries,
            "log lines": logs.lines,
        }
        return strings

    def _take_histograms(self, rows: SeriesRows, data: OnceStream) -> None:
        rows.count_unusable(self.losses)
        column = rows.batch.column("histogram_value")
        kinds = column.field("type").to_pylist()
        edges, values = column.field("edges"), column.field("values")
        lines: list[bytes] = []
        for row in np.flatnonzero(rows.steps.usable):
            path = rows.paths[rows.series[row]]
            at, step = int(rows.times[row]), int(rows.steps.steps[row])
            drawing = draw(kinds[row] or "", _numbers(edges[row]), _numbers(values[row]))
            if drawing.histogram is not None:
                name = self.names.name(path, "HISTOGRAM")
                lines.append(object_row(at, step, "HISTOGRAM", name, drawing.histogram))
                self._count("histograms")
            if drawing.tables:
                drawn = drawing.histogram is not None
                self.losses.add(
                    LossCode.HISTOGRAM_REDRAWN if drawn else LossCode.HISTOGRAM_NOT_DRAWN, 1, path
                )
            for table in drawing.tables:
                name = self.names.name(f"{path}/exact", "TABLE")
                lines.append(object_row(at, step, "TABLE", name, table))
                self._count("tables")
        if lines:
            data.add(pa.array(lines, _LINE).cast(pa.string()))

    def _check_logs(self, lines: int) -> None:
        """After a position had to be found by reading back: the end must be what it should."""
        found = settled(
            lambda: self.session.api.log_total(self.project, self.run_id),
            lines,
            self.session.settings.visible_within,
        )
        if found != lines:
            raise StartAgainError(f"Pluto shows {found} log lines where {lines} were sent")

    # --- files

    def _send_files_and_metrics(self, strings: StringStreams) -> None:
        """Uploads mostly wait for the network, metrics mostly for the processor."""
        uploader = Uploader(self.session, self.project, self.run_id, self.journal, self.losses)
        texts = text_tasks(strings, self.names, self.facts.ended)
        with ThreadPoolExecutor(1, "pluto-files") as side:
            files = side.submit(self._send_files, uploader, texts)
            try:
                self._send_metrics()
            except BaseException:
                uploader.stop()
                raise
            files.result()

    def _send_files(self, uploader: Uploader, texts: Sequence[FileTask]) -> None:
        settings = self.session.settings
        files = file_tasks(
            self.run,
            self.names,
            self.losses,
            self.multiplier,
            self.facts.created,
            settings.batch_rows,
            settings.max_files_per_run,
        )
        uploader.upload(itertools.chain(texts, files))
        self._counts |= {
            "text files": len(texts),
            "files": uploader.files - len(texts),
            "file bytes": uploader.bytes,
        }

    def _register_names(self) -> None:
        pipeline = Pipeline(self.session.senders, self.session.settings.connections)
        for log_type, names in self.names.by_type().items():
            pipeline.submit(self.session.api.register_names, self.run_id, log_type, names)
        pipeline.drain()

    # --- metrics

    def _send_metrics(self) -> None:
        settings = self.session.settings
        stream = metrics.MetricStream(PointSorter(self.journal.work_folder), self.losses, settings.log_every)
        try:
            for rows in series_rows(
                self.run,
                metrics.TYPES,
                metrics.VALUE_COLUMNS,
                self.multiplier,
                settings.batch_rows,
                self.facts.created,
            ):
                stream.take(rows)
            metrics.send_bodies(
                stream.bodies(self.names, settings.flush_every),
                self.journal,
                Pipeline(self.session.senders, settings.connections + 1),
                lambda body: self._ingest("metrics", body, True),
            )
        finally:
            stream.close()
        self._last_step = stream.last_step
        self._counts |= {"points": stream.points, "metrics": len(stream.paths)}

    def _ingest(self, kind: str, body: memoryview | bytes, repeatable: bool) -> None:
        self.session.api.ingest(kind, self.project, self.run_id, bytes(body), repeatable=repeatable)

    def _count(self, what: str) -> None:
        self._counts[what] = self._counts.get(what, 0) + 1

    def _closing_section(self, strings: StringStreams) -> Mapping[str, Any]:
        """What only loading showed."""
        section: dict[str, Any] = {"load": {"state": lifecycle.COMPLETE}}
        changed = {name: escaped(path) for name, path in self.names.changed()}
        if changed:
            section["names"] = changed
        gathered = [text.name for text in strings.texts.values() if text.size]
        texts = {name: self.names.name(name, "TEXT") for name in gathered}
        if texts:
            section["texts"] = texts
        if strings.console_lines:
            section["console"] = strings.console_lines
        return section


def _numbers(scalar: pa.Scalar) -> Any:
    values = scalar.values
    return np.asarray([] if values is None else values.to_numpy(zero_copy_only=False), np.float64)


def loss_record(loss: Loss) -> dict[str, Any]:
    """A loss for the journal."""
    return {
        "reason": loss.reason,
        "message": loss.message,
        "count": loss.count,
        "attribute_path": loss.attribute_path,
        "requested": loss.requested,
    }

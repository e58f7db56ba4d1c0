"""Sends one run into one run of Pluto: what is sent in which order.

What Pluto cannot tell about (histograms, tables, string series) goes first: if
an interruption leaves it uncertain, little has been sent when the run is begun
again. Metrics, which may be repeated, go last.
"""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from neptune_exporter.contract import LoadedRun
from neptune_exporter.sinks.names import NameBook
from neptune_exporter.sinks.points import MEMORY_POINTS, MEMORY_POINTS_ALONE, PointSorter
from neptune_exporter.toolkit import failpoint
from neptune_exporter_pluto import lifecycle, metrics
from neptune_exporter_pluto.data_rows import ROW_COLUMNS, ROW_TYPES, take_rows
from neptune_exporter_pluto.file_tasks import FileTask, file_tasks, text_tasks
from neptune_exporter_pluto.form.config import SECTION
from neptune_exporter_pluto.form.limits import NAME, pluto_rows
from neptune_exporter_pluto.form.losses import LossBook
from neptune_exporter_pluto.form.metadata import PlutoMetadata
from neptune_exporter_pluto.form.section import Found, closing_section, loss_record
from neptune_exporter_pluto.histogram_rows import HistogramStream
from neptune_exporter_pluto.metric_sending import send_bodies
from neptune_exporter_pluto.ordered_ingest import OrderedIngest, StartAgainError
from neptune_exporter_pluto.service.pipeline import Pipeline, settled
from neptune_exporter_pluto.state.open_run import OpenRun
from neptune_exporter_pluto.strings import StringStreams
from neptune_exporter_pluto.upload import Uploader


@dataclass(frozen=True)
class FinishedLoad:
    """A run that is whole in Pluto, and what the journal is to keep of its load."""

    loaded: LoadedRun
    record: Mapping[str, Any]


@dataclass
class Sender:
    """Sends one run into the run of Pluto that its journal names."""

    work: OpenRun
    metadata: PlutoMetadata
    losses: LossBook

    def __post_init__(self) -> None:
        now = self.work.now
        assert now.run_id is not None  # the run was made before anything is sent into it
        self.run_id, self.url = now.run_id, now.url
        self.session, self.run, self.journal = self.work.session, self.work.run, self.work.journal
        self.project, self.multiplier = self.work.target.project, self.work.multiplier
        self.names = NameBook(NAME)
        self._metrics: dict[str, int] = {}
        self._rows: dict[str, int] = {}
        self._files: dict[str, int] = {}
        self._last_step: int | None = None

    def send(self) -> FinishedLoad:
        """Send everything, then read the status back.

        Raises:
            StartAgainError: what the run in Pluto holds cannot be known any more.
            SinkError, AuthenticationError: the load can be gone on with later.
        """
        api, folder = self.session.api, self.journal.work_folder
        shutil.rmtree(folder, ignore_errors=True)
        alone = self.session.has_one_load
        sorter = PointSorter(folder, memory_points=MEMORY_POINTS_ALONE if alone else MEMORY_POINTS)
        points = metrics.MetricStream(sorter, self.losses, self.session.settings.log_every)
        try:
            texts = self._send_rows_and_read_metrics(points, alone)
            self._send_metrics_and_files(points, texts)
            texts.close()
            failpoint("pluto.data-complete")
            self._register_names()
            losses = self.losses.losses()
            recorded = [loss_record(loss) for loss in losses]
            section = closing_section(self.names, texts, recorded, self._last_step)
            api.merge_config(self.run_id, orjson.dumps({SECTION: section}))
            shown = lifecycle.finish(
                api, self.project, self.run_id, self.metadata.status, self.metadata.ended
            )
            self._check_alone(Found.of(shown))
        finally:
            points.close()
            shutil.rmtree(folder, ignore_errors=True)
        counts = self._metrics | self._rows | self._files
        result = {
            "counts": counts,
            "losses": recorded,
            "last_step": self._last_step,
            "at": time.time(),
            "multiplier": str(self.multiplier),
            "options": self.session.content_options.recorded(),
        }
        failpoint("pluto.run-finished")
        return FinishedLoad(
            LoadedRun(str(self.run_id), self.url or None, counts=dict(counts), losses=losses), result
        )

    def _check_alone(self, found: Found) -> None:
        """Of two machines that took the run for theirs at the same moment, the later finds both marks."""
        if found.is_of_others(self.work.now.mark):
            raise StartAgainError("another machine has loaded into it at the same time, or given it up")

    def _send_rows_and_read_metrics(self, points: metrics.MetricStream, alone: bool) -> StringStreams:
        """Sending rows mostly waits for answers: of a run that is alone, metrics are read meanwhile."""
        if not alone:
            texts = self._send_rows()
            self._read_metrics(points)
            return texts
        with ThreadPoolExecutor(1, "pluto-rows") as side:
            sending = side.submit(self._send_rows)
            try:
                self._read_metrics(points, sending)
            finally:
                texts = sending.result()  # what sending raises goes first, as where it is done first
        return texts

    # --- string series, console lines, histograms

    def _send_rows(self) -> StringStreams:
        settings, created = self.session.settings, self.metadata.no_time
        data = OrderedIngest("data", self.journal, partial(self._ingest, "data", repeatable=False), None, 0)
        logs = OrderedIngest(
            "logs",
            self.journal,
            partial(self._ingest, "logs", repeatable=False),
            lambda: self.session.api.log_total(self.project, self.run_id),
            settings.visible_within,
        )
        strings = StringStreams(self.names, self.losses, self.journal.work_folder, data.add, logs.add)
        histograms = HistogramStream(self.names, self.losses, data.add)
        take_rows(
            pluto_rows(self.run, ROW_TYPES, ROW_COLUMNS, self.multiplier, settings.batch_rows, created),
            self.names,
            strings,
            histograms,
        )
        data.flush()
        logs.flush()
        if logs.resolved:
            self._check_logs(logs.lines)
        self._rows = {
            "string series entries": strings.entries,
            "log lines": logs.lines,
            "histograms": histograms.counts["histograms"],
            "tables": histograms.counts["tables"],
        }
        return strings

    def _check_logs(self, lines: int) -> None:
        """After a position had to be found by reading back: the end must be what it should."""
        found = settled(
            lambda: self.session.api.log_total(self.project, self.run_id),
            lines,
            self.session.settings.visible_within,
        )
        if found != lines:
            raise StartAgainError(f"Pluto shows {found} log lines where {lines} were sent")

    # --- metrics and files

    def _read_metrics(self, points: metrics.MetricStream, beside: Future[Any] | None = None) -> None:
        """Have them all taken, unless what is done beside it fails."""
        for rows in pluto_rows(
            self.run,
            metrics.TYPES,
            metrics.VALUE_COLUMNS,
            self.multiplier,
            self.session.settings.batch_rows,
            self.metadata.no_time,
        ):
            if beside is not None and beside.done() and beside.exception() is not None:
                return
            points.take(rows)

    def _send_metrics_and_files(self, points: metrics.MetricStream, strings: StringStreams) -> None:
        """Metrics mostly wait for the processor, uploads for the network: they go side by side.

        All metrics get their names before, so that the names of files depend on no race.
        """
        uploader = Uploader(self.session, self.project, self.run_id, self.journal, self.losses)
        names = points.names(self.names)
        texts = text_tasks(strings, self.names, self.metadata.ended or 0)
        with ThreadPoolExecutor(1, "pluto-files") as side:
            files = side.submit(self._send_files, uploader, texts)
            try:
                self._send_metrics(points, names)
            except BaseException:
                uploader.stop()
                raise
            files.result()
        self._last_step = points.last_step
        self._metrics = {"points": points.points, "metrics": len(names)}

    def _send_metrics(self, points: metrics.MetricStream, names: Sequence[str]) -> None:
        settings = self.session.settings
        send_bodies(
            points.bodies(names, settings.flush_every),
            self.journal,
            Pipeline(self.session.senders, settings.connections + 1),
            partial(self._ingest, "metrics", repeatable=True),
            partial(self.session.api.raw_points, self.project, self.run_id),
            settings.visible_within,
        )

    def _send_files(self, uploader: Uploader, texts: Sequence[FileTask]) -> None:
        settings = self.session.settings
        files = file_tasks(
            self.run,
            self.names,
            self.losses,
            self.multiplier,
            self.metadata.no_time,
            settings.batch_rows,
            settings.max_files_per_run,
            others=texts,
        )
        uploader.upload(itertools.chain(texts, files))
        self._files = {
            "files": uploader.files - len(texts),
            "file bytes": uploader.bytes - sum(task.to_sign.size for task in texts),
            "consolidated texts": len(texts),
        }

    def _register_names(self) -> None:
        pipeline = Pipeline(self.session.senders, self.session.settings.connections)
        for log_type, names in self.names.by_type().items():
            pipeline.submit(self.session.api.register_names, self.run_id, log_type, names)
        pipeline.drain()

    def _ingest(self, kind: str, body: bytes, records: int, *, repeatable: bool) -> None:
        self.session.api.ingest(kind, self.project, self.run_id, body, records, repeatable=repeatable)

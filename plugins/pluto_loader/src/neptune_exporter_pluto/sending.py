"""Sends one run into one run of Pluto: what is sent in which order.

What Pluto cannot tell about (histograms, tables, string series) goes first: if
an interruption leaves it uncertain, little has been sent when the run is begun
again. Metrics, which may be repeated, go last.
"""

from __future__ import annotations

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson

from neptune_exporter.sinks.points import MEMORY_POINTS, MEMORY_POINTS_ALONE, PointSorter
from neptune_exporter.toolkit import failpoint
from neptune_exporter_pluto import metrics, upload
from neptune_exporter_pluto.ending import finish
from neptune_exporter_pluto.entries import Entries
from neptune_exporter_pluto.form.config import SECTION
from neptune_exporter_pluto.form.content import Content
from neptune_exporter_pluto.form.losses import LossBook
from neptune_exporter_pluto.form.metadata import PlutoMetadata
from neptune_exporter_pluto.form.section import Found, closing_section, loss_record
from neptune_exporter_pluto.form.sent import Sent
from neptune_exporter_pluto.ordered_ingest import send_entries
from neptune_exporter_pluto.service.pipeline import Pipeline
from neptune_exporter_pluto.state.open_run import OpenRun, StartAgainError

_FEW_ROWS = 100_000
"""A thread costs more time than it saves a run with fewer."""


def send(work: OpenRun, metadata: PlutoMetadata, losses: LossBook) -> tuple[dict[str, Any], bytes | None]:
    """Send everything into the run that the journal names, then read its status back. Returns what the
    journal is to keep of the load, and what the comparison at its end gets (`Sent`).

    Raises:
        StartAgainError: what the run in Pluto holds cannot be known any more.
        SinkError, AuthenticationError: the load can be gone on with later.
    """
    session, folder = work.session, work.journal.work_folder
    shutil.rmtree(folder, ignore_errors=True)
    content = Content(
        work.run,
        work.multiplier,
        metadata.created or 0,
        session.settings.batch_rows,
        session.content_options,
        losses,
        folder,
    )
    is_small = sum(count.rows for count in work.run.counts().values()) <= _FEW_ROWS
    alone = session.has_one_load and not is_small
    sorter = PointSorter(folder, memory_points=MEMORY_POINTS_ALONE if alone else MEMORY_POINTS)
    try:
        if alone:
            entries, counts, points = _side_by_side(work, content, sorter)
        else:
            entries, counts = send_entries(work, content)
            points = metrics.read(content, sorter)
        files = _send_metrics_and_files(work, content, points, entries, metadata.ended or 0)
        failpoint("pluto.data-complete")
        counts = {"points": int(points.given.sum()), "metrics": len(points.paths)} | counts | files
        record = {"counts": counts} | _finish(work, content, metadata, entries, points.last_step)
        steps = dict(zip(points.paths, points.given.tolist(), strict=True))
        sent = Sent(work.now.mark, metadata, steps).packed(content, losses.losses())
    finally:
        sorter.close()
        shutil.rmtree(folder, ignore_errors=True)
    failpoint("pluto.run-finished")
    return record, sent


def _side_by_side(
    work: OpenRun, content: Content, sorter: PointSorter
) -> tuple[Entries, dict[str, int], metrics.Metrics]:
    """Sending entries mostly waits for answers: of a run that is alone, metrics are read meanwhile."""
    with ThreadPoolExecutor(1, "pluto-rows") as side:
        sending = side.submit(send_entries, work, content)
        try:
            points = metrics.read(content, sorter, sending)
        finally:
            entries, counts = sending.result()  # what sending raises goes first, as where it is done first
    return entries, counts, points


def _send_metrics_and_files(
    work: OpenRun, content: Content, points: metrics.Metrics, entries: Entries, time_of_texts: int
) -> dict[str, int]:
    """Metrics mostly wait for the processor, uploads for the network: they go side by side, unless there are
    few metrics.

    All metrics have their names already, so that the names of files depend on no race. Returns the counts of
    files.
    """
    stopped = threading.Event()
    if points.taken <= _FEW_ROWS:
        metrics.send(points, work)
        return upload.send_files(work, content, entries.texts, time_of_texts, stopped)
    with ThreadPoolExecutor(1, "pluto-files") as side:
        files = side.submit(upload.send_files, work, content, entries.texts, time_of_texts, stopped)
        try:
            metrics.send(points, work)
        except BaseException:
            stopped.set()
            raise
        return files.result()


def _finish(
    work: OpenRun, content: Content, metadata: PlutoMetadata, entries: Entries, last_step: int | None
) -> dict[str, Any]:
    """Register the names, complete the config and set the final status. Returns the record of the load."""
    api, run_id, settings = work.session.api, work.run_id, work.session.settings
    with Pipeline(work.session.senders, settings.connections) as pipeline:
        for log_type, names in content.names.by_type().items():
            pipeline.submit(api.register_names, run_id, log_type, names)
    losses = [loss_record(loss) for loss in content.losses.losses()]
    section = closing_section(
        content.names, [text.name for text in entries.texts], entries.console_lines, losses, last_step
    )
    api.merge_config(run_id, orjson.dumps({SECTION: section}))
    shown = finish(api, work.target.project, run_id, metadata.status, metadata.ended)
    if Found.of(shown).is_of_others(work.now.mark):
        # Of two machines that took the run for theirs at the same moment, the later finds both marks.
        raise StartAgainError("another machine has loaded into it at the same time, or given it up")
    return {
        "losses": losses,
        "last_step": last_step,
        "at": time.time(),
        "multiplier": str(work.multiplier),
        "options": content.options.recorded(),
    }

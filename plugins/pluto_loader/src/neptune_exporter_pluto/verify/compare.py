"""The comparison of a run: its metadata, then its data."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from neptune_exporter.contract import Comparison, Verdict
from neptune_exporter.model import AttributeType
from neptune_exporter.sinks.metadata import milliseconds
from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter.sinks.values import short
from neptune_exporter_pluto.entries import Entries
from neptune_exporter_pluto.form.config import SECTION, of_pairs
from neptune_exporter_pluto.form.content import Content
from neptune_exporter_pluto.form.losses import LossBook
from neptune_exporter_pluto.form.metadata import collect, external_id
from neptune_exporter_pluto.form.section import (
    COMPLETE,
    LOADING,
    SUPERSEDED,
    ContentOptions,
    Found,
    recorded_losses,
    recorded_multiplier,
)
from neptune_exporter_pluto.form.sent import Sent
from neptune_exporter_pluto.form.values import is_same
from neptune_exporter_pluto.state.open_run import MOST_GENERATIONS, OpenRun
from neptune_exporter_pluto.state.progress import Progress
from neptune_exporter_pluto.verify import console, forks, listed_files, names, points, section
from neptune_exporter_pluto.verify.context import Check


def compare(
    work: OpenRun, known: Progress | None, *, full: bool, losses: LossBook | None = None
) -> Iterator[Comparison]:
    """Read a run back and compare.

    Args:
        known: What this machine's journal says of it, if anything.
        losses: Is filled with what cannot be in Pluto, as going through the rows again shows.
    """
    run, settings, folder = work.run, work.session.settings, work.journal.work_folder
    details = _details(work, known)
    if details is None:
        nothing = f"nothing in Pluto's project {work.target.project!r}"
        yield Comparison(run.key, "run", Verdict.MISSING, run.key.run_id, nothing)
        return
    losses = LossBook(run.key) if losses is None else losses
    loaded = known.loaded if known is not None and known.loaded is not None else {}
    options, multiplier = _asked_for(work, details, loaded)
    sent = None if full or known is None else Sent.unpacked(run.found, known.mark)
    metadata = collect(run, options.name_prefix, losses) if sent is None else sent.metadata
    check = Check(
        work,
        Content(run, multiplier, metadata.created or 0, settings.batch_rows, options, losses, folder),
        details,
        metadata,
        full,
        list(loaded["losses"] if "losses" in loaded else recorded_losses(details)),
        float(loaded.get("at", 0.0)) + settings.visible_within,
        {} if sent is None else sent.steps,
    )
    try:
        yield from _whole(check, known)
        yield from _metadata(check)
        yield from forks.compare_fork(check, known)
        yield from _parameters(check)
        entries, lines = console.read_entries(check)
        yield from points.compare_points(check)
        yield from console.compare_console(check, lines)
        yield from listed_files.compare_files(check, entries)
        yield from names.compare_names(check)
        yield from section.compare_section(check, entries)
        yield from _not_readable(check, dict(loaded.get("counts", {})), entries)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _asked_for(
    work: OpenRun, details: Mapping[str, Any], loaded: Mapping[str, Any]
) -> tuple[ContentOptions, Multiplier]:
    """With what the run was loaded. The journal knows what was sent; the config may have been edited."""
    if "options" in loaded:
        return ContentOptions.of_record(loaded["options"]), Multiplier.of(Decimal(loaded["multiplier"]))
    return ContentOptions.read(details, work.session.content_options), recorded_multiplier(details)


def _details(work: OpenRun, known: Progress | None) -> dict[str, Any] | None:
    """Of the run that the journal names, else of the one that another machine has loaded."""
    if known is not None:
        api, project = work.session.api, work.target.project
        return None if known.run_id is None else api.details_if_there(project, known.run_id)
    loads = work.loads()
    for generation in range(1, MOST_GENERATIONS):
        details = loads.get(external_id(work.run.key, generation))
        if details is not None and Found.of(details).state != SUPERSEDED:
            return details
    return None


def _whole(check: Check, known: Progress | None) -> Iterator[Comparison]:
    """Whether the load came to its end, and was one of this export. Nothing is said where all is well."""
    found = Found.of(check.details)
    if found.state == SUPERSEDED:
        yield check.line("load", Verdict.MISSING, COMPLETE, "given up for another run")
    elif (known is not None and known.loaded is None) or found.state == LOADING:
        yield check.line("load", Verdict.MISSING, COMPLETE, "has not come to its end; load again")
    if found.fingerprint not in ("", check.content.run.fingerprint):
        yield check.line("export", Verdict.DIFFERENT, check.content.run.fingerprint, found.fingerprint)


def _metadata(check: Check) -> Iterator[Comparison]:
    details, metadata = check.details, check.metadata
    expected: list[tuple[str, Any, Any]] = [
        ("status", metadata.status, details["status"]),
        ("name", metadata.name, details["name"]),
    ]
    tags, held = set(metadata.tags), set(details.get("tags") or [])
    verdict = Verdict.EQUAL if tags == held else Verdict.EXTRA if tags < held else Verdict.DIFFERENT
    yield check.line("tags", verdict, sorted(tags), sorted(held))
    if metadata.created is not None:
        expected.append(("time of creation", metadata.created, _milliseconds(details["createdAt"])))
        expected.append(("time of the end", metadata.ended, _milliseconds(details.get("statusUpdated"))))
    for item, wanted, found in expected:
        yield check.line(item, Verdict.EQUAL if wanted == found else Verdict.DIFFERENT, wanted, found)
    if metadata.notes:
        yield check.line("notes", Verdict.UNKNOWN, metadata.notes[:40], "Pluto gives no way to read them")


def _parameters(check: Check) -> Iterator[Comparison]:
    found = check.details.get("config")
    held = found if isinstance(found, dict) else {}
    same = 0
    for key, value in check.metadata.config.items():
        if key in held and is_same(value, held[key]):
            same += 1
        elif key in held:
            yield check.line(f"parameter {key}", Verdict.DIFFERENT, short(value), short(held[key]))
        else:
            yield check.line(f"parameter {key}", Verdict.MISSING, short(value))
    for key in sorted(held.keys() - check.metadata.config.keys() - {SECTION}):
        yield check.line(f"parameter {key}", Verdict.EXTRA, "", short(held[key]))
    rounded = len(of_pairs(check.metadata.origin.get("exact")))
    if rounded:
        yield check.line("parameters of 17 digits", Verdict.LOST, rounded, "16 shown, all in the config")
    if same:
        yield check.line("parameters", Verdict.EQUAL, same, same)


def _milliseconds(text: str | None) -> int | None:
    if not text:
        return None
    return milliseconds(datetime.fromisoformat(text.replace("Z", "+00:00")))


def _not_readable(check: Check, counts: dict[str, int], entries: Entries) -> Iterator[Comparison]:
    """Counts of what Pluto gives no way to read, and how many of them it has acknowledged, as far as this
    machine has loaded the run."""
    histograms = check.content.run.counts().get(AttributeType.HISTOGRAM_SERIES)
    rows = {
        "histograms": histograms.rows if histograms else 0,
        "string series entries": entries.counts["string series entries"],
    }
    for what, expected in rows.items():
        if expected:
            arrived = f"{counts[what]} acknowledged; " if what in counts else ""
            yield check.line(what, Verdict.UNKNOWN, expected, f"{arrived}Pluto gives no way to read them")

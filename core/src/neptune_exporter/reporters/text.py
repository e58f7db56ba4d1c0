"""The summary as tables for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from typing import Literal, TextIO

from neptune_exporter.contract import DatasetSummary, ExportedRun, ProjectSummary, Reporter, RunSummary
from neptune_exporter.model import AttributeType, RunKey, RunKind
from neptune_exporter.redaction import printable
from neptune_exporter.reporters.grouping import Line, grouped
from neptune_exporter.reporters.table import Cell, counted, room_of, size, table_lines

TYPE_HEADER = ("attribute type", "attributes", "rows")
RUN_HEADER = (
    *("run", "name", "tags", "state", "attributes", "rows", "steps", "first step", "last step"),
    *("first time (UTC)", "last time (UTC)", "data", "files", "failed"),
)
_INDENT = "  "
_NAMES = {RunKind.RUN: "run", RunKind.MODEL: "model", RunKind.MODEL_VERSION: "model version"}


class TextReporter(Reporter):
    """Project by project: attribute types, then runs; at the end what is wrong."""

    def write(self, summary: DatasetSummary, open_run: Callable[[RunKey], ExportedRun], out: TextIO) -> None:
        for line in _lines(summary, room_of(out)):
            out.write(printable(line) + "\n")


def _lines(summary: DatasetSummary, room: int | None) -> Iterator[str]:
    runs = summary.runs
    yield f"{counted(len(summary.projects), 'project')}, {kinds(runs)}"
    yield f"data   {_bytes(sum(r.data_bytes for r in runs))} in {summary.data_path}"
    files, file_bytes = sum(r.files for r in runs), sum(r.file_bytes for r in runs)
    yield f"files  {_bytes(file_bytes)} in {counted(files, 'file')} in {summary.files_path}"
    for project in summary.projects:
        yield ""
        yield from _project(project, None if room is None else room - len(_INDENT))
    yield from _section("Problems", [*lines_of_runs(summary, "problems"), *summary.problems])
    yield from _section("Notes", lines_of_runs(summary, "notes"))


def lines_of_runs(summary: DatasetSummary, what: Literal["problems", "notes"]) -> list[str]:
    """What is wrong with runs, or what else is to be said of them."""
    lines = [Line(str(run.key), text) for run in summary.runs for text in getattr(run, what)]
    return grouped(lines, show_all=summary.show_all)


def _section(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield f"{title}:"
        yield from (f"  {line}" for line in lines)


def _project(project: ProjectSummary, room: int | None) -> Iterator[str]:
    yield f"{project.project_id}: {kinds(project.runs)}"
    if types := type_rows(project.runs):
        yield ""
        yield from _indented(table_lines(TYPE_HEADER, types, room))
    if project.runs:
        yield ""
        yield from _indented(table_lines(RUN_HEADER, run_rows(project.runs), room))


def type_rows(runs: Iterable[RunSummary]) -> list[tuple[Cell, ...]]:
    """Attributes and rows of each attribute type, over all runs: a row for each, as `TYPE_HEADER` says."""
    attributes: Counter[AttributeType] = Counter()
    rows: Counter[AttributeType] = Counter()
    for run in runs:
        for attribute_type, count in run.types.items():
            attributes[attribute_type] += count.attributes
            rows[attribute_type] += count.rows
    return [(t.value, attributes[t], rows[t]) for t in AttributeType if t in attributes]


def run_rows(runs: Iterable[RunSummary]) -> Iterator[tuple[Cell, ...]]:
    """A row for each run, as `RUN_HEADER` says."""
    for run in runs:
        counts = run.types.values()
        yield (
            run.key.run_id if run.key.kind is RunKind.RUN else f"{run.key.run_id} ({run.key.kind})",
            run.name,
            ", ".join(run.tags) or None,
            run.state,
            sum(c.attributes for c in counts),
            sum(c.rows for c in counts),
            run.steps.count,
            _step(run.steps.minimum),
            _step(run.steps.maximum),
            _time(run.first_time),
            _time(run.last_time),
            size(run.data_bytes),
            f"{run.files:,} ({size(run.file_bytes)})",
            run.failures,
        )


def kinds(runs: Iterable[RunSummary]) -> str:
    """How many runs, models and model versions these are."""
    counts = Counter(run.key.kind for run in runs)
    shown = [
        f"{counts[kind]:,} {name if counts[kind] == 1 else name + 's'}"
        for kind, name in _NAMES.items()
        if counts[kind] or kind is RunKind.RUN
    ]
    return ", ".join(shown)


def _step(value: float | None) -> str | None:
    return None if value is None else f"{value:.15g}"


def _time(value: datetime | None) -> str | None:
    return value.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S") if value is not None else None


def _bytes(count: int) -> str:
    return f"{count:,} bytes ({size(count)})" if count >= 1000 else f"{count} bytes"


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (_INDENT + line if line else "" for line in lines)

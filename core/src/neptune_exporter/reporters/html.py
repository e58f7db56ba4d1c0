"""The summary as one HTML page that needs nothing else: to keep beside an archive."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape as _escape
from typing import TextIO

from neptune_exporter.contract import DatasetSummary, ExportedRun, ProjectSummary, Reporter
from neptune_exporter.model import RunKey
from neptune_exporter.redaction import printable
from neptune_exporter.reporters.grouping import grouped
from neptune_exporter.reporters.table import Cell, size
from neptune_exporter.reporters.text import (
    RUN_HEADER,
    TYPE_HEADER,
    counted,
    kinds,
    note_lines,
    problem_lines,
    run_rows,
    type_rows,
)

_HEAD = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Neptune export</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: #222; background: #fff; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; }
th, td { padding: .2rem .8rem; border-bottom: 1px solid #ddd; text-align: left; white-space: nowrap; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
summary { font-size: 1.2rem; cursor: pointer; }
</style>
"""


class HtmlReporter(Reporter):
    """A section for each project, folded up but for the first."""

    def write(self, summary: DatasetSummary, open_run: Callable[[RunKey], ExportedRun], out: TextIO) -> None:
        for part in _page(summary):
            out.write(part + "\n")


def escape(text: str) -> str:
    """Data as the page shows it: nothing that is no text, and no markup."""
    return _escape(printable(text))


def _page(summary: DatasetSummary) -> Iterator[str]:
    runs = [run for project in summary.projects for run in project.runs]
    data, files = sum(r.data_bytes for r in runs), sum(r.file_bytes for r in runs)
    yield _HEAD
    yield "<h1>Neptune export</h1>"
    projects = counted(len(summary.projects), "project")
    yield f"<p>{projects}, {kinds(runs)}; data {size(data)}, files {size(files)}</p>"
    for number, project in enumerate(summary.projects):
        yield from _project(project, is_open=number == 0)
    show_all = summary.show_all
    yield from _list("Problems", [*grouped(problem_lines(summary), show_all=show_all), *summary.problems])
    yield from _list("Notes", grouped(note_lines(summary), show_all=show_all))
    yield "</html>"


def _project(project: ProjectSummary, *, is_open: bool) -> Iterator[str]:
    yield "<details open>" if is_open else "<details>"
    yield f"<summary>{escape(project.project_id)}: {kinds(project.runs)}</summary>"
    yield from _table(TYPE_HEADER, type_rows(project.runs))
    yield from _table(RUN_HEADER, run_rows(project.runs))
    yield "</details>"


def _table(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Iterator[str]:
    if not rows:
        return
    yield "<table>"
    yield "<tr>" + "".join(f"<th>{escape(name)}</th>" for name in header) + "</tr>"
    for row in rows:
        yield "<tr>" + "".join(map(_cell, row)) + "</tr>"
    yield "</table>"


def _cell(value: Cell) -> str:
    if isinstance(value, int):
        return f'<td class="number">{value:,}</td>'
    return f"<td>{escape(value) if value is not None else ''}</td>"


def _list(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"<h2>{title}</h2>"
        yield "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"

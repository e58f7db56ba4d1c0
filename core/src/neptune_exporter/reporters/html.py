"""The summary as one HTML page that needs nothing else: to keep beside an archive."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from neptune_exporter.contract import (
    DatasetError,
    DatasetSummary,
    ExportedRun,
    ProjectSummary,
    Reporter,
    RunSummary,
)
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.reporters import text
from neptune_exporter.reporters.grouping import Line, grouped
from neptune_exporter.reporters.project_page import PageBudget, colour_rules, curves_and_parameters, escape
from neptune_exporter.reporters.table import Cell, counted, size

_HEAD = (
    """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>Neptune export</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; }
th, td { padding: .2rem .8rem; border-bottom: 1px solid #8885; text-align: left; white-space: nowrap; }
td { max-width: 24rem; overflow: hidden; text-overflow: ellipsis; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
summary { font-size: 1.2rem; cursor: pointer; }
.wide { overflow-x: auto; }
.problems { border-left: 4px solid #c33; padding-left: 1rem; overflow-wrap: anywhere; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(340px, 1fr)); gap: 1rem; }
figure { margin: 0; overflow-wrap: anywhere; }
figure svg { width: 100%; background: #8881; overflow: visible; }
figure small { display: flex; justify-content: space-between; }
path { fill: none; stroke-width: 1.2; stroke-linecap: round; vector-effect: non-scaling-stroke; }
img { max-width: 100%; max-height: 200px; image-rendering: pixelated; }
"""
    + colour_rules()
    + """
</style>
"""
)


class HtmlReporter(Reporter):
    """A section for each project, folded up but for the first."""

    def write(self, summary: DatasetSummary, open_run: Callable[[RunKey], ExportedRun], out: TextIO) -> None:
        for part in _page(summary, open_run):
            out.write(part + "\n")


def _page(summary: DatasetSummary, open_run: Callable[[RunKey], ExportedRun]) -> Iterator[str]:
    runs = summary.runs
    data, files = sum(r.data_bytes for r in runs), sum(r.file_bytes for r in runs)
    yield _HEAD
    yield "<h1>Neptune export</h1>"
    projects = counted(len(summary.projects), "project")
    yield f"<p>{projects}, {text.kinds(runs)}; data {size(data)}, files {size(files)}</p>"
    yield '<section class="problems">'
    yield from _list("Problems", [*text.lines_of_runs(summary, "problems"), *summary.problems])
    yield from _list("Not exported", grouped(_failures(runs, open_run), show_all=summary.show_all))
    yield "</section>"
    budget = PageBudget.for_series(sum(_series(run) for run in runs))
    for number, project in enumerate(summary.projects):
        yield from _project(project, open_run, budget, is_open=number == 0)
    yield from _list("Notes", text.lines_of_runs(summary, "notes"))
    yield "</html>"


def _failures(runs: Sequence[RunSummary], open_run: Callable[[RunKey], ExportedRun]) -> Iterator[Line]:
    """What the export could not read."""
    for run in (run for run in runs if run.failures):
        try:
            failures = open_run(run.key).failures
        except DatasetError as error:
            yield Line(str(run.key), f"{counted(run.failures, 'attribute')}, unknown which: {error}")
            continue
        for failure in failures:
            yield Line(str(run.key), failure.message, failure.attribute_path or "", is_sentence=False)


def _series(run: RunSummary) -> int:
    count = run.types.get(AttributeType.FLOAT_SERIES)
    return 0 if count is None else count.attributes


def _project(
    project: ProjectSummary, open_run: Callable[[RunKey], ExportedRun], budget: PageBudget, *, is_open: bool
) -> Iterator[str]:
    yield "<details open>" if is_open else "<details>"
    yield f"<summary>{escape(project.project_id)}: {text.kinds(project.runs)}</summary>"
    yield from _table(text.TYPE_HEADER, text.type_rows(project.runs))
    yield from _table(text.RUN_HEADER, list(text.run_rows(project.runs)))
    yield from curves_and_parameters([run.key for run in project.runs], open_run, budget)
    yield "</details>"


def _table(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Iterator[str]:
    if not rows:
        return
    yield '<div class="wide"><table>'
    yield "<tr>" + "".join(f"<th>{escape(name)}</th>" for name in header) + "</tr>"
    for row in rows:
        yield "<tr>" + "".join(map(_cell, row)) + "</tr>"
    yield "</table></div>"


def _cell(value: Cell) -> str:
    if isinstance(value, int):
        return f'<td class="number">{value:,}</td>'
    return f"<td>{escape(value) if value is not None else ''}</td>"


def _list(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"<h2>{title}</h2>"
        yield "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"

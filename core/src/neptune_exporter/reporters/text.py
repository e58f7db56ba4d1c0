"""The summary as tables for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from typing import TextIO

from neptune_exporter.contract import (
    DatasetSummary,
    ExportedRun,
    ProjectSummary,
    Reporter,
    RunSummary,
    TypeCount,
)
from neptune_exporter.model import AttributeType, RunKey, RunKind
from neptune_exporter.reporters.table import size, table

_PLURAL = {RunKind.RUN: "runs", RunKind.MODEL: "models", RunKind.MODEL_VERSION: "model versions"}


class TextReporter(Reporter):
    """Project by project: attribute types, then runs; at the end what is wrong."""

    def write(self, summary: DatasetSummary, open_run: Callable[[RunKey], ExportedRun], out: TextIO) -> None:
        for line in _lines(summary):
            out.write(line + "\n")


def _lines(summary: DatasetSummary) -> Iterator[str]:
    runs = [run for project in summary.projects for run in project.runs]
    yield f"{_counted(len(summary.projects), 'project')}, {_kinds(runs)}"
    yield f"data   {_bytes(sum(r.data_bytes for r in runs))} in {summary.data_path}"
    files, file_bytes = sum(r.files for r in runs), sum(r.file_bytes for r in runs)
    yield f"files  {_bytes(file_bytes)} in {_counted(files, 'file')} in {summary.files_path}"
    for project in summary.projects:
        yield ""
        yield from _project(project)
    problems = [f"{run.key}: {text}" for run in runs for text in run.problems]
    problems += summary.problems
    yield from _section("Problems", problems)
    yield from _section("Notes", [f"{run.key}: {text}" for run in runs for text in run.notes])


def _section(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield f"{title}:"
        yield from (f"  {line}" for line in lines)


def _project(project: ProjectSummary) -> Iterator[str]:
    yield f"{project.project_id}: {_kinds(project.runs)}"
    types = _types(project.runs)
    if types:
        yield ""
        rows = [(t.value, types[t].attributes, types[t].rows) for t in AttributeType if t in types]
        yield _indented(table(("attribute type", "attributes", "rows"), rows))
    if project.runs:
        yield ""
        yield _indented(_runs(project.runs))


def _types(runs: Iterable[RunSummary]) -> dict[AttributeType, TypeCount]:
    total: dict[AttributeType, TypeCount] = {}
    for run in runs:
        for attribute_type, count in run.types.items():
            sum_ = total.get(attribute_type, TypeCount(0, 0))
            total[attribute_type] = TypeCount(sum_.attributes + count.attributes, sum_.rows + count.rows)
    return total


def _runs(runs: Iterable[RunSummary]) -> str:
    header = ["run", "state", "attributes", "rows", "steps", "first step", "last step"]
    header += ["first time (UTC)", "last time (UTC)", "data", "files", "failed"]
    rows = [
        (
            run.key.run_id if run.key.kind is RunKind.RUN else f"{run.key.run_id} ({run.key.kind})",
            run.state,
            sum(c.attributes for c in run.types.values()),
            sum(c.rows for c in run.types.values()),
            run.steps.count,
            _step(run.steps.minimum),
            _step(run.steps.maximum),
            _time(run.first_time),
            _time(run.last_time),
            size(run.data_bytes),
            f"{run.files:,} ({size(run.file_bytes)})",
            run.failures,
        )
        for run in runs
    ]
    return table(header, rows)


def _kinds(runs: Iterable[RunSummary]) -> str:
    runs = list(runs)
    counts = {kind: sum(run.key.kind is kind for run in runs) for kind in RunKind}
    shown = [
        f"{n:,} {_PLURAL[kind].removesuffix('s') if n == 1 else _PLURAL[kind]}"
        for kind, n in counts.items()
        if n or kind is RunKind.RUN
    ]
    return ", ".join(shown)


def _step(value: float | None) -> str | None:
    if value is None:
        return None
    return f"{value:.15g}"


def _time(value: datetime | None) -> str | None:
    return value.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S") if value is not None else None


def _bytes(count: int) -> str:
    return f"{count:,} bytes ({size(count)})" if count >= 1000 else f"{count} bytes"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _indented(text: str) -> str:
    return "\n".join("  " + line for line in text.splitlines())

"""What an export shows at its end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neptune_exporter.cli import output
from neptune_exporter.cli.exit_codes import ExitCode
from neptune_exporter.reporters.grouping import Line
from neptune_exporter.reporters.json import plain
from neptune_exporter.reporters.table import counted, size
from neptune_exporter.suggestions import some

if TYPE_CHECKING:
    from neptune_exporter.jobs.estimating import Estimate
    from neptune_exporter.jobs.export import ExportOptions
    from neptune_exporter.jobs.export_result import ExportResult


def report_export(
    result: ExportResult, job: ExportOptions, *, as_json: bool, report: Path | None
) -> ExitCode:
    """Print the result, write the error report, and say what the exit code is."""
    written = None
    if not job.dry_run:
        default = job.data_path.reports / output.report_name("errors")
        written = output.write_report(report, default, list(_error_records(result)))
    code = _exit_code(result)
    if as_json:
        output.print_json({**_document(result, job), "error_report": written, "exit_code": code})
    elif job.dry_run:
        _print_plan(result, job)
    else:
        _print_result(result, written, job)
    return code


def _exit_code(result: ExportResult) -> ExitCode:
    if result.complete:
        return ExitCode.COMPLETE
    something = result.planned or any(p.exported or p.up_to_date for p in result.projects)
    return ExitCode.PARTIAL if something or not result.failed else ExitCode.FAILURE


def _error_records(result: ExportResult) -> Iterator[dict[str, Any]]:
    for f in result.failures:
        attribute = {"attribute": f.attribute_path or None, "type": f.attribute_type}
        tries = {"attempts": f.attempts, "permanent": f.permanent}
        run = {"run": f.run.run_id, "kind": f.run.kind}
        yield {**_error_record(f.run.project_id, f.message, f.time), **run, **attribute, **tries}
    for project in result.projects:
        if project.error is not None:
            yield _error_record(project.project_id, project.error, project.failed_at)


def _error_record(project_id: str, message: str, time: datetime | None) -> dict[str, Any]:
    """The record of a project that failed as a whole."""
    of_run = dict.fromkeys(("run", "kind", "attribute", "type"))
    tries = {"attempts": 1, "permanent": False}
    return {"time": time, "project": project_id, **of_run, "message": message, **tries}


def _document(result: ExportResult, job: ExportOptions) -> dict[str, Any]:
    return {
        "command": "export",
        "dry_run": job.dry_run,
        "complete": result.complete,
        "data_path": job.data_path,
        "files_path": job.files_path,
        **plain(result),
    }


def _print_plan(result: ExportResult, job: ExportOptions) -> None:
    from neptune_exporter.jobs.planning import Action

    rows = [(str(p.key), p.action.value, p.reason) for p in result.planned]
    if rows:
        output.echo_table(("run", "action", "why"), rows)
        click.echo()
    not_read = (Action.UP_TO_DATE.value, Action.REFUSE.value)
    actions = [action for _, action, _ in rows if action not in not_read]
    summary = ", ".join(f"{actions.count(a):,} {a}" for a in dict.fromkeys(actions))
    why = f" ({summary})" if summary else ""
    click.echo(f"would read {len(actions):,} of {counted(len(rows), 'run')}{why}; nothing was written")
    if rows and result.estimate is not None:
        click.echo(_estimated(result.estimate))
    if not job.attributes.is_of_all_paths:
        click.echo("-a was not checked: which attributes a run has is known only once it is read")
    _print_unknown_ids(result)
    _print_project_errors(result)
    _print_failures(result)


def _estimated(estimate: Estimate) -> str:
    rows = "an unknown number of rows" if estimate.rows is None else counted(estimate.rows, "row")
    data = "an unknown size" if estimate.data_bytes is None else f"{size(estimate.data_bytes)} of parquet"
    if estimate.requests is None:
        requests = "an unknown number of requests"
    else:
        requests = counted(estimate.requests, "request")
    return f"estimate, for all attributes and without files: {rows}, {data}, {requests}"


def _print_result(result: ExportResult, written: Path | None, job: ExportOptions) -> None:
    known = [p for p in result.projects if not p.unknown]
    header = ("project", "listed", "exported", "up to date", "failed")
    rows = [(p.project_id, p.listed, p.exported, p.up_to_date, p.failed_runs) for p in known]
    if rows:
        output.echo_table(header, rows)
    click.echo(
        f"{counted(result.rows, 'row')}, {counted(result.files, 'file')} ({size(result.file_bytes)}) written"
    )
    if not any(p.listed or p.error for p in result.projects):
        from neptune_exporter.jobs.not_found import noun_of

        click.echo(f"No {noun_of(job.runs)} matches these options.")
    _print_empty(result)
    _print_unknown_ids(result)
    _print_missing(result)
    _print_project_errors(result)
    _print_failures(result)
    if written is not None:
        click.echo()
        output.echo_line(f"error report: {written}")
    if result.mendable:
        click.echo("Run the same command again once the cause is gone: it asks only for what failed.")


def _print_empty(result: ExportResult) -> None:
    if empty := sum(p.empty for p in result.projects):
        have = "has" if empty == 1 else "have"
        click.echo(f"{counted(empty, 'run')} {have} none of these attributes, and so nothing was written")


def _print_missing(result: ExportResult) -> None:
    elsewhere, for_good = (
        [Line(str(f.run), f.message, f.attribute_path, False) for f in result.missing if f.permanent is which]
        for which in (False, True)
    )
    output.echo_grouped("Still missing (an earlier export could not read it)", elsewhere)
    if elsewhere:
        where = "again from where that export read, and " if result.partial else ""
        click.echo(f"To read it, export {where}all that was asked for then (-c, --exclude, -a).")
    output.echo_grouped("Permanently unavailable (reported by an earlier export)", for_good)
    if for_good:
        click.echo(f"They are read again only if their runs change{_by_force(result)}.")


def _print_failures(result: ExportResult) -> None:
    for_good = f" (not tried again until the run changes{_by_force(result)})"
    lines = [
        Line(
            str(f.run), f.message + (for_good if f.permanent and not f.lost else ""), f.attribute_path, False
        )
        for f in result.failures
    ]
    output.echo_grouped("Failed", lines)


def _by_force(result: ExportResult) -> str:
    return "" if result.partial else ", or with --force"


def _print_project_errors(result: ExportResult) -> None:
    lines = output.lines_of((p.project_id, p.error) for p in result.projects if p.error)
    output.echo_grouped("Projects that failed", lines, noun="project")


def _print_unknown_ids(result: ExportResult) -> None:
    for line in result.not_found:
        output.echo_line(line)
    if result.unknown_ids:
        ids = f"{some(result.unknown_ids)}{result.near_unknown}"
        output.echo_line(f"-r: no run that matches these options has the id {ids}")

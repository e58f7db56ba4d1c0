"""`load`: from the dataset into a tracker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neptune_exporter.cli import options as opt
from neptune_exporter.cli import output
from neptune_exporter.cli.command import Command, plugin_settings
from neptune_exporter.cli.exit_codes import ExitCode
from neptune_exporter.cli.selection import project_ids, run_selection, selected_classes
from neptune_exporter.cli.state import state_of
from neptune_exporter.cli.summary import existing_dataset, nothing_taken
from neptune_exporter.cli.verify import comparison_lines, verdict_counts, verdicts
from neptune_exporter.contract.specs import SinkSpec
from neptune_exporter.redaction import one_line
from neptune_exporter.reporters.json import plain
from neptune_exporter.reporters.table import Cell, counted, size

if TYPE_CHECKING:
    from neptune_exporter.jobs.load import LoadJobOptions, LoadResult


@dataclass(frozen=True)
class LoadArguments(opt.RunArguments):
    """The options, as they were typed."""

    loader: str | None
    classes: Sequence[str]
    exclude: Sequence[str]
    name_prefix: str
    step_multiplier: Decimal | None
    executor: str | None
    workers: int | None
    no_verify: bool
    dry_run: bool
    loss_report: Path | None
    as_json: bool


@click.command("load", cls=Command, kind="loader")
@opt.plugin("--loader", "loader", help="Where to load.  [required]")
@opt.dataset_options
@opt.selected_runs
@opt.classes
@opt.exclude
@opt.option("--name-prefix", default="", help="Put before the name of every run.")
@opt.option(
    "--step-multiplier",
    type=opt.PositiveDecimal(),
    help="For targets that take only whole steps: multiply steps by this. Default: the loader chooses.",
)
@opt.workers(2, "runs")
@opt.option("--no-verify", is_flag=True, help="Skip the comparison of counts with the target at the end.")
@opt.dry_run
@opt.report_file(
    "--loss-report",
    help="JSON lines of what the target could not hold. "
    "Default: ./losses-<time>.jsonl, if anything was lost.",
)
@opt.show_all
@opt.as_json
@click.pass_context
@opt.collected(LoadArguments)
def load(ctx: click.Context, given: LoadArguments) -> int:
    """Load a dataset into a tracker: parents first, each run once, with a list of what was lost.

    Run it again to continue after an interruption: what has arrived is not sent again. To load more classes
    than an earlier load with -c, name all of them: each run is then loaded again as a whole.
    """
    state = state_of(ctx)
    spec = state.plugins.select(SinkSpec, given.loader)
    settings = plugin_settings(state, "loader", spec)
    existing_dataset(given.data_path, given.files_path)
    output.prepare_report(None if given.dry_run else given.loss_report, "--loss-report")

    from neptune_exporter.cli.progress import shown_progress
    from neptune_exporter.contract.sink import LoadOptions
    from neptune_exporter.jobs.load import LoadJobOptions, load_runs

    job = LoadJobOptions(
        data_path=given.data_path,
        files_path=given.files_path,
        project_ids=project_ids(given.project_ids),
        runs=run_selection(given.runs),
        classes=selected_classes(given.classes, given.exclude),
        load=LoadOptions(given.name_prefix, given.step_multiplier),
        executor=given.executor,
        workers=given.workers,
        dry_run=given.dry_run,
        verify=not given.no_verify,
    )
    with shown_progress(quiet=state.no_progress) as progress:
        result = load_runs(spec, settings, job, progress)
    if not (result.loaded or result.already_loaded or result.failed or result.losses or result.planned):
        raise nothing_taken(given.data_path, given.files_path, job.project_ids, job.runs)
    code = _report(result, job, as_json=given.as_json, report=given.loss_report)
    output.offer_checksums(result.without_checksums)
    return code


def _report(result: LoadResult, job: LoadJobOptions, *, as_json: bool, report: Path | None) -> ExitCode:
    written = None
    if not job.dry_run:
        # Not beside the data: an archive is only read.
        default = Path(output.report_name("losses"))
        written = output.write_report(report, default, [plain(loss) for loss in result.losses])
    code = _exit_code(result)
    if as_json:
        output.print_json({**_document(result, job), "loss_report": written, "exit_code": code})
    elif job.dry_run:
        _print_plan(result, compared=job.verify)
    else:
        _print_result(result, written)
    return code


def _exit_code(result: LoadResult) -> ExitCode:
    if result.comparisons.mismatches:
        return ExitCode.MISMATCH
    if result.complete:
        return ExitCode.COMPLETE
    arrived = result.loaded or result.already_loaded or result.planned
    return ExitCode.FAILURE if result.failed and not arrived else ExitCode.PARTIAL


def _document(result: LoadResult, job: LoadJobOptions) -> dict[str, Any]:
    def runs(pairs: Sequence[tuple[Any, Any]]) -> list[dict[str, Any]]:
        return [{"run": key, **plain(run)} for key, run in pairs]

    return {
        "command": "load",
        "dry_run": job.dry_run,
        "complete": result.complete,
        "loaded": runs(result.loaded),
        "already_loaded": runs(result.already_loaded),
        "failed": [{"run": key, "message": message} for key, message in result.failed],
        "counts": result.counts,
        "losses": result.losses,
        "verdicts": verdicts(result.comparisons),
        "comparisons": list(result.comparisons),
        "export_failures": result.unexported.total(),
        "not_found": result.not_found,
        "not_read": result.not_read,
        "closing_report": result.closing_report,
        "planned": result.planned,
    }


def _print_plan(result: LoadResult, *, compared: bool) -> None:
    types = sorted({t for plan in result.planned for t in plan.rows})
    if result.planned:
        rows: list[tuple[Cell, ...]] = [
            (str(plan.key), *(plan.rows.get(t, 0) for t in types)) for plan in result.planned
        ]
        output.echo_table(("run", *(t.value for t in types)), rows)
        click.echo()
    click.echo(f"would load {counted(len(result.planned), 'run')}; nothing was sent")
    if result.planned:
        click.echo("the target was not asked: runs that are loaded already will be passed over")
        click.echo(_estimated(result, compared))
    _print_missing(result)


def _estimated(result: LoadResult, compared: bool) -> str:
    rows = sum(sum(plan.rows.values()) for plan in result.planned)
    known = [plan.file_bytes for plan in result.planned if plan.file_bytes is not None]
    files = f"{size(sum(known))} of files"
    if len(known) < len(result.planned):
        files = f"{files} and those of other tools' exports" if sum(known) else "files of an unknown size"
    requests = [plan.requests for plan in result.planned if plan.requests is not None]
    all_known = len(requests) == len(result.planned)
    asked = "an unknown number of requests"
    if all_known:
        more_asked = ", and more for the comparison at the end" if compared else ""
        asked = f"about {counted(sum(requests), 'request')}{more_asked}"
    return f"estimate: {counted(rows, 'row')}, {files}, {asked}"


def _print_missing(result: LoadResult) -> None:
    for advice, count in result.unexported.items():
        output.echo_line(f"{counted(count, 'attribute')} could not be exported; {advice}")
    for line in result.not_found:
        output.echo_line(line)
    output.echo_list("Files in the data folder that are not loaded", result.not_read)
    output.echo_grouped("Failed", output.lines_of(result.failed))
    if result.losses:
        click.echo("\nWhat the target could not hold:")
        _print_losses(result)


def _runs_loaded(result: LoadResult) -> str:
    there = len(result.already_loaded)
    earlier = f", {there:,} {'was' if there == 1 else 'were'} there already" if there else ""
    failed = f", {len(result.failed):,} failed" if result.failed else ""
    return f"{counted(len(result.loaded), 'run')} loaded{earlier}{failed}"


def _print_result(result: LoadResult, written: Path | None) -> None:
    click.echo(_runs_loaded(result))
    if sent := [output.counted_of(count, what) for what, count in result.counts.items() if count]:
        click.echo("sent: " + ", ".join(sent))
    for label, value in result.closing_report.items():
        text = f"{label}: {value:,}" if isinstance(value, int) else output.on_one_line(label, value)
        output.echo_line(text)
    _print_missing(result)
    if result.losses and written is not None:
        click.echo()
        output.echo_line(f"loss report: {written}")
    if result.comparisons:
        click.echo(f"\ncompared with the target: {verdict_counts(result.comparisons)}")
        differences = comparison_lines(result.comparisons.mismatches, show_all=output.shows_all())
        output.echo_list("Differences", differences)


def _print_losses(result: LoadResult) -> None:
    """What, where, how many, why: one line for each reason."""
    groups: dict[tuple[str, str, bool], list[Any]] = defaultdict(list)
    for loss in result.losses:
        groups[loss.reason, loss.message, loss.requested].append(loss)
    rows = [
        (
            reason,
            len({loss.run for loss in losses}),
            len({(loss.run, loss.attribute_path) for loss in losses if loss.attribute_path}),
            sum(loss.count for loss in losses),
            one_line(message) + (" (as asked for)" if requested else ""),
        )
        for (reason, message, requested), losses in sorted(groups.items(), key=lambda item: item[0])
    ]
    output.echo_table(("what", "runs", "attributes", "count", "why"), rows)

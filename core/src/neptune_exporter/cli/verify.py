"""`verify`: the dataset against itself, or a tracker against the dataset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
from neptune_exporter.contract.specs import SinkSpec
from neptune_exporter.errors import UsageError
from neptune_exporter.redaction import one_line
from neptune_exporter.reporters.grouping import Line, grouped
from neptune_exporter.reporters.json import plain
from neptune_exporter.reporters.table import counted, size

if TYPE_CHECKING:
    from neptune_exporter.contract.sink import Comparison
    from neptune_exporter.dataset import Dataset, Finding, RunRecorded
    from neptune_exporter.jobs.accepting import Accepted
    from neptune_exporter.jobs.comparing import Comparisons
    from neptune_exporter.jobs.verify import VerifyResult


@dataclass(frozen=True)
class VerifyArguments(opt.RunArguments):
    """The options, as they were typed."""

    classes: Sequence[str]
    loader: str | None
    full: bool
    record: bool
    accept: Path | None
    write_accepted: Path | None
    executor: str | None
    workers: int | None
    as_json: bool


@click.command("verify", cls=Command, kind="loader")
@opt.dataset_options
@opt.selected_runs
@opt.plugin(
    "--loader", "loader", help="Compare this tracker with the dataset. Default: check the dataset itself."
)
@opt.classes
@opt.option("--full", is_flag=True, help="With --loader: compare every value, not only counts.")
@opt.option(
    "--record",
    is_flag=True,
    help="Write checksums beside runs that have none (exports of other tools), to find later damage.",
)
@opt.report_file(
    "--accept",
    help="JSON file of damage that is known and accepted: exit code 0 then means that nothing is new.",
)
@opt.report_file("--write-accepted", help="Write all damage found now to this file, for --accept.")
@opt.workers(2, "runs are checked or compared")
@opt.show_all
@opt.as_json
@click.pass_context
@opt.collected(VerifyArguments)
def verify(ctx: click.Context, given: VerifyArguments) -> int:
    """Prove that a dataset is whole (receipts, checksums, files), or that a tracker holds what it holds.

    A comparison marks each item: = equal, - missing in the target, + only there,
    * different, ~ different as a known loss says, ? cannot be known.
    """
    state = state_of(ctx)
    selection = run_selection(given.runs)
    _check_for_loader(given, state.flags)
    spec = state.plugins.select(SinkSpec, given.loader) if given.loader is not None else None
    settings = plugin_settings(state, "loader", spec) if spec is not None else None
    existing_dataset(given.data_path, given.files_path)
    output.prepare_report(given.write_accepted, "--write-accepted")

    from neptune_exporter.cli.progress import shown_progress
    from neptune_exporter.contract.sink import LoadOptions
    from neptune_exporter.dataset import Dataset
    from neptune_exporter.jobs.accepting import read_accepted
    from neptune_exporter.jobs.load import LoadJobOptions
    from neptune_exporter.jobs.verify import verify_dataset, verify_sink

    known = read_accepted(given.accept) if given.accept is not None else None
    job = LoadJobOptions(
        given.data_path,
        given.files_path,
        project_ids(given.project_ids),
        selection,
        selected_classes(given.classes, ()),
        LoadOptions(only_compares=True),
        executor=given.executor,
        workers=given.workers,
    )
    is_verbose = state.verbose > 0
    with shown_progress(quiet=state.no_progress) as progress:
        if spec is None:
            result = verify_dataset(job, progress, recording=given.record)
        else:
            result = verify_sink(
                spec, settings, job, full=given.full, progress=progress, with_equal=is_verbose
            )
    if not result.runs_checked and not result.findings:
        raise nothing_taken(given.data_path, given.files_path, job.project_ids, job.runs)
    _divide_accepted(result, Dataset(given.data_path, given.files_path), known, given.write_accepted)
    code = _exit_code(result)
    if given.as_json:
        output.print_json({**_document(result), "exit_code": code})
    else:
        _print(result, compared=spec is not None, everything=is_verbose)
    output.offer_checksums(result.without_checksums)
    return code


def _divide_accepted(
    result: VerifyResult, dataset: Dataset, known: list[Accepted] | None, write_to: Path | None
) -> None:
    """Write all damage for a later --accept, and take out what is accepted already."""
    from neptune_exporter.jobs.accepting import accepted_document, divide

    if write_to is not None:
        document = accepted_document(dataset, result.findings)
        write_to.write_text(output.json_text(document) + "\n", encoding="utf-8")
    if known:
        result.findings, result.accepted, result.outdated = divide(dataset, result.findings, known)


def _check_for_loader(given: VerifyArguments, flags: Mapping[str, object]) -> None:
    """Raises UsageError if an option needs --loader, or goes only without it. `flags`: those of a loader."""
    needs, excludes = "it needs --loader", "is for the dataset itself: give it without --loader"
    if given.loader is None:
        refused = {
            f"--full compares with a tracker: {needs}": given.full,
            f"-c compares these classes with a tracker: {needs}": given.classes,
            f"{next(iter(flags), '')} is an option of a loader: {needs}": flags,
        }
    else:
        refused = {
            f"--record {excludes}": given.record,
            f"--accept {excludes}": given.accept,
            f"--write-accepted {excludes}": given.write_accepted,
        }
    if message := next(filter(refused.get, refused), None):
        raise UsageError(message)


def comparison_lines(comparisons: Iterable[Comparison], *, show_all: bool) -> list[str]:
    """Differences with their mark in front, in the manner of `rclone check`; those of a kind in one line."""
    by_mark: dict[str, list[Line]] = {mark: [] for mark in _IN_WORDS}
    for c in comparisons:
        by_mark[c.verdict.value].append(Line(str(c.run), _difference(c), c.item, is_sentence=False))
    return [f"{mark} {text}" for mark, lines in by_mark.items() for text in grouped(lines, show_all=show_all)]


def _difference(comparison: Comparison) -> str:
    if comparison.verdict.value == "?":  # what was found is a reason then
        return f"expected {comparison.expected or 'nothing'}; {comparison.found or 'unknown'}"
    if comparison.expected or comparison.found:
        return f"expected {comparison.expected or 'nothing'}, found {comparison.found or 'nothing'}"
    return _IN_WORDS[comparison.verdict.value]


_IN_WORDS = {
    "=": "equal",
    "-": "missing in the target",
    "+": "only in the target",
    "*": "different",
    "~": "different as a known loss says",
    "?": "cannot be read back from the target",
}


def verdicts(comparisons: Comparisons) -> dict[str, int]:
    """By mark, how many items got it."""
    return {verdict.value: count for verdict, count in comparisons.counts.items()}


def verdict_counts(comparisons: Comparisons) -> str:
    """How many items got which mark, and what it means: `= 41 equal, - 2 missing in the target`."""
    counts = verdicts(comparisons)
    marks = [f"{mark} {counts[mark]:,} {words}" for mark, words in _IN_WORDS.items() if mark in counts]
    return ", ".join(marks) or "nothing to compare"


def _exit_code(result: VerifyResult) -> ExitCode:
    if result.whole:
        return ExitCode.PARTIAL if result.gaps or result.not_read or result.not_found else ExitCode.COMPLETE
    if not result.failed or result.comparisons.mismatches or any(f.is_damage for f in result.findings):
        return ExitCode.MISMATCH
    return ExitCode.PARTIAL if result.comparisons else ExitCode.FAILURE


def _document(result: VerifyResult) -> dict[str, Any]:
    return {
        "command": "verify",
        "whole": result.whole,
        "gaps": result.gaps,
        "not_read": result.not_read,
        "not_found": result.not_found,
        "runs_checked": result.runs_checked,
        "bytes_checked": result.bytes_checked,
        "findings": [_plain(finding) for finding in result.findings],
        "verdicts": verdicts(result.comparisons),
        "comparisons": list(result.comparisons),
        "failed": [{"run": key, "message": message} for key, message in result.failed],
        "without_checksums": result.without_checksums,
        "recorded": result.recorded,
        "accepted": [_plain(finding) for finding in result.accepted],
        "outdated": result.outdated,
    }


def _plain(finding: Finding) -> dict[str, Any]:
    return {**plain(finding), "message": one_line(finding.message), "is_damage": finding.is_damage}


def _print(result: VerifyResult, *, compared: bool, everything: bool) -> None:
    checked = counted(result.runs_checked, "run")
    if compared:
        click.echo(f"{checked} compared: {verdict_counts(result.comparisons)}")
        for text in comparison_lines(result.comparisons, show_all=output.shows_all() or everything):
            output.echo_line(text)
    else:
        click.echo(f"{checked} checked, {size(result.bytes_checked)} read")
        _print_findings(result)
    done = "compared" if compared else "checked"
    output.echo_grouped(f"Could not be {done}", output.lines_of(result.failed))
    for line in result.not_found:
        output.echo_line(line)
    click.echo(_conclusion(result))


def _line(finding: Finding) -> Line:
    run, of = str(finding.run or ""), finding.attribute
    if not of:
        return Line(run, finding.message, finding.item)
    return Line(run, finding.message, f"{finding.item} of {of}", noun="file")


def _print_findings(result: VerifyResult) -> None:
    from neptune_exporter.dataset import Severity

    shown = 0
    for severity in Severity:
        lines = [_line(finding) for finding in result.findings if finding.severity is severity]
        for text in grouped(lines, show_all=output.shows_all()):
            output.echo_line(f"{severity.value}: {text}")
            shown += 1
    if shown < len(result.findings):
        click.echo("(--all shows each line)")
    if result.accepted:
        click.echo(f"accepted, as it is known: {counted(len(result.accepted), 'problem')}")
    if result.outdated:
        click.echo(f"no longer found, of what the --accept file lists: {result.outdated:,}")
    if result.recorded:
        click.echo(_recorded(result.recorded))


def _recorded(runs: Sequence[RunRecorded]) -> str:
    parts, files = sum(run.parts for run in runs), sum(run.files for run in runs)
    what = f"{counted(parts, 'part')} and {counted(files, 'file')}" if parts else counted(files, "file")
    return f"checksums of {what} of {counted(len(runs), 'run')} recorded"


def _conclusion(result: VerifyResult) -> str:
    """The last line, which people act on: whether the dataset is whole, and what is missing if not."""
    if not result.whole:
        return f"Verification failed: {counted(result.problems, 'problem')}."
    if result.gaps:
        return (
            f"no damage, but {counted(result.gaps, 'item')} could not be exported: do what the lines above "
            "say, or accept what is known (--write-accepted, then --accept)"
        )
    if result.not_read:
        those = "is" if result.not_read == 1 else "are"
        return f"no damage, but {counted(result.not_read, 'file')} in the data folder {those} not read"
    if result.not_found:
        return "what was found is as it should be; the lines above say what was not found"
    if result.accepted:
        return "nothing new: all that was found is accepted"
    if result.findings:
        return f"no damage; {counted(len(result.findings), 'warning')}"
    if unknown := verdicts(result.comparisons).get("?", 0):
        return f"everything that can be read back is as it should be; {counted(unknown, 'item')} cannot"
    return "everything is as it should be"

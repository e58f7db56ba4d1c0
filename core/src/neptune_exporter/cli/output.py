"""Results on stdout, and reports in files: records as JSON, tables for people."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

from neptune_exporter.cli.state import state_of
from neptune_exporter.errors import UsageError
from neptune_exporter.redaction import escaped, one_line, printable, redact
from neptune_exporter.reporters.grouping import Line, grouped
from neptune_exporter.reporters.json import plain
from neptune_exporter.reporters.table import Cell, counted, room_of, table

_SHOWN = 20
"""How many lines of a list of problems are shown; the report has all."""


_log = logging.getLogger(__name__)


def print_json(document: Mapping[str, Any]) -> None:
    """The one JSON document of a command."""
    click.echo(json_text(document))


def json_text(document: Mapping[str, Any]) -> str:
    """The document as JSON, with escapes for control characters and marks of direction."""
    return escaped(json.dumps(plain(document), indent=2, ensure_ascii=False, allow_nan=False))


def prepare_report(path: Path | None, option: str) -> None:
    """Begin the report that a person asked for: before the job, which may take days, not after it. Raises
    UsageError if it cannot be written there."""
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    except OSError as error:
        raise UsageError(f"{option}: {path} cannot be written: {error.strerror}") from error


def withdraw_report(path: Path | None) -> None:
    """Remove a report that was begun and is still empty, if the usage of the command was wrong."""
    with contextlib.suppress(OSError):
        if path is not None and path.is_file() and not path.stat().st_size:
            path.unlink()


def write_report(given: Path | None, default: Path, records: Sequence[Mapping[str, Any]]) -> Path | None:
    """Write one record a line, to the given file or else to the default one if there is any record.

    Returns where it is; None if nothing was written, or nothing could be (which is logged: the result of the
    job is worth more than its report).
    """
    if given is None and not records:
        return None
    path = given or default
    lines = (escaped(json.dumps(plain(r), ensure_ascii=False, allow_nan=False)) + "\n" for r in records)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # An argument may hold bytes that are not UTF-8.
        with path.open("a", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.writelines(lines)
    except OSError as error:
        _log.error("the report %s cannot be written: %s", path, error.strerror)
        return None
    return path


def report_name(what: str) -> str:
    """The default name of a report: `errors-20240501T120000Z.jsonl`."""
    return f"{what}-{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}.jsonl"


def echo_table(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """A table that fits into the terminal, if there is one."""
    click.echo(table(header, rows, room_of(sys.stdout)))


def echo_line(text: str) -> None:
    """A text that shows data, as one line."""
    click.echo(printable(redact(text)))


def on_one_line(what: object, message: str) -> str:
    """Data, and a message about it, which may have several lines."""
    return f"{what}: {one_line(message)}"


def echo_list(title: str, lines: Sequence[str], most: int = _SHOWN) -> None:
    """Print a list with a title; a long list is cut."""
    if not lines:
        return
    click.echo(f"\n{title}:")
    for line in lines[:most]:
        echo_line(f"  {line}")
    if left := len(lines[most:]):
        click.echo(f"  … and {left:,} more")


def lines_of(pairs: Iterable[tuple[Any, str]]) -> list[Line]:
    """Runs (or other subjects), each with a message."""
    return [Line(str(subject), message) for subject, message in pairs]


def shows_all() -> bool:
    """Whether the person asked for `--all`."""
    return state_of(click.get_current_context()).show_all


def echo_grouped(title: str, lines: Sequence[Line], *, noun: str = "run") -> None:
    """A titled list. Without `--all`: grouped, and cut short where it is long."""
    show_all = shows_all()
    texts = grouped(lines, show_all=show_all, noun=noun)
    echo_list(title, texts, len(texts) if show_all else _SHOWN)
    if not show_all and min(len(texts), _SHOWN) < len(lines):
        click.echo("  (--all shows each line)")


def counted_of(count: int, what: str) -> str:
    """As `counted`, for what has its name in the plural: `1 log line`, `3 entries`."""
    if count == 1 and not what.endswith("series"):
        what = f"{what[:-3]}y" if what.endswith("ies") else what.removesuffix("s")
    return f"{count:,} {what}"


def offer_checksums(runs: int) -> None:
    """One line on stderr that says for how many runs damage may go unseen; no line for 0."""
    if runs:
        has = "has" if runs == 1 else "have"
        click.echo(
            f"{counted(runs, 'run')} {has} data of another tool's export without checksums, so damage may go "
            "unseen: `neptune-exporter verify --record` writes them beside the data",
            err=True,
        )

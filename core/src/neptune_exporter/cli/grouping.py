"""Prints what went wrong. Lines that say the same of many runs become one, unless `--all` is given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import click

from neptune_exporter.cli.output import SHOWN, echo_line
from neptune_exporter.cli.state import state_of
from neptune_exporter.reporters.grouping import Line, grouped


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
    if not texts:
        return
    click.echo(f"\n{title}:")
    shown = texts if show_all else texts[:SHOWN]
    for text in shown:
        echo_line(f"  {text}")
    if left := len(texts) - len(shown):
        click.echo(f"  … and {left:,} more")
    if not show_all and len(shown) < len(lines):
        click.echo("  (--all shows each line)")

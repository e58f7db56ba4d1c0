"""Offering to record checksums of runs that have none."""

from __future__ import annotations

import click

from neptune_exporter.cli.output import counted


def offer_checksums(runs: int) -> None:
    """One line on stderr that says for how many runs damage may go unseen; no line for 0."""
    if runs:
        has = "has" if runs == 1 else "have"
        click.echo(
            f"{counted(runs, 'run')} of another tool's export {has} no checksums, so damage may go unseen: "
            "`neptune-exporter verify --record` writes them beside the data",
            err=True,
        )

"""Which runs and attributes are meant, as in neptune-query: a regular expression, or exact names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

from neptune_exporter.contract import RunView, UsageError

Names: TypeAlias = "str | Sequence[str] | None"
"""A regular expression that is searched for in a name, exact names, or everything."""


def chooser(names: Names, what: str) -> Callable[[str], bool]:
    """Whether a name is meant.

    Raises:
        UsageError: the regular expression is none; `what` says of what.
    """
    if names is None:
        return lambda name: True
    if isinstance(names, str):
        try:
            pattern = re.compile(names)
        except re.error as error:
            raise UsageError(f"{what}: {names!r} is no regular expression: {error}") from error
        return lambda name: pattern.search(name) is not None
    exact = frozenset(names)
    return exact.__contains__


def has_run(project: str | None, runs: Names) -> Callable[[RunView], bool]:
    """Whether a run is meant."""
    chosen = chooser(runs, "runs")
    return lambda run: project in (None, run.key.project_id) and chosen(run.key.run_id)

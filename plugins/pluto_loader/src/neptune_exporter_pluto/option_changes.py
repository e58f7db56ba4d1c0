"""Counts runs that stay as an earlier load left them, although this load has other options."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from neptune_exporter.sinks.steps import Multiplier
from neptune_exporter_pluto.form.section import ContentOptions

_FLAGS = {
    "name_prefix": "--name-prefix",
    "log_every": "--pluto-log-every",
    "max_files_per_run": "--pluto-max-files-per-run",
}
_SHOWN = 4


class OptionChanges:
    """Counts such runs and their differences. Thread-safe.

    Args:
        options: The options of this load.
        step_multiplier: The requested multiplier, if any.
    """

    def __init__(self, options: ContentOptions, step_multiplier: Decimal | None) -> None:
        self._options = options
        self._multiplier = None if step_multiplier is None else str(Multiplier.of(step_multiplier))
        self._runs = 0
        self._differences: dict[str, None] = {}
        self._lock = threading.Lock()

    def look_at(self, loaded: Mapping[str, Any]) -> None:
        """Count a run, from its record in the journal."""
        found = list(self._compare(ContentOptions.of_record(loaded["options"]), loaded["multiplier"]))
        if found:
            with self._lock:
                self._runs += 1
                self._differences |= dict.fromkeys(found)

    def _compare(self, before: ContentOptions, multiplier: str) -> Iterator[str]:
        for field in fields(before):
            then, now = getattr(before, field.name), getattr(self._options, field.name)
            if then != now:
                yield f"{_FLAGS[field.name]} {then!r} instead of {now!r}"
        if self._multiplier not in (None, multiplier):
            yield f"--step-multiplier {multiplier} instead of {self._multiplier}"

    def report(self, cache: Path) -> dict[str, str]:
        """One line for the end of the load; nothing if there is no such run."""
        if not self._runs:
            return {}
        shown = [*self._differences][:_SHOWN]
        if len(self._differences) > _SHOWN:
            shown.append("…")
        runs = "1 run stays" if self._runs == 1 else f"{self._runs:,} runs stay"
        lines = "its line" if self._runs == 1 else "their lines"
        return {
            "loaded earlier with other options": f"{runs} as loaded then, with {', '.join(shown)}; "
            f"to load again with these options, take {lines} out of {cache}"
        }

"""Operations that an export did not find in the log of a process, remembered until a later export reads them.

The client deletes the files of a log that it has sent, so a later export may see neither the beginning of the
log nor all that an earlier one has read. What it reads now decides about each operation that was missing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from typing import NamedTuple

from neptune_exporter_offline.folders import Folder
from neptune_exporter_offline.problems import Problems
from neptune_exporter_offline.union import Ranges, Stretch, covered, missing

MOST_GAPS = 300
"""How many gaps are remembered of a run: some tens of kilobytes. The earliest are forgotten first, and their
failures stay."""


class Gap(NamedTuple):
    """Operations of one process that are not there, and the failure that says so."""

    logs: Collection[str]
    """What `names_of` gives for the logs of the process."""
    first: int
    last: int
    message: str
    permanent: bool


class _Process(NamedTuple):
    names: frozenset[str]
    there: Ranges
    first: int


def names_of(folders: Iterable[Folder]) -> frozenset[str]:
    """What recognises the logs of a process: their names, or where those changed their first records."""
    by_name = (hashlib.sha256(json.dumps(f.process).encode()).hexdigest()[:32] for f in folders)
    return frozenset([*(f.log_name for f in folders), *by_name])


class Gaps:
    """The gaps of one run.

    Args:
        memory: What earlier exports remembered (`remembered` below the key `gaps`); may be empty or damaged.
        reads_all: All attributes are read from this state of the logs. Otherwise a gap is remembered although
            it is filled.
    """

    def __init__(self, memory: str = "", *, reads_all: bool = True) -> None:
        self._reads_all = reads_all
        self._earlier = _restored(memory) if memory else []
        self.knew_any = bool(self._earlier)
        self._now: list[Gap] = []
        self._processes: list[_Process] = []

    def read(self, names: frozenset[str], there: Ranges, first: int) -> None:
        """Note the numbers of the operations of a process, and of the first one that was not deleted."""
        self._processes.append(_Process(names, there, first))

    def add(self, gap: Gap) -> None:
        """Note a gap of which the failure is reported now."""
        self._now.append(gap)

    def settle(self, problems: Problems) -> tuple[str, ...]:
        """Report again what is still missing of the gaps of earlier exports. Returns the messages of earlier
        failures that have ended, or were reported again."""
        ended: set[str] = set()
        stay: set[str] = set()
        earlier, self._earlier = self._earlier, []
        processes = [self._with_reported(process) for process in self._processes] if earlier else []
        for gap in earlier:
            process = next((p for p in processes if not p.names.isdisjoint(gap.logs)), None)
            (ended if self._is_settled(gap, process, problems) else stay).add(gap.message)
        again = {gap.message for gap in self._now}  # also of gaps that were forgotten
        return tuple(sorted(ended - stay | again))

    def _is_settled(self, gap: Gap, process: _Process | None, problems: Problems) -> bool:
        """Whether its failure has ended or is reported again. Remembered until all attributes are read."""
        is_filled = process is not None and not missing(process.there, gap.first, gap.last)
        if not (is_filled and self._reads_all):
            self._earlier.append(gap)
        if process is None or not (is_filled or self._reads_all):
            return False
        if not is_filled:
            problems.add_once(gap.message, permanent=gap.permanent or gap.last < process.first)
        return True

    def remembered(self) -> list[list[object]]:
        """For the next export, in the types of JSON, as far as there is room."""
        gaps = list(dict.fromkeys([*self._earlier, *self._now]))
        return [[sorted(gap.logs), *gap[1:]] for gap in gaps[-MOST_GAPS:]]

    def _with_reported(self, process: _Process) -> _Process:
        """The process with all operations that are there now, or are reported as missing now."""
        reported = [Stretch(0, g.first, g.last) for g in self._now if not process.names.isdisjoint(g.logs)]
        there = covered([*(Stretch(0, a, b) for a, b in process.there), *reported])
        return process._replace(there=there)


def _restored(memory: str) -> list[Gap]:
    try:
        return [
            Gap(frozenset(map(str, logs)), int(first), int(last), str(message), bool(permanent))
            for logs, first, last, message, permanent in json.loads(memory).get("gaps", ())
        ]
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return []  # their failures stay

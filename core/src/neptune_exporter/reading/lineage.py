"""What a fork inherits: the points of its parents up to the step where it was forked off."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from neptune_exporter.contract import RunView
from neptune_exporter.model import RunKey


@dataclass(frozen=True)
class Stretch:
    """A part of the line from the first ancestor to a run."""

    run: RunView
    last_step: float
    """Points up to this step, this one included, are on the line."""


def line(run: RunView, find: Callable[[RunKey], RunView | None]) -> list[Stretch]:
    """A run and its ancestors, the first ancestor first.

    A parent that is not there ends the line with a warning: its points are missing.
    """
    stretches = [Stretch(run, math.inf)]
    seen = {run.key}
    while (parent := stretches[-1].run.parent()) is not None and parent not in seen:
        here = stretches[-1]
        seen.add(parent)
        found, step = find(parent), here.run.fork_step()
        if found is None or step is None:
            why = "is not in the dataset" if found is None else "is known, the step of the fork is not"
            warnings.warn(f"{here.run.key} was forked off {parent}, which {why}", stacklevel=4)
            break
        stretches.append(Stretch(found, min(here.last_step, float(step))))
    return stretches[::-1]

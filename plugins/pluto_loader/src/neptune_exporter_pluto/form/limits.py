"""Pluto's limits for names and steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neptune_exporter.contract import Step
from neptune_exporter.sinks.names import NameRule, path_parts, printable
from neptune_exporter.sinks.steps import Multiplier, StepRange, WholeSteps

NAME = NameRule(2_000)
"""Pluto's API took names of 2,000 characters and failed at 3,000 (observed with pluto-server 3e89082)."""
STORAGE_NAME = NameRule(500, clean=lambda name: path_parts(printable(name)))
"""With the file name part of the storage key, which S3 limits to 1,024 bytes."""
STEPS = StepRange(0, 2**64 - 1)
EXACT_STEPS = StepRange(0, 2**53)
"""Above this, every read route and the charts round (recorded from the real API), so no multiplier leads
there."""


def shown_steps(steps: WholeSteps) -> WholeSteps:
    """Steps above 2**53, rounded down to a double, so that Pluto shows the step that it was sent."""
    above = steps.usable & (steps.steps > np.uint64(EXACT_STEPS.highest))
    if not above.any():
        return steps
    cut = steps.steps.copy()
    for bits in range(1, 12):  # of a step of 53 + bits bits, so many are beyond a double
        wide = above & (cut >> np.uint64(52 + bits) == 1)
        cut[wide] &= ~np.uint64(2**bits - 1)
    return replace(steps, steps=cut, rounded=steps.rounded | (above & (cut != steps.steps)))


def shown_step(multiplier: Multiplier, step: Step) -> tuple[int, bool] | None:
    """A single step as Pluto stores and shows it, and whether that is exact; None if Pluto cannot hold it."""
    found = multiplier.one(step, STEPS)
    if found is None or found[0] <= EXACT_STEPS.highest:
        return found
    whole, exact = found
    beyond = whole.bit_length() - 53
    cut = whole >> beyond << beyond
    return cut, exact and cut == whole

"""Finds one step multiplier for all runs of a project, so that their series can be compared."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa

from neptune_exporter.contract import ExportedRun, Step
from neptune_exporter.model import SERIES_TYPES, RunKey
from neptune_exporter.sinks import steps
from neptune_exporter.toolkit.free_memory import give_back_memory

_DECIMALS = 6
"""Digits after the point of a decimal(18,6)."""
_MOST_DIGITS = 18
"""With more digits no step but zero would stay within 64 bits."""
_SURVEY_ROWS = 131_072
"""Rows of a batch: only steps are read, so larger ones than elsewhere fit into memory."""
_log = logging.getLogger(__name__)


@dataclass
class StepSurvey:
    """What the steps of a project need: how many digits after the point, and how large they get."""

    within: steps.StepRange = steps.StepRange()
    digits: int = 0
    largest: float = 0.0
    """The largest distance of a step from 0, among those within the range."""

    def look_at(self, batch: pa.RecordBatch) -> None:
        """Take the `step` and `step_float64` columns of a batch into account."""
        units, known = steps.millionths(batch.column("step"))
        doubles = steps.double_steps(batch)
        if doubles is not None:
            known = known & np.isnan(doubles)
            self._look_at_doubles(doubles[np.isfinite(doubles)])
        if not known.all():
            units = units[known]
        if len(units):
            lowest, highest = self.within.lowest * steps.MILLION, self.within.highest * steps.MILLION
            reached = np.abs(units[(units <= highest) & (units >= lowest)])
            self.largest = max(self.largest, float(reached.max(initial=0)) / steps.MILLION)
            while self.digits < _DECIMALS and np.any(units % 10 ** (_DECIMALS - self.digits)):
                self.digits += 1

    def look_at_range(self, low: float, high: float) -> bool:
        """Take whole steps from one to another into account, and return whether they are within the range."""
        if not self.within.lowest <= low <= high <= self.within.highest:
            return False
        self.largest = max(self.largest, -low, high)
        return True

    def look_at_one(self, step: Step) -> None:
        """Take a single step into account."""
        exact = Decimal(repr(step)) if isinstance(step, float) else step
        if exact.is_finite() and self._holds(exact):  # no multiplier makes room for a larger one
            self.largest = max(self.largest, abs(float(exact)))
            exponent = exact.normalize().as_tuple().exponent
            self.digits = max(self.digits, min(_MOST_DIGITS, -exponent if isinstance(exponent, int) else 0))

    def _holds(self, step: Decimal) -> bool:
        return self.within.lowest <= step <= self.within.highest

    def _look_at_doubles(self, doubles: steps.Floats) -> None:
        doubles = doubles[(doubles >= self.within.lowest) & (doubles <= self.within.highest_double)]
        if not len(doubles):
            return
        self.largest = max(self.largest, float(np.abs(doubles).max()))
        left = doubles[doubles != np.floor(doubles)]
        for digits in range(1, _MOST_DIGITS + 1):
            if not len(left):
                return
            left = left[~_whole_after(left, digits)]
            self.digits = max(self.digits, digits if len(left) == 0 else 0)
        # A double's product no longer shows it; the shortest decimal does.
        for step in np.unique(left).tolist():
            self.look_at_one(step)

    def fits(self, power: int) -> bool:
        """Whether all steps that are within the range stay within it when multiplied."""
        return Fraction(self.largest) * power <= self.within.highest

    @property
    def multiplier(self) -> int:
        """The smallest power of ten that makes all steps whole, or the largest within the range."""
        power = int(10**self.digits)
        while power > 1 and not self.fits(power):
            power //= 10
        return power


def look_at_steps(run: ExportedRun, within: steps.StepRange) -> StepSurvey:
    """What multiplier all steps of a run need. Reads the run, unless it is known that all steps are whole.
    Raises DatasetError if the run is damaged, and was read."""
    survey = StepSurvey(within)
    whole = run.whole_steps()
    if whole is None or not survey.look_at_range(*whole):
        for batch in run.batches(SERIES_TYPES, columns=steps.STEP_COLUMNS, batch_rows=_SURVEY_ROWS):
            survey.look_at(batch)
    fork_step = run.fork_step()
    if fork_step is not None:
        survey.look_at_one(fork_step)
    give_back_memory()
    return survey


def joined(surveys: Iterable[StepSurvey], within: steps.StepRange) -> StepSurvey:
    """What several runs need together."""
    several = [StepSurvey(within), *surveys]
    return StepSurvey(within, max(each.digits for each in several), max(each.largest for each in several))


def multipliers(surveys: Mapping[RunKey, StepSurvey], common: int) -> dict[RunKey, steps.Multiplier]:
    """The common multiplier for each run, or its own power of ten where it needs more digits.

    If no power of ten makes all steps of a project whole within the range, runs that cannot be compared are
    better than steps that merge.
    """
    found = {}
    for key, survey in surveys.items():
        own = survey.multiplier
        found[key] = steps.Multiplier.of(max(own, common))
        if own > common:
            _log.warning("%s: its steps need times %s, the rest of the project times %s", key, own, common)
    return found


def _whole_after(doubles: steps.Floats, digits: int) -> steps.Bools:
    """Where a double is the nearest one to a decimal of this many digits.

    Below 2**53 the product's nearest integer is exact, and the division is rounded
    correctly: they give the double back if and only if the decimal names it.
    """
    scaled = np.rint(doubles * 10.0**digits)
    return np.asarray((np.abs(scaled) < steps.EXACT) & (scaled / 10.0**digits == doubles), np.bool_)

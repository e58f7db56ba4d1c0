"""Targets with whole steps: one power of ten per project makes steps whole, exactly.

A step in the dataset is a decimal(18,6), or a double in `step_float64` if a
decimal cannot hold it. Both are multiplied without rounding: 0.29 times 100 is
exactly 29, and it is known which steps are not whole afterwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from neptune_exporter.contract import Step, UsageError
from neptune_exporter.schema import step_millionths

STEP_COLUMNS = ("step", "step_float64")
MILLION = 10**6
_MAX_U64 = 2**64 - 1
EXACT = 2.0**53
"""Doubles below this hold every integer."""

Int64s = npt.NDArray[np.int64]
Uint64s = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Steps = npt.NDArray[Any]
"""uint64 where a target has no negative steps, else int64."""


@dataclass(frozen=True)
class StepRange:
    """The lowest and the highest whole step that a target holds: within int64, or from 0 within uint64."""

    lowest: int = -(2**63)
    highest: int = 2**63 - 1

    def __post_init__(self) -> None:
        if self.lowest > 0 or self.highest < 1 or self.highest > (2**64 - 1 if self.signless else 2**63 - 1):
            raise ValueError(f"{self} is no range of int64 with 0 and 1, or of uint64")

    @property
    def signless(self) -> bool:
        return self.lowest == 0

    @property
    def highest_double(self) -> float:
        """The highest step that is a double: 2**63 - 1 itself would be rounded up to one above it."""
        nearest = float(self.highest)
        return nearest if nearest <= self.highest else math.nextafter(nearest, 0)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint64 if self.signless else np.int64)


def millionths(column: pa.Array) -> tuple[Int64s, Bools]:
    """A decimal(18,6) column as whole millionths, which fit into 63 bits, and where it is not null."""
    return step_millionths(column), validity(column)


def validity(column: pa.Array) -> Bools:
    """True where there is a value."""
    if column.null_count == 0:
        return np.ones(len(column), np.bool_)
    return np.asarray(column.is_valid())


@dataclass(frozen=True)
class WholeSteps:
    """Steps as a target takes them. Where `usable` is False, the value of `steps` means nothing."""

    steps: Steps
    usable: Bools
    negative: Bools
    """Where the step is below the lowest."""
    beyond: Bools
    """Where it is above the highest."""
    missing: Bools
    rounded: Bools
    """Where a fraction was cut off."""


@dataclass(frozen=True)
class Multiplier:
    """A positive decimal that steps are multiplied by."""

    numerator: int
    denominator: int

    @classmethod
    def of(cls, value: Decimal | int) -> Multiplier:
        if (not isinstance(value, int) and not value.is_finite()) or value <= 0:
            raise UsageError(f"a step multiplier is a positive number, not {value}")
        fraction = Fraction(value)
        if max(fraction.numerator, fraction.denominator) > 10**18:
            raise UsageError(f"the step multiplier {value} has more than 18 digits")
        return cls(fraction.numerator, fraction.denominator)

    def __str__(self) -> str:
        if self.denominator == 1:
            return str(self.numerator)
        return format(Decimal(self.numerator) / Decimal(self.denominator), "f")

    def whole(self, batch: pa.RecordBatch, within: StepRange) -> WholeSteps:
        """The steps of a batch, multiplied; what remains after the point is cut off."""
        units, known = millionths(batch.column("step"))
        below_zero = known & (units < 0)
        size = np.abs(np.where(known & ~below_zero if within.signless else known, units, 0))
        steps, rest, beyond = _scaled(size, self.numerator, MILLION * self.denominator)
        doubles = double_steps(batch)
        if doubles is not None:
            as_double = ~np.isnan(doubles)
            known = known | as_double
            below_zero = np.where(as_double, doubles < 0, below_zero)
            self._place_doubles(np.abs(doubles), as_double, steps, rest, beyond)
        beyond |= steps > np.uint64(within.highest)
        negative = below_zero
        if not within.signless:
            far = (steps > np.uint64(-within.lowest)) | (beyond & (steps == 0))
            negative, beyond = below_zero & far, np.where(below_zero, False, beyond)
            steps = np.where(below_zero, -steps.astype(np.int64), steps.astype(np.int64))
        beyond &= ~negative
        usable = known & ~negative & ~beyond
        return WholeSteps(steps, usable, negative & known, beyond & known, ~known, usable & rest)

    def _place_doubles(
        self, doubles: Floats, where: Bools, steps: Uint64s, rest: Bools, beyond: Bools
    ) -> None:
        """Steps that are doubles: exact rational arithmetic for the few that are not whole."""
        beyond[where] = ~np.isfinite(doubles[where])
        rest[where], steps[where] = False, 0
        left = where & ~beyond
        simple = left & (doubles == np.floor(doubles)) & (doubles < EXACT)
        if simple.any():
            whole = doubles[simple].astype(np.int64)
            steps[simple], rest[simple], beyond[simple] = _scaled(whole, self.numerator, self.denominator)
        for index in np.flatnonzero(left & ~simple):
            exact = Fraction(repr(float(doubles[index]))) * self.numerator / self.denominator
            beyond[index] = exact > _MAX_U64
            if not beyond[index]:
                steps[index] = int(exact)
                rest[index] = exact.denominator != 1

    def one(self, step: Step, within: StepRange) -> tuple[int, bool] | None:
        """A step, multiplied and cut to a whole one, and whether that is exact; None if out of range."""
        if not math.isfinite(step):
            return None
        exact = Fraction(repr(step) if isinstance(step, float) else step) * self.numerator / self.denominator
        if not within.lowest <= exact <= within.highest:
            return None
        return int(exact), exact.denominator == 1


def _scaled(values: Int64s, numerator: int, denominator: int) -> tuple[Uint64s, Bools, Bools]:
    """`values * numerator // denominator`, exactly; whether a rest is left; whether it exceeds 64 bits."""
    common = np.gcd(numerator, denominator)
    numerator, denominator = int(numerator // common), int(denominator // common)
    unsigned = values.astype(np.uint64)
    rest = np.zeros(len(values), np.bool_)
    if denominator != 1:
        whole = unsigned // np.uint64(denominator)  # by far faster than divmod, as is a product
        left = unsigned - whole * np.uint64(denominator)
        # (whole * denominator + left) * numerator // denominator, without leaving 64 bits
        if numerator != 1:
            product = left * np.uint64(numerator)  # below denominator * numerator
            if (denominator - 1) * numerator > _MAX_U64:
                return _scaled_exactly(values, numerator, denominator)
            extra, left = np.divmod(product, np.uint64(denominator))
        else:
            extra = np.zeros(len(values), np.uint64)
        rest = left != 0
    else:
        whole, extra = unsigned, np.zeros(len(values), np.uint64)
    beyond = whole > np.uint64(_MAX_U64 // numerator)
    steps = np.where(beyond, np.uint64(0), whole) * np.uint64(numerator)
    beyond |= steps > np.uint64(_MAX_U64) - extra
    return np.where(beyond, np.uint64(0), steps + extra), rest, beyond


def _scaled_exactly(values: Int64s, numerator: int, denominator: int) -> tuple[Uint64s, Bools, Bools]:
    """As `_scaled`, for multipliers whose intermediate results exceed 64 bits."""
    exact: list[Any] = [divmod(int(v) * numerator, denominator) for v in values]
    beyond = np.array([q > _MAX_U64 for q, _ in exact], np.bool_)
    steps = np.array([0 if q > _MAX_U64 else q for q, _ in exact], np.uint64)
    return steps, np.array([r != 0 for _, r in exact], np.bool_), beyond


def double_steps(batch: pa.RecordBatch) -> Floats | None:
    """`step_float64` with NaN for null, or None if the batch has none of them."""
    if "step_float64" not in batch.schema.names:
        return None
    column = batch.column("step_float64")
    if column.null_count == len(column):
        return None
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)

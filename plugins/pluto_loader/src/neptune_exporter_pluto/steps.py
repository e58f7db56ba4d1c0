"""Pluto's steps are unsigned integers: one power of ten per project makes them whole, exactly.

A step in the dataset is a decimal(18,6), or a double in `step_float64` where a
decimal cannot hold it. Both are multiplied without rounding, so that 0.29 times
100 is 29, and what is not whole afterwards is known to be so.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from neptune_exporter.contract import Step, UsageError

STEP_COLUMNS = ("step", "step_float64")
_DECIMALS = 6
_MILLION = 10**_DECIMALS
_MAX_U64 = 2**64 - 1
_EXACT = 2.0**53
_MOST_DIGITS = 18
"""With more digits no step but zero would stay within 64 bits."""

Int64s = npt.NDArray[np.int64]
Uint64s = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def millionths(column: pa.Array) -> tuple[Int64s, Bools]:
    """A decimal(18,6) column as whole millionths, which fit into 63 bits, and where it is not null."""
    data = column.buffers()[1]
    if data is None:
        return np.zeros(len(column), np.int64), validity(column)
    words = np.frombuffer(data, np.int64)
    return words[2 * column.offset : 2 * (column.offset + len(column)) : 2], validity(column)


def validity(column: pa.Array) -> Bools:
    """True where there is a value."""
    if column.null_count == 0:
        return np.ones(len(column), np.bool_)
    return np.asarray(column.is_valid())


@dataclass
class StepSurvey:
    """What the steps of a project need: how many digits after the point, and how large they get."""

    digits: int = 0
    largest: float = 0.0

    def look_at(self, batch: pa.RecordBatch) -> None:
        """Take the `step` and `step_float64` columns of a batch into account."""
        units, known = millionths(batch.column("step"))
        doubles = _doubles(batch)
        if doubles is not None:
            known = known & np.isnan(doubles)
            self._look_at_doubles(doubles[np.isfinite(doubles)])
        if not known.all():
            units = units[known]
        if len(units):
            self.largest = max(self.largest, float(units.max()) / _MILLION)
            while self.digits < _DECIMALS and np.any(units % 10 ** (_DECIMALS - self.digits)):
                self.digits += 1

    def look_at_one(self, step: Step) -> None:
        """Take a single step into account."""
        exact = Decimal(repr(step)) if isinstance(step, float) else step
        if exact.is_finite() and 0 <= exact <= _MAX_U64:  # no multiplier makes room for a larger one
            self.largest = max(self.largest, float(exact))
            exponent = exact.normalize().as_tuple().exponent
            self.digits = max(self.digits, min(_MOST_DIGITS, -exponent if isinstance(exponent, int) else 0))

    def _look_at_doubles(self, doubles: Floats) -> None:
        doubles = doubles[(doubles >= 0) & (doubles < 2.0**64)]
        if not len(doubles):
            return
        self.largest = max(self.largest, float(doubles.max()))
        left = doubles[doubles != np.floor(doubles)]
        for digits in range(1, _MOST_DIGITS + 1):
            if not len(left):
                return
            left = left[~_whole_after(left, digits)]
            self.digits = max(self.digits, digits if len(left) == 0 else 0)
        # What a double's product cannot tell any more: the shortest decimal does.
        for step in np.unique(left).tolist():
            self.look_at_one(step)

    def include(self, other: StepSurvey) -> None:
        """Take what another survey saw into account."""
        self.digits = max(self.digits, other.digits)
        self.largest = max(self.largest, other.largest)

    def fits(self, power: int) -> bool:
        """Whether all steps stay within 64 bits, but for those that are beyond them at any multiplier."""
        return self.largest * power <= _MAX_U64

    @property
    def multiplier(self) -> int:
        """The smallest power of ten that makes all steps whole, or the largest within 64 bits."""
        power = int(10**self.digits)
        while power > 1 and not self.fits(power):
            power //= 10
        return power


def _whole_after(doubles: Floats, digits: int) -> Bools:
    """Where a double is the nearest one to a decimal of so many digits.

    Below 2**53 the product's nearest integer is exact, and the division is rounded
    correctly: they give the double back if and only if the decimal names it.
    """
    scaled = np.rint(doubles * 10.0**digits)
    return np.asarray((np.abs(scaled) < _EXACT) & (scaled / 10.0**digits == doubles), np.bool_)


@dataclass(frozen=True)
class WholeSteps:
    """Steps as Pluto takes them. Where `usable` is False, the value of `steps` means nothing."""

    steps: Uint64s
    usable: Bools
    negative: Bools
    beyond: Bools
    missing: Bools
    rounded: Bools
    """Where something was left after the point."""


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

    def whole(self, batch: pa.RecordBatch) -> WholeSteps:
        """The steps of a batch, multiplied; fractions that are left are rounded down."""
        units, known = millionths(batch.column("step"))
        doubles = _doubles(batch)
        as_double = None if doubles is None else ~np.isnan(doubles)
        if as_double is not None and not as_double.any():
            as_double = None
        present = known if as_double is None else known | as_double
        negative = known & (units < 0)
        divisor = _MILLION * self.denominator
        steps, rest, beyond = _scaled(np.where(known & ~negative, units, 0), self.numerator, divisor)
        if doubles is not None and as_double is not None:
            self._place_doubles(doubles, as_double, steps, rest, negative, beyond)
        usable = present & ~negative & ~beyond
        return WholeSteps(steps, usable, negative, beyond & present, ~present, usable & rest)

    def _place_doubles(
        self, doubles: Floats, where: Bools, steps: Uint64s, rest: Bools, negative: Bools, beyond: Bools
    ) -> None:
        """Steps that are doubles: exact rational arithmetic for the few that are not whole."""
        negative[where] = doubles[where] < 0
        beyond[where] = ~np.isfinite(doubles[where]) & ~negative[where]
        rest[where] = False
        left = where & ~negative & ~beyond
        simple = left & (doubles == np.floor(doubles)) & (doubles < _EXACT)
        if simple.any():
            whole = doubles[simple].astype(np.int64)
            steps[simple], rest[simple], beyond[simple] = _scaled(whole, self.numerator, self.denominator)
        for index in np.flatnonzero(left & ~simple):
            exact = Fraction(repr(float(doubles[index]))) * self.numerator / self.denominator
            beyond[index] = exact > _MAX_U64
            if not beyond[index]:
                steps[index] = int(exact)
                rest[index] = exact.denominator != 1

    def one(self, step: Step) -> tuple[int, bool] | None:
        """A step, multiplied and rounded down, and whether that is exact; None if Pluto has none such."""
        exact = Fraction(repr(step) if isinstance(step, float) else step) * self.numerator / self.denominator
        if not 0 <= exact <= _MAX_U64:
            return None
        return int(exact), exact.denominator == 1


def _scaled(values: Int64s, numerator: int, denominator: int) -> tuple[Uint64s, Bools, Bools]:
    """values * numerator // denominator exactly, whether something is left, what is beyond 64 bits."""
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
    return steps + extra, rest, beyond


def _scaled_exactly(values: Int64s, numerator: int, denominator: int) -> tuple[Uint64s, Bools, Bools]:
    """For multipliers of so many digits that 64 bits do not hold the way to the result."""
    exact: list[Any] = [divmod(int(v) * numerator, denominator) for v in values]
    beyond = np.array([q > _MAX_U64 for q, _ in exact], np.bool_)
    steps = np.array([0 if q > _MAX_U64 else q for q, _ in exact], np.uint64)
    return steps, np.array([r != 0 for _, r in exact], np.bool_), beyond


def _doubles(batch: pa.RecordBatch) -> Floats | None:
    """`step_float64` with NaN for null, or None if the batch has none of them."""
    if "step_float64" not in batch.schema.names:
        return None
    column = batch.column("step_float64")
    if column.null_count == len(column):
        return None
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)

"""What a target's capabilities leave no room for: the rows that may be lost, if they are counted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from neptune_exporter.contract.rows import Step
from neptune_exporter.contract.specs import EqualPoints, SinkCapabilities
from neptune_exporter.model import FILE_TYPES, AttributeType
from neptune_exporter.testing.facts import render
from neptune_exporter.testing.runs import Entry, SampleAttribute, SampleRun


@dataclass(frozen=True)
class Room:
    """The steps of a run beside what the target takes."""

    capabilities: SinkCapabilities
    is_enough: bool = True
    """One multiplier makes all steps whole that are in the range, and none too high."""

    @classmethod
    def of(cls, run: SampleRun, capabilities: SinkCapabilities) -> Room:
        highest, lowest = capabilities.highest_step, capabilities.lowest_step
        if highest is None:
            return cls(capabilities)
        exact = _finite_steps(run)
        held = [s for s in exact if s <= highest and (lowest is None or s >= lowest)]
        digits = max(map(_digits, exact), default=0)
        furthest = max(map(abs, held), default=Decimal(0))
        return cls(capabilities, Fraction(furthest) * 10**digits <= highest)

    def place(self, entry: Entry) -> Step | None:
        """Equal for entries that may come to stand at one step."""
        step = entry.step
        return step if self.is_enough or step is None or not math.isfinite(step) else Decimal(int(step))


def _finite_steps(run: SampleRun) -> list[Decimal]:
    given = (e.step for a in run.attributes for e in a.entries if e.step is not None)
    return [Decimal(repr(s)) if isinstance(s, float) else s for s in given if math.isfinite(s)]


def _digits(step: Decimal) -> int:
    """How many stand after the point."""
    return max(0, -int(step.normalize().as_tuple().exponent))


def lacking(attribute: SampleAttribute, entry: Entry, room: Room) -> set[str]:
    """What a target lacks to take a row as it is: names of its capabilities. Empty if it must arrive."""
    wrong = _wrong_values(attribute, entry, room.capabilities) | _wrong_steps(attribute, entry, room)
    return {name for name, is_wrong in wrong.items() if is_wrong}


def _wrong_values(attribute: SampleAttribute, entry: Entry, can: SinkCapabilities) -> dict[str, bool]:
    kind = attribute.type
    if kind is AttributeType.FLOAT_SERIES:
        value = float(str(entry.value))
        return {
            "nan": math.isnan(value) and not can.nan,
            "infinities": math.isinf(value) and not can.infinities,
        }
    if kind is AttributeType.INT:
        return {"largest_integer": abs(int(str(entry.value))) > can.largest_integer}
    return {
        "string_series": kind is AttributeType.STRING_SERIES and not can.string_series,
        "histograms": kind is AttributeType.HISTOGRAM_SERIES and not can.histograms,
        "files": kind in FILE_TYPES and not can.files,
    }


def _wrong_steps(attribute: SampleAttribute, entry: Entry, room: Room) -> dict[str, bool]:
    can, step = room.capabilities, entry.step
    if step is None:
        return {}
    is_fractional = math.isfinite(step) and step != int(step)
    return {
        "lowest_step": can.lowest_step is not None and step < can.lowest_step,
        "highest_step": can.highest_step is not None and step > can.highest_step,
        "fractional_steps": is_fractional and not (can.fractional_steps and room.is_enough),
        "equal_points": _is_equal_to_another(attribute, entry, room),
    }


def _is_equal_to_another(attribute: SampleAttribute, entry: Entry, room: Room) -> bool:
    kept = room.capabilities.equal_points
    if kept is EqualPoints.KEPT:
        return False
    same = [e for e in attribute.entries if e.step is not None and room.place(e) == room.place(entry)]
    if kept is EqualPoints.MERGED:
        same = [e for e in same if (render(e.value), e.timestamp) == (render(entry.value), entry.timestamp)]
    return len(same) > 1


def is_early(entry: Entry, capabilities: SinkCapabilities) -> bool:
    """Whether the target cannot hold a time, as it is too early."""
    if capabilities.earliest_time is None or entry.timestamp is None:
        return False
    return entry.timestamp.timestamp() * 1000 < capabilities.earliest_time

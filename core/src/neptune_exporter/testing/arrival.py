"""Whether a run arrived in a target: every row is there exactly, or a declared and counted loss."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from neptune_exporter.contract.failures import Loss
from neptune_exporter.contract.rows import Step
from neptune_exporter.contract.sink import LoadedRun
from neptune_exporter.contract.specs import EqualPoints, SinkCapabilities
from neptune_exporter.model import FILE_TYPES, PARAMETER_TYPES, AttributeType, SysAttribute
from neptune_exporter.testing.facts import comparable_content, render
from neptune_exporter.testing.loaded import LoadedEntry, LoadedSample
from neptune_exporter.testing.room import Room, is_early, lacking
from neptune_exporter.testing.runs import (
    Entry,
    SampleAttribute,
    SampleFile,
    SampleHistogram,
    SampleRun,
    canonical_step,
)

_TAG_PATHS = (SysAttribute.TAGS, SysAttribute.GROUP_TAGS)
_FORK_PATHS = (None, SysAttribute.FORK_PARENT, SysAttribute.FORK_STEP)
_LONGEST_EXACT_NAME = 200
_SHOWN = 3


@dataclass(frozen=True)
class Rules:
    """By what a sink is judged.

    capabilities: As its spec declares. Only what is False there may be lost.
    allowed_losses: Reasons of losses that no capability covers, that the author stands by.
    name_prefix: Of the load options.
    """

    capabilities: SinkCapabilities
    allowed_losses: Collection[str] = ()
    name_prefix: str = ""

    @property
    def signed_zeros(self) -> bool:
        return self.capabilities.signed_zeros


def arrival_problems(
    run: SampleRun, loaded: LoadedRun, found: LoadedSample, parent: LoadedRun | None, rules: Rules
) -> list[str]:
    """What is wrong, line by line; empty if all is there or is lost as declared, and counted.

    Args:
        run: What was loaded.
        loaded: What the sink said of it.
        found: What the target holds of it.
        parent: What the sink said of its fork parent, None if that was not loaded.
    """
    return [
        *_row_problems(run, loaded.losses, found, rules),
        *_loss_problems(run, loaded.losses, rules),
        *_run_problems(run, loaded, found, parent, rules),
    ]


def _row_problems(run: SampleRun, losses: Sequence[Loss], found: LoadedSample, rules: Rules) -> list[str]:
    problems = []
    uncounted = 0
    held = _entries_of(found)
    room = Room.of(run, rules.capabilities)
    of_whole_run = [loss for loss in losses if loss.attribute_path is None]
    for attribute in run.attributes:
        path = _short(attribute.path)
        matched = _match(attribute, held.pop((_section(attribute.type), attribute.path), ()), rules)
        told = [loss for loss in losses if loss.attribute_path == attribute.path]
        allowed = any(loss.reason in rules.allowed_losses for loss in (*told, *of_whole_run))
        hard = [e for e in matched.absent if not (allowed or lacking(attribute, e, room))]
        problems += _first([f"{path}: {_entry(e)} did not arrive" for e in hard])
        timed = rules.capabilities.timestamps and not allowed
        late = [e for e in matched.retimed if timed and not is_early(e, rules.capabilities)]
        problems += _first([f"{path}: the time of {_entry(e)} did not arrive" for e in late])
        if rules.capabilities.equal_points is EqualPoints.NEWEST:
            problems += _vanished_steps(attribute, matched.absent, room)
        # A row that may be lost may also have arrived changed.
        if len(matched.too_much) > len(matched.absent) - len(hard):
            problems += _first([f"{path}: {_found(e)} is in the target only" for e in matched.too_much])
        damaged = len(matched.absent) + len(matched.retimed)
        uncounted += max(0, damaged - sum(loss.count for loss in told))
    problems += [
        f"{section} {_short(path)} are in the target only: {len(there)}"
        for (section, path), there in held.items()
        if there
    ]
    if uncounted > sum(loss.count for loss in of_whole_run):
        problems.append(f"{uncounted} rows did not arrive, and no loss counts them")
    return problems


def _first(problems: list[str]) -> list[str]:
    more = len(problems) - _SHOWN
    return problems if more <= 0 else [*problems[:_SHOWN], f"… and {more} more like the last"]


@dataclass(frozen=True)
class _Matched:
    """How the rows of an attribute and what is in the target go together."""

    absent: Sequence[Entry] = ()
    """Not in the target as they are."""
    retimed: Sequence[Entry] = ()
    """There, but at another time or none."""
    too_much: Sequence[LoadedEntry] = ()
    """In the target only."""


def _match(attribute: SampleAttribute, there: Sequence[LoadedEntry], rules: Rules) -> _Matched:
    if attribute.type in PARAMETER_TYPES:
        if not there:
            return _Matched(attribute.entries)
        same = same_parameter(attribute.value, there[0].value, rules)
        return _Matched() if same else _Matched(attribute.entries, (), there)
    left: dict[tuple[str, str], list[LoadedEntry]] = defaultdict(list)
    for loaded in there:
        left[_place(attribute, loaded.step, loaded.value, rules)].append(loaded)
    unmatched: list[Entry] = []
    # Entries without a time take what the others leave: a target may have had to invent one.
    for entry in sorted(attribute.entries, key=lambda e: e.timestamp is None):
        candidates = left[_place(attribute, entry.step, entry.value, rules)]
        match = next((c for c in candidates if entry.timestamp in (None, c.timestamp)), None)
        if match is None:
            unmatched.append(entry)
        else:
            candidates.remove(match)
    absent: list[Entry] = []
    retimed: list[Entry] = []
    for entry in unmatched:
        candidates = left[_place(attribute, entry.step, entry.value, rules)]
        (retimed if candidates else absent).append(entry)
        del candidates[:1]
    return _Matched(absent, retimed, [loaded for entries in left.values() for loaded in entries])


def _place(attribute: SampleAttribute, step: Step | None, value: Any, rules: Rules) -> tuple[str, str]:
    """Step and value of an entry in comparable form. Only series have steps: a target may invent one."""
    if isinstance(value, SampleFile):
        value = value.content
    if attribute.type in FILE_TYPES and isinstance(value, bytes):
        value = SampleFile(comparable_content(attribute.type, value))
    return str(canonical_step(step)) if attribute.type.is_series else "", _value(value, rules)


def same_parameter(expected: Any, found: Any, rules: Rules) -> bool:
    """Whether a target's parameter is the run's: equal and of the same kind.

    Targets without such types may hold as text: a datetime (ISO 8601), NaN and
    infinities, an integer beyond 2**53. 3 and 3.0 are one number, True is not a number.
    """
    if isinstance(expected, datetime):
        return _instant(found) == expected
    if isinstance(expected, tuple):
        return (
            isinstance(found, Collection) and not isinstance(found, str) and sorted(found) == list(expected)
        )
    if isinstance(expected, (bool, str)):
        return type(found) is type(expected) and bool(found == expected)
    if isinstance(found, str):
        if isinstance(expected, int):
            largest = min(2**53, rules.capabilities.largest_integer)
            return abs(expected) > largest and found == str(expected)
        return not math.isfinite(expected) and _value(_float(found), rules) == _value(expected, rules)
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return False
    if isinstance(expected, int) or isinstance(found, int):
        signed = isinstance(expected, float) and rules.signed_zeros and math.copysign(1, expected) < 0
        return found == expected and not (found == 0 and signed)
    return _value(found, rules) == _value(expected, rules)


def _loss_problems(run: SampleRun, losses: Sequence[Loss], rules: Rules) -> list[str]:
    """Losses that are no true account: of what must arrive, of another run, with impossible counts."""
    problems = []
    room = Room.of(run, rules.capabilities)
    for loss in losses:
        what = f"the loss {loss.reason!r} of {_short(loss.attribute_path or 'the whole run')}"
        if loss.run != run.key:
            problems.append(f"{what} names the run {loss.run}")
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", loss.reason):
            problems.append(f"{what}: a reason is a kebab-case code")
        if not loss.message.strip() or "\n" in loss.message:
            problems.append(f"{what}: the message must be one sentence, not {loss.message!r}")
        if loss.requested:
            problems.append(f"{what} says that it was requested, which it was not")
        attributes = [a for a in run.attributes if loss.attribute_path in (None, a.path)]
        if not attributes:
            problems.append(f"{what}: the run has no such attribute")
            continue
        fork = run.parent is not None and not rules.capabilities.forks
        entries = [(a, e) for a in attributes for e in a.entries]
        if loss.reason in rules.allowed_losses or loss.attribute_path in _TAG_PATHS:
            most = sum(len(e.value) if isinstance(e.value, tuple) else 1 for _, e in entries)
        elif fork and loss.attribute_path in _FORK_PATHS:
            most = max(1, len(entries))
        else:
            most = sum(_may_be_told(a, e, room) for a, e in entries)
            if most == 0:
                problems.append(f"{what}: by the declared capabilities nothing of it may be lost")
                continue
        if not 1 <= loss.count <= max(1, most):
            problems.append(f"{what} counts {loss.count}, but no more than {most} may be lost")
    return problems


def _run_problems(
    run: SampleRun, loaded: LoadedRun, found: LoadedSample, parent: LoadedRun | None, rules: Rules
) -> list[str]:
    """The run as a whole: its name, tags, parent, time of creation, outcome."""
    problems = []
    if not loaded.target_id:
        problems.append("the LoadedRun has no target_id")
    if found.name is not None:
        wanted = run.name if run.name is not None else run.key.run_id
        exact = len(wanted) <= _LONGEST_EXACT_NAME and run.name is not None
        is_right = found.name == rules.name_prefix + wanted if exact else wanted[:100] in found.name
        if not is_right or not found.name.startswith(rules.name_prefix):
            problems.append(f"the name is {found.name!r}, not {rules.name_prefix + wanted!r}")
    if found.tags is not None:
        told = sum(x.count for x in loaded.losses if x.attribute_path == SysAttribute.TAGS)
        missing = run.tags - found.tags
        if len(missing) > told:
            problems.append(f"{len(missing)} tags did not arrive, {told} are reported: {sorted(missing)[:3]}")
    if run.parent is not None and parent is not None:
        problems += _fork_problems(run, loaded, found, parent, rules)
    if run.parent is None and found.parent is not None:
        problems.append(f"it has the parent {found.parent!r}, but is no fork")
    timed = rules.capabilities.timestamps and None not in (found.created_at, run.created_at)
    if timed and found.created_at != run.created_at:
        problems.append(f"it was created at {found.created_at}, not {run.created_at}")
    if found.running and run.parameter(SysAttribute.STATE) not in ("active", "running"):
        problems.append("it is shown as running, though it has ended")
    failed = run.parameter(SysAttribute.FAILED)
    if found.failed is not None and failed is not None and found.failed != failed:
        problems.append(f"failed is {found.failed}, not {failed}")
    return problems


def _fork_problems(
    run: SampleRun, loaded: LoadedRun, found: LoadedSample, parent: LoadedRun, rules: Rules
) -> list[str]:
    if not rules.capabilities.forks:
        told = any(x.attribute_path in _FORK_PATHS for x in loaded.losses)
        return [] if told or found.parent == parent.target_id else ["the lost fork is not reported as a loss"]
    problems = []
    if found.parent != parent.target_id:
        problems.append(f"the parent is {found.parent!r}, not {parent.target_id!r}")
    if canonical_step(found.fork_step) != run.fork_step:
        problems.append(f"the fork step is {found.fork_step}, not {run.fork_step}")
    return problems


def _vanished_steps(attribute: SampleAttribute, absent: Sequence[Entry], room: Room) -> list[str]:
    """Of several entries at one step a target may keep one: not none."""
    logged, gone = (Counter(e.step for e in entries) for entries in (attribute.entries, absent))
    spared = {e.step for e in attribute.entries if lacking(attribute, e, room) <= {"equal_points"}}
    return [
        f"{_short(attribute.path)}: none of the {n} entries of step {step} arrived"
        for step, n in logged.items()
        if n > 1 and gone[step] == n and step in spared
    ]


def _may_be_told(attribute: SampleAttribute, entry: Entry, room: Room) -> bool:
    """Whether a loss may count this row: it may be lost, or at least its time."""
    untimed = entry.timestamp is not None and not room.capabilities.timestamps
    return untimed or is_early(entry, room.capabilities) or bool(lacking(attribute, entry, room))


def _section(attribute_type: AttributeType) -> str:
    if attribute_type in PARAMETER_TYPES:
        return "parameters"
    if attribute_type in FILE_TYPES:
        return "files"
    return {
        AttributeType.FLOAT_SERIES: "points",
        AttributeType.STRING_SERIES: "texts",
        AttributeType.HISTOGRAM_SERIES: "histograms",
    }[attribute_type]


def _entries_of(found: LoadedSample) -> dict[tuple[str, str], Sequence[LoadedEntry]]:
    series: dict[str, Mapping[str, Sequence[LoadedEntry]]] = {
        "points": found.points,
        "texts": found.texts,
        "histograms": found.histograms,
        "files": found.files,
    }
    held = {(s, path): entries for s, paths in series.items() for path, entries in paths.items()}
    return held | {("parameters", path): [LoadedEntry(v)] for path, v in found.parameters.items()}


def _value(value: Any, rules: Rules) -> str:
    if isinstance(value, float) and value == 0 and not rules.signed_zeros:
        return "0.0"
    if isinstance(value, SampleHistogram):
        value = SampleHistogram(tuple(map(float, value.edges)), tuple(map(float, value.values)), value.kind)
    return render(float(value) if type(value) is int else value)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _instant(found: Any) -> datetime | None:
    if isinstance(found, str):
        try:
            found = datetime.fromisoformat(found.replace("Z", "+00:00"))
        except ValueError:
            return None
    if not isinstance(found, datetime):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)


def _entry(entry: Entry) -> str:
    time = f" at {entry.timestamp.isoformat()}" if entry.timestamp else ""
    return (
        f"step {entry.step}{time} = {render(entry.value)}" if entry.step is not None else render(entry.value)
    )


def _found(entry: LoadedEntry) -> str:
    step = f"step {entry.step} " if entry.step is not None else ""
    value = SampleFile(entry.value) if isinstance(entry.value, bytes) else entry.value
    return f"{step}at {entry.timestamp} = {render(value)}"


def _short(path: str) -> str:
    return repr(path) if len(path) <= 80 else f"{path[:40]!r}…{path[-20:]!r}"

"""Whether a run arrived in a target: every row is there exactly, or a declared and counted loss."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from neptune_exporter.contract.failures import Loss
from neptune_exporter.contract.rows import Step
from neptune_exporter.contract.sink import LoadedRun
from neptune_exporter.contract.specs import EqualPoints, SinkCapabilities
from neptune_exporter.model import FILE_TYPES, PARAMETER_TYPES, AttributeType, SysAttribute
from neptune_exporter.testing.facts import comparable_content, render
from neptune_exporter.testing.loaded import LoadedEntry, LoadedSample
from neptune_exporter.testing.room import Room, is_early, lacking
from neptune_exporter.testing.rules import Rules, comparable, same_parameter
from neptune_exporter.testing.runs import (
    Entry,
    SampleAttribute,
    SampleFile,
    SampleRun,
    canonical_step,
)

_TAG_PATHS = (SysAttribute.TAGS, SysAttribute.GROUP_TAGS)
_FORK_PATHS = (None, SysAttribute.FORK_PARENT, SysAttribute.FORK_STEP)
_LONGEST_EXACT_NAME = 200
_SHOWN = 3


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
        own = [loss for loss in losses if loss.attribute_path == attribute.path]
        may_lose = any(loss.reason in rules.allowed_losses for loss in (*own, *of_whole_run))
        matched = _match(attribute, held.pop((_section(attribute.type), attribute.path), ()), rules)
        problems += _attribute_problems(attribute, matched, room, may_lose)
        damaged = len(matched.absent) + len(matched.retimed)
        uncounted += max(0, damaged - _counted(own))
    problems += _invented(held)
    if uncounted > _counted(of_whole_run):
        problems.append(f"{uncounted} rows did not arrive, and no loss counts them")
    return problems


def _counted(losses: Sequence[Loss]) -> int:
    return sum(loss.count for loss in losses)


def _attribute_problems(
    attribute: SampleAttribute, matched: _Matched, room: Room, may_lose: bool
) -> list[str]:
    """`may_lose`: a loss that the author allows covers the attribute."""
    path, can = _short(attribute.path), room.capabilities
    lost = [] if may_lose else [e for e in matched.absent if not lacking(attribute, e, room)]
    late = [] if may_lose else _retimed(matched, can)
    problems = _first(f"{path}: {{}} did not arrive", map(_entry, lost))
    problems += _first(f"{path}: the time of {{}} did not arrive", map(_entry, late))
    if can.equal_points is EqualPoints.NEWEST:
        problems += _vanished_steps(attribute, matched.absent, room)
    # A row that may be lost may also have arrived changed.
    if len(matched.too_much) > len(matched.absent) - len(lost):
        problems += _first(f"{path}: {{}} is in the target only", map(_found, matched.too_much))
    return problems


def _retimed(matched: _Matched, can: SinkCapabilities) -> list[Entry]:
    """Entries whose times must have arrived and did not."""
    return [e for e in matched.retimed if not is_early(e, can)] if can.timestamps else []


def _invented(held: Mapping[tuple[str, str], Sequence[LoadedEntry]]) -> list[str]:
    """What the target holds of attributes that the run does not have."""
    return [
        f"{section} {_short(path)} are in the target only: {len(there)}"
        for (section, path), there in held.items()
        if there
    ]


def _first(problem: str, rows: Iterable[str]) -> list[str]:
    """The problem with the first few rows in the place of `{}`."""
    problems = [problem.replace("{}", row) for row in rows]
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
    if attribute.type not in PARAMETER_TYPES:
        return _match_entries(attribute, there, rules)
    if not there:
        return _Matched(attribute.entries)
    same = same_parameter(attribute.value, there[0].value, rules)
    return _Matched() if same else _Matched(attribute.entries, (), there)


def _match_entries(attribute: SampleAttribute, there: Sequence[LoadedEntry], rules: Rules) -> _Matched:
    left: dict[tuple[str, str], list[LoadedEntry]] = defaultdict(list)
    for loaded in there:
        left[_place(attribute, loaded.step, loaded.value, rules)].append(loaded)
    unmatched: list[tuple[Entry, list[LoadedEntry]]] = []
    # Entries without a time take what the others leave: a target may have had to invent one.
    for entry in sorted(attribute.entries, key=lambda e: e.timestamp is None):
        candidates = left[_place(attribute, entry.step, entry.value, rules)]
        match = next((c for c in candidates if entry.timestamp in (None, c.timestamp)), None)
        if match is None:
            unmatched.append((entry, candidates))
        else:
            candidates.remove(match)
    absent: list[Entry] = []
    retimed: list[Entry] = []
    for entry, candidates in unmatched:
        (retimed if candidates else absent).append(entry)
        del candidates[:1]
    return _Matched(absent, retimed, list(chain.from_iterable(left.values())))


def _place(attribute: SampleAttribute, step: Step | None, value: Any, rules: Rules) -> tuple[str, str]:
    """Step and value of an entry in comparable form. Only series have steps: a target may invent one."""
    if isinstance(value, SampleFile):
        value = value.content
    if attribute.type in FILE_TYPES and isinstance(value, bytes):
        value = SampleFile(comparable_content(attribute.type, value))
    return str(canonical_step(step)) if attribute.type.is_series else "", comparable(value, rules)


def _loss_problems(run: SampleRun, losses: Sequence[Loss], rules: Rules) -> list[str]:
    """Losses that are no true account: of what must arrive, of another run, with impossible counts."""
    room = Room.of(run, rules.capabilities)
    return [
        f"the loss {loss.reason!r} of {_short(loss.attribute_path or 'the whole run')}{problem}"
        for loss in losses
        for problem in (*_form_problems(run, loss), *_count_problems(run, loss, room, rules))
    ]


def _form_problems(run: SampleRun, loss: Loss) -> list[str]:
    is_code = re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", loss.reason) is not None
    is_sentence = loss.message.strip() and "\n" not in loss.message
    wrong = {
        f" names the run {loss.run}": loss.run != run.key,
        ": a reason is a kebab-case code": not is_code,
        f": the message must be one sentence, not {loss.message!r}": not is_sentence,
        " says that it was requested, which it was not": loss.requested,
    }
    return [problem for problem, is_wrong in wrong.items() if is_wrong]


def _count_problems(run: SampleRun, loss: Loss, room: Room, rules: Rules) -> list[str]:
    attributes = [a for a in run.attributes if loss.attribute_path in (None, a.path)]
    if not attributes:
        return [": the run has no such attribute"]
    most = _most(run, loss, [(a, e) for a in attributes for e in a.entries], room, rules)
    if most == 0:
        return [": by the declared capabilities nothing of it may be lost"]
    if not 1 <= loss.count <= most:
        return [f" counts {loss.count}, but no more than {most} may be lost"]
    return []


def _most(
    run: SampleRun, loss: Loss, entries: Sequence[tuple[SampleAttribute, Entry]], room: Room, rules: Rules
) -> int:
    """How many values the loss may count; 0 if it may not be at all."""
    if loss.reason in rules.allowed_losses or loss.attribute_path in _TAG_PATHS:
        return max(1, sum(len(e.value) if isinstance(e.value, tuple) else 1 for _, e in entries))
    if run.parent is not None and not rules.capabilities.forks and loss.attribute_path in _FORK_PATHS:
        return max(1, len(entries))
    return sum(_may_be_lost(a, e, room) for a, e in entries)


def _run_problems(
    run: SampleRun, loaded: LoadedRun, found: LoadedSample, parent: LoadedRun | None, rules: Rules
) -> list[str]:
    """The run as a whole: its name, tags, parent, time of creation, outcome."""
    problems = [] if loaded.target_id else ["the LoadedRun has no target_id"]
    problems += _name_problems(run, found.name, rules)
    problems += _tag_problems(run, loaded, found.tags)
    if run.parent is not None and parent is not None:
        problems += _fork_problems(run, loaded, found, parent, rules)
    if run.parent is None and found.parent is not None:
        problems.append(f"it has the parent {found.parent!r}, but is no fork")
    return problems + _life_problems(run, found, rules)


def _name_problems(run: SampleRun, name: str | None, rules: Rules) -> list[str]:
    if name is None:
        return []
    wanted = run.name if run.name is not None else run.key.run_id
    exact = len(wanted) <= _LONGEST_EXACT_NAME and run.name is not None
    is_right = name == rules.name_prefix + wanted if exact else wanted[:100] in name
    if is_right and name.startswith(rules.name_prefix):
        return []
    return [f"the name is {name!r}, not {rules.name_prefix + wanted!r}"]


def _tag_problems(run: SampleRun, loaded: LoadedRun, tags: frozenset[str] | None) -> list[str]:
    if tags is None:
        return []
    counted = _counted([x for x in loaded.losses if x.attribute_path == SysAttribute.TAGS])
    missing = run.tags - tags
    if len(missing) <= counted:
        return []
    return [f"{len(missing)} tags did not arrive, {counted} are reported: {sorted(missing)[:3]}"]


def _life_problems(run: SampleRun, found: LoadedSample, rules: Rules) -> list[str]:
    """When the run was created, whether it has ended, and how."""
    problems = []
    timed = rules.capabilities.timestamps and None not in (found.created_at, run.created_at)
    if timed and found.created_at != run.created_at:
        problems.append(f"it was created at {found.created_at}, not {run.created_at}")
    if found.running and run.parameter(SysAttribute.STATE) not in ("active", "running"):
        problems.append("it is shown as running, though it has ended")
    failed = run.parameter(SysAttribute.FAILED)
    if None not in (found.failed, failed) and found.failed != failed:
        problems.append(f"failed is {found.failed}, not {failed}")
    return problems


def _fork_problems(
    run: SampleRun, loaded: LoadedRun, found: LoadedSample, parent: LoadedRun, rules: Rules
) -> list[str]:
    if not rules.capabilities.forks:
        is_lost = any(x.attribute_path in _FORK_PATHS for x in loaded.losses)
        return (
            [] if is_lost or found.parent == parent.target_id else ["the lost fork is not reported as a loss"]
        )
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


def _may_be_lost(attribute: SampleAttribute, entry: Entry, room: Room) -> bool:
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

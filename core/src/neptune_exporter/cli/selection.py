"""Makes selections of runs, attributes, times and projects from what a person typed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from neptune_exporter.contract.selection import AttributeSelection, RunSelection
from neptune_exporter.errors import UsageError
from neptune_exporter.model import ALL_CLASSES, AttributeClass
from neptune_exporter.suggestions import did_you_mean

if TYPE_CHECKING:
    from neptune_exporter.contract.specs import SourceCapabilities

PROJECT_VARIABLE = "NEPTUNE_PROJECT"

_AGE_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def project_ids(given: Sequence[str]) -> tuple[str, ...]:
    """The values of `-p`. Raises UsageError if one is empty: `-p "$PROJECT"` without that variable must not
    mean all projects."""
    for value in given:
        check_not_empty(value.strip(" ,"), "-p")
    return _split(given)


def check_not_empty(value: str | None, option: str) -> None:
    """Raises UsageError if the option was given, without any text."""
    if value == "":
        raise UsageError(f"{option} is empty: name something, or leave it out for all")


def _split(values: Iterable[str]) -> tuple[str, ...]:
    """The values of options given several times, with commas, or both; without repeats."""
    parts = (part.strip() for value in values for part in value.split(","))
    return tuple(dict.fromkeys(part for part in parts if part))


def projects(given: Sequence[str], *, use_environment: bool) -> tuple[str, ...]:
    """The projects that were named, or those of NEPTUNE_PROJECT. Raises UsageError if that variable is not
    written in UTF-8."""
    if (named := project_ids(given)) or not use_environment:
        return named
    value = os.environ.get(PROJECT_VARIABLE, "")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UsageError(f"the variable {PROJECT_VARIABLE}: {value} is not written in UTF-8") from None
    return _split([value])


def regular_expression(pattern: str, option: str) -> str:
    """The pattern itself. Raises UsageError if it is not one, or empty."""
    check_not_empty(pattern, option)
    try:
        re.compile(pattern)
    except re.error as error:
        raise UsageError(f"{option}: {pattern!r} is not a regular expression: {error}") from None
    return pattern


def check_project_patterns(pattern: str | None, exclude: str | None) -> None:
    """Raises UsageError if one is not a regular expression."""
    for option, value in (("--project-pattern", pattern), ("--project-exclude-pattern", exclude)):
        if value is not None:
            regular_expression(value, option)


def run_selection(given: Sequence[str]) -> RunSelection:
    """The runs of `-r`: `@FILE` holds ids, one a line; anything else is a regular expression. Raises
    UsageError if a pattern is malformed, or a file cannot be read or holds no id."""
    patterns = tuple(regular_expression(v, "-r") for v in given if not v.startswith("@"))
    ids: set[str] = set()
    for value in given:
        if value.startswith("@"):
            ids |= _ids_of(Path(value[1:]))
    return RunSelection(patterns, frozenset(ids))


def _ids_of(path: Path) -> set[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"-r: cannot read run ids from {path}: {reason}") from None
    ids = {line.strip() for line in text.split("\n") if line.strip()}
    if not ids:
        raise UsageError(f"-r: {path} holds no run id; it should hold one a line")
    return ids


def attributes(
    given: Sequence[str],
    classes: Sequence[str],
    exclude: Sequence[str],
    *,
    metric_previews: bool,
    capabilities: SourceCapabilities,
) -> AttributeSelection:
    """One attribute is a regular expression, several are exact names. Raises UsageError if a pattern is
    malformed, a class does not exist or is not offered, or nothing is left."""
    wanted = _classes(classes, "-c") or set(ALL_CLASSES)
    if missing := _classes(classes, "-c") - capabilities.classes:
        raise UsageError(f"-c: this exporter has no {_names(missing)}; it has {_names(capabilities.classes)}")
    left = selected_classes(classes, exclude)
    one = len(given) == 1
    return AttributeSelection(
        pattern=regular_expression(given[0], "-a") if one else None,
        names=() if one else tuple(dict.fromkeys(given)),
        classes=left,
        metric_previews=metric_previews,
        others=wanted == ALL_CLASSES,
    )


def selected_classes(classes: Sequence[str], exclude: Sequence[str]) -> frozenset[AttributeClass]:
    """The classes of `-c`, or all, without those of `--exclude`. Raises UsageError if a class does not exist,
    or none is left."""
    left = frozenset((_classes(classes, "-c") or set(ALL_CLASSES)) - _classes(exclude, "--exclude"))
    if not left:
        raise UsageError("-c and --exclude together leave no attribute class")
    return left


def _classes(given: Sequence[str], option: str) -> set[AttributeClass]:
    names = _split(given)
    known = {c.value: c for c in AttributeClass}
    if given and not names:
        raise UsageError(f"{option}: names no class; there are {', '.join(known)}")
    for name in names:
        if name not in known:
            near = did_you_mean(name, known) or f"; there are {', '.join(known)}"
            raise UsageError(f"{option}: there is no class {name}{near}")
    return {known[name] for name in names}


def _names(classes: Iterable[AttributeClass]) -> str:
    return ", ".join(sorted(c.value for c in classes))


def moment(text: str | None, option: str, now: datetime | None = None) -> datetime | None:
    """A time: ISO 8601 (local if it names no zone), or an age such as `7d`, `12h`, `30m`. Raises UsageError
    if it is neither."""
    if text is None:
        return None
    if age := re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip()):
        try:
            span = timedelta(**{_AGE_UNITS[age[2]]: float(age[1])})
            return (now or datetime.now(timezone.utc)) - span
        except OverflowError:
            raise UsageError(f"{option}: {text} is too long ago") from None
    iso = re.sub(r"[zZ]$", "+00:00", text.strip())
    try:
        return datetime.fromisoformat(iso).astimezone(timezone.utc)
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"{option}: {text!r} is not a time; give ISO 8601 (2024-05-01T12:00:00Z) or an age (7d, 12h, 30m)"
        ) from None


def period(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """Both ends of `--modified-since` and `--modified-until`. Raises UsageError if one is not a time, or they
    are the wrong way round."""
    now = datetime.now(timezone.utc)
    first, last = moment(since, "--modified-since", now), moment(until, "--modified-until", now)
    if first is not None and last is not None and first >= last:
        raise UsageError(f"--modified-since {since} is not before --modified-until {until}")
    return first, last

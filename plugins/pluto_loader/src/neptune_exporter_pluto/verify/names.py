"""Log names: data whose name is not registered, or under another type, is in Pluto but no page shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from neptune_exporter.contract import Comparison, Verdict
from neptune_exporter_pluto.service.api import MAX_NAMES_LISTED
from neptune_exporter_pluto.verify.context import Check

ITEM = "log name of "
_ALL = "log names"


def compare_names(check: Check) -> Iterator[Comparison]:
    """To be asked for when everything has its name. One line for all that are right, one for each other."""
    wanted = {name: kind for kind, names in check.content.names.by_type().items() for name in names}
    listed = check.details.get("logNames")
    if listed is None:
        yield check.line(_ALL, Verdict.UNKNOWN, len(wanted), "Pluto does not list them")
        return
    found = {row["logName"]: row["logType"] for row in listed}
    hidden = len(wanted.keys() - found.keys()) if len(listed) >= MAX_NAMES_LISTED else 0
    yield from _wrong(check, wanted, found, hidden > 0)
    same = len(wanted.items() & found.items())
    if same:
        yield check.line(_ALL, Verdict.EQUAL, same, same)
    if hidden:
        yield check.line(_ALL, Verdict.UNKNOWN, hidden, f"Pluto lists no more than {MAX_NAMES_LISTED} names")


def _wrong(
    check: Check, wanted: Mapping[str, str], found: Mapping[str, str], some_are_hidden: bool
) -> Iterator[Comparison]:
    """Names of another type, names that are not there, and names that nothing of the run has."""
    paths = dict(check.content.names.changed())
    for name, kind in wanted.items():
        if found.get(name, kind) != kind:
            yield check.line(ITEM + paths.get(name, name), Verdict.DIFFERENT, kind, found[name])
        elif name not in found and not some_are_hidden:
            yield check.line(ITEM + paths.get(name, name), Verdict.MISSING, kind, "not registered")
    for name, kind in found.items():
        if name not in wanted:
            yield check.line(ITEM + name, Verdict.EXTRA, "", kind)

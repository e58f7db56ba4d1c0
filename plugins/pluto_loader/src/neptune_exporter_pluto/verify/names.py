"""Log names: data whose name is not registered, or under another type, is in Pluto but nobody sees it."""

from __future__ import annotations

from collections.abc import Iterator

from neptune_exporter.contract import Comparison, Verdict
from neptune_exporter_pluto.api import MAX_NAMES_LISTED
from neptune_exporter_pluto.verify.context import Check

ITEM = "log name of "
_ALL = "log names"


def compare_names(check: Check) -> Iterator[Comparison]:
    """To be asked for when everything has its name. One line for all that are right, one for each other."""
    wanted = {name: kind for kind, names in check.names.by_type().items() for name in names}
    listed = check.details.get("logNames")
    if listed is None:
        yield check.line(_ALL, Verdict.UNKNOWN, len(wanted), "Pluto does not list them")
        return
    paths = dict(check.names.changed())
    found = {row["logName"]: row["logType"] for row in listed}
    same = hidden = 0
    for name, kind in wanted.items():
        item = ITEM + paths.get(name, name)
        if found.get(name) == kind:
            same += 1
        elif name in found:
            yield check.line(item, Verdict.DIFFERENT, kind, found[name])
        elif len(listed) < MAX_NAMES_LISTED:
            yield check.line(item, Verdict.MISSING, kind, "not registered")
        else:
            hidden += 1
    for name, kind in found.items():
        if name not in wanted:
            yield check.line(ITEM + name, Verdict.EXTRA, "", kind)
    if same:
        yield check.line(_ALL, Verdict.EQUAL, same, same)
    if hidden:
        yield check.line(_ALL, Verdict.UNKNOWN, hidden, f"Pluto lists no more than {MAX_NAMES_LISTED} names")

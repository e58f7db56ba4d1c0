"""Names in messages: of many only some, and what a person may have meant by a name that does not exist."""

from __future__ import annotations

from collections.abc import Iterable

_MOST = 3
"""Names that a message suggests at most."""
_NAMED = 5
"""Names that a message lists at most."""
_CUTOFF = 0.6
"""`difflib`'s own: two thirds of the letters or so."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: `; did you mean train/loss?`, or nothing.

    >>> did_you_mean("train/lozz", ["train/loss", "lr"])
    '; did you mean train/loss?'
    """
    import difflib  # only for a wrong name: every start pays for what is imported above

    by_lower: dict[str, str] = {}
    for each in known:
        by_lower.setdefault(each.lower(), each)
    found = [by_lower[m] for m in difflib.get_close_matches(name.lower(), by_lower, _MOST, _CUTOFF)]
    return f"; did you mean {' or '.join(found)}?" if found else ""


def some(names: Iterable[str]) -> str:
    """All of them if they are few: `RUN-1, RUN-2`; else the first, and how many more."""
    names = list(names)
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more

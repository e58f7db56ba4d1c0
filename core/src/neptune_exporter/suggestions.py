"""Names in messages: some of many, what may have been meant by one that does not exist, and what adds one."""

from __future__ import annotations

from collections.abc import Iterable

_MOST = 3
"""Names that a message suggests at most."""
_NAMED = 5
"""Names that a message lists at most."""
_CUTOFF = 0.6
"""`difflib`'s own: two thirds of the letters or so."""


def did_you_mean(name: str, known: Iterable[str], *, prefix: str = "") -> str:
    """The end of a message about an unknown name: `; did you mean train/loss?`, or nothing. A prefix that all
    names have does not make them similar.

    >>> did_you_mean("train/lozz", ["train/loss", "lr"])
    '; did you mean train/loss?'
    """
    import difflib  # only for a wrong name: every start pays for what is imported above

    by_lower: dict[str, str] = {}
    for each in known:
        by_lower.setdefault(each.removeprefix(prefix).lower(), each)
    sought = name.removeprefix(prefix).lower()
    found = [by_lower[m] for m in difflib.get_close_matches(sought, by_lower, _MOST, _CUTOFF)]
    return f"; did you mean {' or '.join(found)}?" if found else ""


def how_to_add(extra: str, pip: str, what: str = "it") -> str:
    """What adds an extra and removes no other. (uv 0.13: without `--inexact`, `uv sync` removes the plugins
    of other extras. The distributions are on no index, so that pip finds them only as folders of a clone.)

    >>> how_to_add("dask", '"./core[dask]"')
    'to add it, in a clone of the repository: uv sync --inexact --extra dask, or pip install "./core[dask]"'
    """
    uv = f"uv sync --inexact --extra {extra}"
    return f"to add {what}, in a clone of the repository: {uv}, or pip install {pip}"


def some(names: Iterable[str]) -> str:
    """All of them if they are few: `RUN-1, RUN-2`; else the first, and how many more."""
    names = list(names)
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more

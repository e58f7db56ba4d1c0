"""Values on their way through Pluto: when they are the same, and how they are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def is_same(wanted: Any, found: Any) -> bool:
    """Equal after a way through JSON and JavaScript.

    There 1.0 becomes 1, and an integer beyond 2**53 gets the shortest digits that name its double, which
    are not its own: numbers are compared as doubles.
    """
    if type(wanted) is type(found) is str:
        return bool(wanted == found)
    return bool(_plain(wanted) == _plain(found))


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return bool, value  # or it would be the same as 0 or 1
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def shown_step(found: Any) -> int:
    """A step that Pluto gives: above 2**53 with the shortest digits that name its double."""
    step = int(found)
    return step if step <= 2**53 else int(float(step))


def steps_of(rows: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.uint64]:
    """Of rows that Pluto gives, each as `shown_step`."""
    steps = [int(row["step"]) for row in rows]
    if max(steps, default=0) > 2**53:
        steps = list(map(shown_step, steps))
    return np.array(steps, np.uint64)


def times_of(rows: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.int64]:
    """Of rows that Pluto gives, in ms since 1970."""
    return np.array([row["time"].removesuffix("Z") for row in rows], "datetime64[ms]").astype(np.int64)

"""Breaks a load at a line of the sink's own code, or lets something else happen there.

A break is a `BreakError` raised at the first or the last time that the load passes a line: whatever order
the sink does things in, the next load must complete or repeat what this one has left.
"""

from __future__ import annotations

import ast
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from neptune_exporter.contract.sink import Sink

_T = TypeVar("_T")
_SEED = 19
_LAST = 4
"""So many places at the end of a load are always among the chosen ones: there order matters most."""


class BreakError(BaseException):
    """Not an Exception, so that no sink takes it for an error of its target."""


@dataclass(frozen=True)
class Place:
    """A line, and the how-manieth time that a load passes it."""

    file: str
    line: int
    time: int

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.line}, time {self.time}"


def own_code(sink: Sink) -> tuple[str, ...]:
    """Where the code of a sink lies: packages as folders, single modules as files."""
    own = (cls for cls in type(sink).__mro__ if cls is not Sink)
    return tuple(sorted({place for cls in own if (place := _place_of(cls)) is not None}))


def _place_of(cls: type) -> str | None:
    """None for code of Python itself."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    root, _, _ = cls.__module__.partition(".")
    if file is None or root in ("abc", "typing"):
        return None
    package = sys.modules[cls.__module__].__package__ if root == "neptune_exporter" else root
    folder = Path(getattr(sys.modules.get(package or ""), "__file__", None) or "")
    is_kit = cls.__module__.startswith("neptune_exporter.testing.")
    return file if is_kit or folder.name != "__init__.py" else f"{folder.parent}/"


class Watch:
    """Calls `at` for every line of some code that is passed meanwhile, in all threads that start meanwhile.

    Args:
        code: What `own_code` gives.
        at: Gets the place. What it raises comes out of that line.
        threads: False: only in the thread that watches.
    """

    def __init__(self, code: Sequence[str], at: Callable[[Place], None], *, threads: bool = True) -> None:
        self._code = tuple(code)
        self._at = at
        self._threads = threads
        self._passed: Counter[tuple[str, int]] = Counter()
        self._lock = threading.Lock()

    def _enter(self, frame: FrameType, event: str, _: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(self._code) else None

    def _line(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            key = (frame.f_code.co_filename, frame.f_lineno)
            with self._lock:
                self._passed[key] += 1
                place = Place(*key, self._passed[key])
            self._at(place)
        return self._line

    def run(self, call: Callable[[], _T]) -> _T:
        before = sys.gettrace()
        if self._threads:
            threading.settrace(self._enter)
        sys.settrace(self._enter)
        try:
            return call()
        finally:
            sys.settrace(before)
            if self._threads:
                threading.settrace(before)


def places_of(code: Sequence[str], call: Callable[[], object]) -> list[Place]:
    """The first and the last time at which a call passes each line, in the order of the call."""
    passed: list[Place] = []
    Watch(code, passed.append).run(call)
    times = Counter((place.file, place.line) for place in passed)
    firsts_only = {file: _with_lines(file) for file, _ in times}
    last = {key: 1 if key[1] in firsts_only[key[0]] else most for key, most in times.items()}
    return [p for p in passed if p.time in (1, last[p.file, p.line])]


def _with_lines(file: str) -> set[int]:
    """Lines of `with`: they are passed again when the block is left, and a break there keeps its lock.

    A process that is killed holds no lock.
    """
    lines: set[int] = set()
    for node in ast.walk(ast.parse(Path(file).read_text("utf-8"))):
        if isinstance(node, (ast.With, ast.AsyncWith)):
            lines |= set(range(node.lineno, node.body[0].lineno))
    return lines


def chosen(places: Sequence[Place], most: int | None) -> list[Place]:
    """So many of the places, the last ones among them, the same every time; None: all."""
    if most is None or most >= len(places):
        return list(places)
    end = list(places[-_LAST:]) if most > _LAST else []
    some = random.Random(_SEED).sample(list(places[: len(places) - len(end)]), most - len(end))
    return sorted(some, key=places.index) + end


def broken_at(code: Sequence[str], place: Place, call: Callable[[], object]) -> bool:
    """Break a call at a place. Whether it came there."""
    reached = threading.Event()

    def at(passed: Place) -> None:
        if passed == place or reached.is_set():  # what else runs is dead as well
            reached.set()
            raise BreakError(str(place))

    try:
        Watch(code, at).run(call)
    except BaseException:
        if not reached.is_set():
            raise
    return reached.is_set()

"""The way of a run through the modules of the loader stays straight, so that it can be read in one go.

The *rooms* are the modules beside `sink.py`, and those of `verify`. What they stand on (`form`, `service`,
`state`, `settings.py`, and what the comparisons share) is like a library: calls into it are not counted, and
what it calls back is as if the room called it. The walk enters a room when a call goes from another room into
it, unless the call before went into the same room. Each place of a call counts once, so a loop does too.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import neptune_exporter_pluto
from neptune_exporter.model import SysAttribute
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import parameter

from .conftest import MakeSink
from .killed_load import KEY, everything

PACKAGE = Path(str(neptune_exporter_pluto.__file__)).parent
LAYERS = ("form", "service", "state")
BELOW = (*LAYERS, "settings.py", "verify/context.py")
MOST_ENTRIES = 2


@lru_cache
def room_of(file: str) -> str | None:
    """The room that a file of code is; None if it is none."""
    if not Path(file).is_relative_to(PACKAGE):
        return None
    name = Path(file).relative_to(PACKAGE).as_posix()
    return None if name.startswith(BELOW) else name


def walk(action: Callable[[], object]) -> list[str]:
    """The rooms that an action enters in this thread, in order."""
    entered: list[str] = []
    places: set[tuple[object, ...]] = set()
    here: str | None = None

    def called(frame: FrameType, event: str, _: object) -> None:
        nonlocal here
        room, caller = room_of(frame.f_code.co_filename), frame.f_back
        if event != "call" or room is None:
            return
        while caller is not None and room_of(caller.f_code.co_filename) is None:
            caller = caller.f_back
        place = (caller and caller.f_code, caller and caller.f_lineno, frame.f_code)
        if place in places:
            return
        places.add(place)
        if room != here and (caller is None or room_of(caller.f_code.co_filename) != room):
            entered.append(room)
        here = room

    sys.setprofile(called)
    try:
        action()
    finally:
        sys.setprofile(None)
    return entered


def at_once(self: ThreadPoolExecutor, call: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
    """What a pool of threads would do, in this thread."""
    future: Future[Any] = Future()
    future.set_result(call(*args, **more))
    return future


def test_each_room_is_entered_at_most_twice(make_sink: MakeSink, monkeypatch: pytest.MonkeyPatch) -> None:
    fork = {SysAttribute.FORK_PARENT: KEY.run_id, SysAttribute.FORK_STEP: 1.0}
    child = replace(everything(), key=replace(KEY, run_id="RUN-2"))
    run = MemoryRun(child.plus(*(parameter(path, value) for path, value in fork.items())))
    sink = make_sink()
    parent = sink.load(MemoryRun(everything()), None)
    monkeypatch.setattr(ThreadPoolExecutor, "submit", at_once)
    loading = walk(lambda: sink.load(run, parent))
    comparing = walk(lambda: list(sink.verify(run)))
    loading_again = walk(lambda: sink.load(run, parent))
    assert {"deciding.py", "creation.py", "entries.py", "metrics.py", "upload.py", "ending.py"} <= {*loading}
    assert {"entries.py", "verify/points.py", "verify/listed_files.py"} <= {*comparing}
    assert "reading_back.py" in loading_again
    for way in (loading, comparing, loading_again):
        often = {room: count for room, count in Counter(way).items() if count > MOST_ENTRIES}
        assert not often, " → ".join(way)


@pytest.mark.parametrize("layer", LAYERS)
def test_what_the_rooms_stand_on_imports_no_room(layer: str) -> None:
    """And each layer imports only those before it."""
    allowed = {"settings", *LAYERS[: LAYERS.index(layer) + 1]}
    for path in (PACKAGE / layer).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE.name + "."):
                assert str(node.module).split(".")[1] in allowed, f"{path.name}: {node.module}"
            assert not (isinstance(node, ast.ImportFrom) and node.module == PACKAGE.name), path.name

"""The child process that reads parts of unknown origin before the process of the command does.

A damaged footer can make pyarrow end the process (seen with 26.0.1: one changed byte of a footer, and
reading a column then aborts). So another process reads first. The first line of its input says where the
data lie. Each other line names some parts, and each line of its output says what these parts hold, or why
they cannot be read; with `passing` if the reason may not be the part itself, and so may be gone next time.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from neptune_exporter.contract import DatasetError
from neptune_exporter.dataset.format.storage import Storage
from neptune_exporter.dataset.format.storages import storage_at
from neptune_exporter.dataset.read.facts import PartFacts, facts_of
from neptune_exporter.dataset.read.part_in_memory import PartInMemory
from neptune_exporter.dataset.read.parts import Part
from neptune_exporter.location import Location, options_of
from neptune_exporter.toolkit import failpoint, first_line
from neptune_exporter.toolkit.free_memory import few_collections

_DAMAGE = (DatasetError, pa.ArrowException, ArithmeticError, LookupError, MemoryError, OSError, ValueError)
"""What pyarrow and Python raise for bytes that are not a part."""


READY = b"ready\n"
"""The first line of its output. Without it, the process did not start."""


def main() -> None:
    """Answer requests until the input ends."""
    # only the command handles Ctrl-C: this process ends with its input
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _leave_no_core()
    where = json.loads(sys.stdin.buffer.readline())
    storage = storage_at(Location.of(where["address"], options_of(where["options"])))
    sys.stdout.write(READY.decode())
    sys.stdout.flush()
    with few_collections():
        for line in sys.stdin.buffer:
            request = json.loads(line)
            sys.stdout.write(packed(answers(storage, request["paths"], decode=request["decode"])) + "\n")
            sys.stdout.flush()


def _leave_no_core() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def packed(answers: Sequence[dict[str, Any]]) -> str:
    """Answers as one line. Most runs of a project have the same attributes: those that are the same as in the
    answer before are not repeated, which takes a twentieth off a summary of thousands of runs."""
    last = None
    for tally in _tallies(answers):
        found = tally["attributes"]
        if found == last:
            tally["attributes"] = None
        last = found
    return json.dumps(answers)


def unpacked(line: bytes) -> list[dict[str, Any]]:
    """The answers that `packed` was given."""
    answers: list[dict[str, Any]] = json.loads(line)
    last = None
    for tally in _tallies(answers):
        if tally["attributes"] is None:
            tally["attributes"] = last
        last = tally["attributes"]
    return answers


def _tallies(answers: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (answer["facts"]["tally"] for answer in answers if "facts" in answer)


def answers(storage: Storage, paths: Sequence[str], *, decode: bool) -> list[dict[str, Any]]:
    """What each of these parts holds, or why it cannot be read, without its path."""
    try:
        return [{"facts": facts.to_json()} for facts in _facts(storage, paths, decode=decode)]
    except Exception as error:  # noqa: BLE001 - a fault of ours must not look like damage
        if len(paths) == 1:
            return [_trouble(storage, paths[0], error)]
    return [answer for path in paths for answer in answers(storage, [path], decode=decode)]


def _facts(storage: Storage, paths: Sequence[str], *, decode: bool) -> list[PartFacts]:
    """Read parts. Raises what pyarrow and Python raise for bytes that are not a part."""
    for path in paths:
        failpoint(f"probe.{path}")
    parts = [PartInMemory(storage, path) for path in paths]
    for part in parts:
        part.load()
    for part in parts:
        part.open()
    return facts_of(parts, decode=decode)


def _trouble(storage: Storage, path: str, error: Exception) -> dict[str, Any]:
    text = first_line(error).removeprefix(storage.describe(path)).lstrip(": ")
    if not isinstance(error, _DAMAGE):
        message = f"was not read: the program failed on it ({type(error).__name__}: {text})"
        return {"error": message, "passing": True}
    if _may_pass(error) or _may_pass(error.__cause__):
        return {"error": f"cannot be read now: {text}", "passing": True}
    message = text if isinstance(error, DatasetError) else f"is damaged: {text}"
    return {"error": message, "identity": _identity(storage, path)}


def _identity(storage: Storage, path: str) -> tuple[str, str] | None:
    """The identity of a damaged part, if these columns can be read; a guess from file names may be wrong."""
    try:
        return Part(storage, path).identity()
    except _DAMAGE:
        return None


def _may_pass(error: BaseException | None) -> bool:
    """Whether the machine may be the reason: pyarrow's errors about damaged bytes have no `errno`."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and bool(error.errno))

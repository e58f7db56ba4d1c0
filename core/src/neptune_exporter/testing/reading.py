"""Reads a source as core does, and checks the protocol of its events on the way."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import pyarrow as pa

from neptune_exporter.contract.failures import AttributeFailure
from neptune_exporter.contract.selection import AttributeRequest
from neptune_exporter.contract.source import ReadEvent, RunDone, RunRequest, RunRows, Source, SourceRun
from neptune_exporter.model import AttributeType, RunKey
from neptune_exporter.testing.facts import Facts, FileContent, MalformedRowError, facts_of_batch, step_of
from neptune_exporter.testing.files import MemoryFiles
from neptune_exporter.testing.runs import canonical_step


class ProtocolError(AssertionError):
    """The events of a source come in an order, or name runs, that the contract excludes."""


@dataclass
class ReadRuns:
    """What a source delivered, run by run."""

    facts: dict[RunKey, Facts] = field(default_factory=lambda: defaultdict(Counter))
    failures: list[AttributeFailure] = field(default_factory=list)
    done: set[RunKey] = field(default_factory=set)
    memory: dict[RunKey, str] = field(default_factory=dict)
    """What the source wants back, where it wants something."""


def read_runs(
    source: Source,
    runs: Iterable[SourceRun],
    request: AttributeRequest | Callable[[SourceRun], AttributeRequest] | None = None,
    *,
    content: FileContent,
    ignored: frozenset[str] = frozenset(),
    memory: Mapping[RunKey, str] | None = None,
) -> ReadRuns:
    """Read runs of one project in the groups that the source chooses.

    Args:
        request: What is asked for of each run. Default: everything.
        content: Gives the form of a file's bytes by which it is compared.
        ignored: Attribute paths that are left out of what is returned.
        memory: What an earlier reading returned as `ReadRuns.memory`.

    Raises:
        ProtocolError, MalformedRowError: the source breaks the contract.
    """
    if not callable(request):
        fixed = request or AttributeRequest()
        request = lambda run: fixed  # noqa: E731
    result = ReadRuns()
    given = memory or {}
    requests = [RunRequest(run, request(run), given.get(run.key, "")) for run in runs]
    for group in _groups(source, requests):
        read_group(source, group, result, content)
    for key, facts in result.facts.items():
        result.facts[key] = Counter({fact: n for fact, n in facts.items() if fact.path not in ignored})
    return result


def _groups(source: Source, requests: Sequence[RunRequest]) -> list[Sequence[RunRequest]]:
    groups = list(source.groups(iter(requests)))
    if Counter(r.run.key for r in chain.from_iterable(groups)) != Counter(r.run.key for r in requests):
        raise ProtocolError("groups() does not hand every request on exactly once")
    return groups


def read_group(source: Source, group: Sequence[RunRequest], result: ReadRuns, content: FileContent) -> None:
    """Read one group into `result`."""
    keys = {request.run.key for request in group}
    files = MemoryFiles()
    held: list[RunRows] = []
    for event in source.read(group, files):
        _check_run(event, keys, result.done)
        if isinstance(event, RunRows):
            held.append(event)
            _check_identity(event)
        elif isinstance(event, AttributeFailure):
            result.failures.append(event)
        elif isinstance(event, RunDone):
            # Core publishes the run now: the files of its rows must be there already.
            _take(held, event.run, files, content, result)
            held = [rows for rows in held if rows.run != event.run]
            result.done.add(event.run)
            if event.memory:
                result.memory[event.run] = event.memory
        else:
            raise ProtocolError(f"{type(event).__name__} is no event of a source")
    for key in keys:
        _take(held, key, files, content, result)
        result.facts.setdefault(key, Counter())


def _check_run(event: ReadEvent, group: set[RunKey], done: set[RunKey]) -> None:
    if event.run not in group:
        raise ProtocolError(f"{type(event).__name__} of {event.run}, which is not in the group")
    if event.run in done:
        raise ProtocolError(f"{type(event).__name__} of {event.run} after its RunDone")


def _take(
    held: Iterable[RunRows], key: RunKey, files: MemoryFiles, content: FileContent, result: ReadRuns
) -> None:
    def read(row: dict[str, Any]) -> bytes:
        return content(AttributeType(row["attribute_type"]), stored_content(key, row, files))

    for rows in held:
        if rows.run == key:
            result.facts[key].update(facts_of_batch(rows.batch, read))


def stored_content(key: RunKey, row: dict[str, Any], files: MemoryFiles) -> bytes:
    """The bytes of the file that a row names, once it is sure that the row names it rightly."""
    what, path = f"{key} {row['attribute_path']!r}", row["file_value"]["path"]
    place = files.place_of(path)
    if place is None:
        raise MalformedRowError(f"{what}: {path!r} was never stored through the FileWriter")
    if place[:2] != (key, row["attribute_path"]):
        raise MalformedRowError(f"{what}: the row names the file of {place[0]} {place[1]!r}")
    if canonical_step(place[2]) != canonical_step(step_of(row)):
        raise MalformedRowError(f"{what}: the row of step {step_of(row)} names the file of step {place[2]}")
    stored = files.places[place]
    said = (row.get("file_size"), row.get("file_sha256"))
    if said != (stored.size, stored.sha256):
        raise MalformedRowError(f"{what}: file_size, file_sha256 are {said}, not those of the StoredFile")
    return files.contents[path]


def _check_identity(rows: RunRows) -> None:
    """Where a batch names its run itself, it must be this run."""
    for column, value in (("project_id", rows.run.project_id), ("run_id", rows.run.run_id)):
        if column in rows.batch.schema.names:
            names: pa.Array = rows.batch.column(column)
            others = {name for name in names.to_pylist() if name not in (None, value)}
            if others:
                raise ProtocolError(f"a batch of {rows.run} holds rows of the {column} {sorted(others)}")


def listed(source: Source, project_id: str, selection: Any) -> list[SourceRun]:
    """The runs of a project.

    Raises:
        ProtocolError: a run is listed twice, or belongs to another project.
    """
    found: Iterator[SourceRun] = source.runs(project_id, selection)
    runs = list(found)
    twice = [str(key) for key, n in Counter(run.key for run in runs).items() if n > 1]
    if twice:
        raise ProtocolError(f"listed more than once: {', '.join(twice)}")
    strange = [str(run.key) for run in runs if run.key.project_id != project_id]
    if strange:
        raise ProtocolError(f"listed under {project_id} but of another project: {', '.join(strange)}")
    return runs

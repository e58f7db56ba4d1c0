"""The receipt of a run: what was published, from where, and what is missing. Writing it commits the
export."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any

from neptune_exporter.contract import (
    AttributeFailure,
    AttributeSelection,
    DatasetError,
    NewerVersionError,
    SourceRun,
    Step,
    StepStatistics,
    TypeCount,
)
from neptune_exporter.dataset.format import extents, rowless
from neptune_exporter.dataset.format.extents import Extent
from neptune_exporter.model import SERIES_TYPES, AttributeClass, AttributeType, RunKey, RunKind

FORMAT = "neptune-exporter-receipt"
VERSION = 1
"""A receipt of a later version is refused."""


@dataclass(frozen=True)
class PartRecord:
    """One part of a run."""

    name: str
    """The name of the part, without folders."""
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Fork:
    """The fork of a run: its parent and the step."""

    parent: str
    """The parent's run id, in the same project."""
    step: Step | None


@dataclass(frozen=True)
class Receipt:
    """What one export published of one run. Times have time zones."""

    key: RunKey
    source: str
    """Name and version of the source."""
    modified_at: datetime | None
    """When the run was last changed, according to the source."""
    name: str | None
    exported_at: datetime
    selections: tuple[AttributeSelection, ...]
    """What was requested, by this export and by those that it added to."""
    notes: tuple[str, ...]
    types: Mapping[AttributeType, TypeCount]
    steps: StepStatistics
    first_time: datetime | None
    last_time: datetime | None
    parts: tuple[PartRecord, ...]
    files: int
    """The number of rows that name a file."""
    file_bytes: int
    file_names: str
    """`paths.sum_of_names` of the files that rows name, in hex."""
    files_without_checksum: str
    """The same of those whose row has no SHA-256: "0" if all rows have one."""
    failures: tuple[AttributeFailure, ...] = ()
    fork: Fork | None = None
    tags: tuple[str, ...] = ()
    """`sys/tags`, sorted."""
    set_aside: tuple[str, ...] = ()
    """Unreadable parts of an earlier export, which this one renamed."""
    identity: str = ""
    """Distinguishes the run from another run with the same key, according to the source."""
    partial: bool = False
    """Whether the source may have had only a part of the run."""
    foreign: bool = False
    """Whether some rows come from an export without a receipt, so that their origin is unknown."""
    handle: str = ""
    """For a partial run: a digest of where the source found it. Otherwise empty."""
    url: str = ""
    """The address of the run's page, according to the source."""
    logs: tuple[Extent, ...] = ()
    """The logs that it was read from, for a partial run."""
    memory: str = ""
    """What the source wants back at the next export (`RunDone.memory`)."""

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the rows, made from the digests of the parts."""
        return fingerprint([part.sha256 for part in self.parts])

    @property
    def whole_steps(self) -> tuple[float, float] | None:
        """As `ExportedRun.whole_steps`."""
        return (0.0, 0.0) if SERIES_TYPES.isdisjoint(self.types) else self.steps.whole_range

    def to_bytes(self) -> bytes:
        """The bytes of the receipt: JSON in `rowless.sealed`."""
        return rowless.sealed(self.to_json())

    def to_json(self) -> bytes:
        """The receipt as one line, for `from_json`."""
        return json.dumps(self._to_json(), allow_nan=False).encode()

    def is_of_state(self, run: SourceRun) -> bool:
        """Whether the run is unchanged since. Partial runs are also compared by their place, because two
        parts of a run may have the same time."""
        same = run.modified_at is not None and self.modified_at == run.modified_at
        return same and (not run.partial or self.handle == handle_of(run))

    def has_read(self, run: SourceRun) -> bool:
        """Whether all logs of a partial run were read for this receipt."""
        return run.partial and extents.all_read(self.logs, run.logs)

    def is_within(self, run: SourceRun) -> bool:
        """Whether the logs of a partial run contain all that was read for this receipt."""
        return run.partial and extents.all_there(self.logs, run.logs)

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Receipt:
        """Parse a receipt; messages name `where`. Raises DatasetError if the receipt is damaged, and
        NewerVersionError if it is of a later version."""
        try:
            content = rowless.unsealed(data)
        except ValueError as error:
            raise DatasetError(f"{where} is damaged: {error}") from error
        return cls.from_json(content, where)

    @classmethod
    def from_json(cls, content: bytes, where: str) -> Receipt:
        """As `from_bytes`, from the text of `to_json`."""
        try:
            value = json.loads(content)
            if value["format"] != FORMAT:
                raise ValueError("not a receipt")
            if value["version"] > VERSION:
                run = f"{value.get('project_id')}:{value.get('run_id')}"
                raise NewerVersionError(
                    f"{run}: a newer neptune-exporter wrote this run ({where}): upgrade neptune-exporter"
                )
            return _from_json(value)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise DatasetError(f"{where} is damaged: {reason}") from error

    def _to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "project_id": self.key.project_id,
            "run_id": self.key.run_id,
            "kind": self.key.kind.value,
            "name": self.name,
            "source": self.source,
            "modified_at": _time_to_json(self.modified_at),
            "exported_at": _time_to_json(self.exported_at),
            "selections": [s.to_json() for s in self.selections],
            "notes": list(self.notes),
            "types": {t.value: {"attributes": c.attributes, "rows": c.rows} for t, c in self.types.items()},
            "steps": {
                "minimum": self.steps.minimum,
                "maximum": self.steps.maximum,
                "count": self.steps.count,
                "whole": self.steps.whole,
            },
            "first_time": _time_to_json(self.first_time),
            "last_time": _time_to_json(self.last_time),
            "parts": [vars(part) for part in self.parts],
            "files": {
                "count": self.files,
                "bytes": self.file_bytes,
                "names": self.file_names,
                "without_checksum": self.files_without_checksum,
            },
            "failures": [_failure_to_json(f) for f in self.failures],
            "tags": list(self.tags),
            "fork": self.fork and {"parent": self.fork.parent, "step": _step_to_json(self.fork.step)},
            "set_aside": list(self.set_aside),
            "identity": self.identity,
            "partial": self.partial,
            "foreign": self.foreign,
            "handle": self.handle,
            "url": self.url,
            "logs": [list(log) for log in self.logs],
            "memory": self.memory,
            "fingerprint": self.fingerprint,
        }


def handle_of(run: SourceRun) -> str:
    """A digest of a run's handle, because the handle may name a path of this machine."""
    return hashlib.sha256(run.handle.encode()).hexdigest()[:32] if run.partial else ""


def fingerprint(part_digests: list[str]) -> str:
    """A digest that changes with the bytes of the parts and with their order."""
    return hashlib.sha256("\n".join(part_digests).encode()).hexdigest()[:32]


def _selection(value: Mapping[str, Any]) -> AttributeSelection:
    return _known_selection(
        value["pattern"],
        tuple(value["names"]),
        tuple(value["classes"]),
        value["metric_previews"],
        value["others"],
    )


@lru_cache(maxsize=64)
def _known_selection(
    pattern: str | None, names: tuple[str, ...], classes: tuple[str, ...], metric_previews: bool, others: bool
) -> AttributeSelection:
    """Cached, because thousands of runs have the same selections."""
    known = frozenset(map(AttributeClass, classes))
    return AttributeSelection(pattern, names, known, bool(metric_previews), bool(others))


@lru_cache(maxsize=256)
def _known_types(counts: tuple[tuple[str, int, int], ...]) -> Mapping[AttributeType, TypeCount]:
    """Cached like `_known_selection`."""
    return {AttributeType(kind): TypeCount(attributes, rows) for kind, attributes, rows in counts}


def _from_json(value: Mapping[str, Any]) -> Receipt:
    key = RunKey(value["project_id"], value["run_id"], RunKind(value["kind"]))
    fork = value["fork"]
    return Receipt(
        key=key,
        source=value["source"],
        modified_at=_time_from_json(value["modified_at"]),
        name=value["name"],
        exported_at=datetime.fromisoformat(value["exported_at"]),
        selections=tuple(map(_selection, value["selections"])),
        notes=tuple(value["notes"]),
        types=_known_types(tuple((t, c["attributes"], c["rows"]) for t, c in value["types"].items())),
        steps=StepStatistics(**value["steps"]),
        first_time=_time_from_json(value["first_time"]),
        last_time=_time_from_json(value["last_time"]),
        parts=tuple(PartRecord(**part) for part in value["parts"]),
        files=value["files"]["count"],
        file_bytes=value["files"]["bytes"],
        file_names=value["files"]["names"],
        files_without_checksum=value["files"]["without_checksum"],
        failures=tuple(_failure_from_json(key, f) for f in value["failures"]),
        tags=tuple(value["tags"]),
        fork=fork and Fork(fork["parent"], _step_from_json(fork["step"])),
        set_aside=tuple(value["set_aside"]),
        identity=value["identity"],
        partial=value["partial"],
        foreign=value["foreign"],
        handle=value["handle"],
        url=value["url"],
        logs=tuple(Extent(*log) for log in value["logs"]),
        memory=str(value.get("memory", "")),
    )


def _time_to_json(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _time_from_json(time: str | None) -> datetime | None:
    return None if time is None else datetime.fromisoformat(time)


def _step_to_json(step: Step | None) -> str | None:
    """Decimals keep their digits; a float is marked by a leading `f`."""
    if step is None:
        return None
    return str(step) if isinstance(step, Decimal) else f"f{step!r}"


def _step_from_json(step: str | None) -> Step | None:
    if step is None:
        return None
    return float(step[1:]) if step.startswith("f") else Decimal(step)


def _failure_to_json(failure: AttributeFailure) -> dict[str, Any]:
    return {
        "attribute_path": failure.attribute_path,
        "attribute_type": failure.attribute_type and failure.attribute_type.value,
        "message": failure.message,
        "attempts": failure.attempts,
        "permanent": failure.permanent,
        "time": _time_to_json(failure.time),
        **({"lost": True} if failure.lost else {}),
        **({"kept": True} if failure.kept else {}),
    }


def _failure_from_json(run: RunKey, value: Mapping[str, Any]) -> AttributeFailure:
    kind = value["attribute_type"]
    return AttributeFailure(
        run,
        value["attribute_path"],
        AttributeType(kind) if kind else None,
        value["message"],
        value["attempts"],
        value["permanent"],
        _time_from_json(value["time"]),
        value.get("lost", False),
        value.get("kept", False),
    )

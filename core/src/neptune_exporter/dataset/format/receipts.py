"""The receipt of a run: what was published, from where, and what is missing. Writing it commits the
export."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
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
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        head = {"format": FORMAT, "version": VERSION, **vars(own.pop("key")), "fingerprint": self.fingerprint}
        return json.dumps({**head, **own}, default=_encoded, allow_nan=False).encode()

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
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise DatasetError(f"{where} is damaged: {reason}") from error


def handle_of(run: SourceRun) -> str:
    """A digest of a run's handle, because the handle may name a path of this machine."""
    return hashlib.sha256(run.handle.encode()).hexdigest()[:32] if run.partial else ""


def fingerprint(part_digests: list[str]) -> str:
    """A digest that changes with the bytes of the parts and with their order."""
    return hashlib.sha256("\n".join(part_digests).encode()).hexdigest()[:32]


def _encoded(value: Any) -> object:
    """What JSON has no form of its own for. Decimals keep their digits; a float step is marked by an `f`."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Fork) and value.step is not None:
        is_exact = isinstance(value.step, Decimal)
        return {"parent": value.parent, "step": str(value.step) if is_exact else f"f{value.step!r}"}
    if not is_dataclass(value):
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
    return {name: each for name, each in vars(value).items() if not isinstance(each, RunKey)}


def _selection(value: Mapping[str, Any]) -> AttributeSelection:
    names, classes = tuple(value["names"]), tuple(value["classes"])
    return _known_selection(value["pattern"], names, classes, value["metric_previews"], value["others"])


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


def _types(value: Mapping[str, Any]) -> Mapping[AttributeType, TypeCount]:
    return _known_types(tuple((kind, c["attributes"], c["rows"]) for kind, c in value.items()))


def _time(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def _fork(value: Mapping[str, Any] | None) -> Fork | None:
    return None if value is None else Fork(value["parent"], _step(value["step"]))


def _step(value: str | None) -> Step | None:
    if value is None:
        return None
    return float(value[1:]) if value.startswith("f") else Decimal(value)


def _failure(value: Mapping[str, Any], run: RunKey) -> AttributeFailure:
    kind = value["attribute_type"]
    typed = {"attribute_type": kind and AttributeType(kind), "time": _time(value["time"])}
    return AttributeFailure(run, **{**value, **typed})


_DECODED: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("modified_at", "exported_at", "first_time", "last_time"), _time),
    **dict.fromkeys(("notes", "tags", "set_aside"), tuple),
    "selections": lambda value: tuple(map(_selection, value)),
    "types": _types,
    "steps": lambda value: StepStatistics(**value),
    "parts": lambda value: tuple(PartRecord(**part) for part in value),
    "fork": _fork,
    "logs": lambda value: tuple(Extent(*log) for log in value),
}
"""How the fields of a receipt are read that have no form of their own in JSON."""


def _from_json(value: dict[str, Any]) -> Receipt:
    for name in ("format", "version", "fingerprint"):
        del value[name]
    key = RunKey(value.pop("project_id"), value.pop("run_id"), RunKind(value.pop("kind")))
    value["failures"] = tuple(_failure(each, key) for each in value["failures"])
    for name, decoded in _DECODED.items():
        value[name] = decoded(value[name])
    return Receipt(key, **value)

"""A view of a run with only some attribute classes, for `load -c`."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from neptune_exporter.contract import AttributeFailure, ExportedRun, Loss, Parameter, Row, Step, TypeCount
from neptune_exporter.model import ALL_CLASSES, SERIES_TYPES, AttributeClass, AttributeType, RunKey

if TYPE_CHECKING:
    import pyarrow as pa

_SYSTEM = "sys/"


def selected(run: ExportedRun, classes: frozenset[AttributeClass]) -> ExportedRun:
    """The run itself if all classes are selected, otherwise a view without the other classes."""
    return run if classes == ALL_CLASSES else SelectedRun(run, classes)


def left_out(run: ExportedRun, classes: frozenset[AttributeClass]) -> list[Loss]:
    """Losses for what is not loaded because the user selected other classes."""
    return [
        Loss(run.key, "not-selected", f"{kind.attribute_class} were left out", count.rows, requested=True)
        for kind, count in run.counts().items()
        if kind.attribute_class not in classes and count.rows
    ]


class SelectedRun(ExportedRun):
    """What a sink sees of a run with `load -c`.

    What Neptune says about the run itself (`sys/…`: name, tags, times) is always loaded: a run without a name
    would be useless.
    """

    def __init__(self, run: ExportedRun, classes: frozenset[AttributeClass]) -> None:
        self._run = run
        self._classes = classes
        self._types = frozenset(t for t in AttributeType if t.attribute_class in classes)

    @property
    def key(self) -> RunKey:
        return self._run.key

    @property
    def fingerprint(self) -> str:
        """A digest of the selected rows only, so that a later load of everything does not take the run for
        loaded."""
        names = ",".join(sorted(c.value for c in self._classes))
        return hashlib.sha256(f"{self._run.fingerprint}:{names}".encode()).hexdigest()

    @property
    def complete(self) -> bool:
        return self._run.complete

    @property
    def failures(self) -> tuple[AttributeFailure, ...]:
        return self._run.failures

    @property
    def notes(self) -> tuple[str, ...]:
        return self._run.notes

    @property
    def url(self) -> str:
        return self._run.url

    def counts(self) -> Mapping[AttributeType, TypeCount]:
        return {t: count for t, count in self._run.counts().items() if t in self._types}

    def parameters(self) -> Mapping[str, Parameter]:
        found = self._run.parameters()
        if AttributeClass.PARAMETERS in self._classes:
            return found
        return {name: parameter for name, parameter in found.items() if name.startswith(_SYSTEM)}

    def parent(self) -> RunKey | None:
        return self._run.parent()

    def fork_step(self) -> Step | None:
        return self._run.fork_step()

    def batches(self, types: Collection[AttributeType] | None = None, **how: Any) -> Iterator[pa.RecordBatch]:
        return self._run.batches(self._wanted(types), **how)

    def rows(self, types: Collection[AttributeType] | None = None) -> Iterator[Row]:
        return self._run.rows(self._wanted(types))

    def _wanted(self, types: Collection[AttributeType] | None) -> frozenset[AttributeType]:
        return self._types if types is None else self._types & frozenset(types)

    def open_file(self, file: str) -> BinaryIO:
        return self._run.open_file(file)

    def time_span(self) -> tuple[datetime | None, datetime | None]:
        return self._run.time_span()

    def whole_steps(self) -> tuple[float, float] | None:
        whole = self._run.whole_steps()
        others = SERIES_TYPES - self._types
        # The steps of series that are left out do not count.
        return whole if whole is None or others.isdisjoint(self._run.counts() if others else ()) else None

"""Which attributes the runs of a group have, with the values of those that are no series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from neptune_exporter.contract import AttributeFailure, RunRequest, RunRows
from neptune_exporter.model import AttributeType, RunKey, SysAttribute
from neptune_exporter.schema import parameter_batch
from neptune_exporter_neptune3.api import Api
from neptune_exporter_neptune3.listing import instant, is_fork, sys_id_of

_PAGE = 10_000
"""Values of a page: what the client asks for (NEPTUNE_QUERY_ATTRIBUTE_VALUES_BATCH_SIZE)."""
NAME_BYTES = 200_000
"""Of names and run identifiers in a request; the client keeps to 220,000 (NEPTUNE_QUERY_MAX_REQUEST_SIZE)."""
_RUN_BYTES = 50

TYPES = {
    "float": AttributeType.FLOAT,
    "int": AttributeType.INT,
    "string": AttributeType.STRING,
    "bool": AttributeType.BOOL,
    "datetime": AttributeType.DATETIME,
    "stringSet": AttributeType.STRING_SET,
    "floatSeries": AttributeType.FLOAT_SERIES,
    "stringSeries": AttributeType.STRING_SERIES,
    "histogramSeries": AttributeType.HISTOGRAM_SERIES,
    "fileRef": AttributeType.FILE,
    "fileRefSeries": AttributeType.FILE_SERIES,
}
"""By their names on the wire (`attribute_types` in the client)."""
_WIRE_NAMES = {kind: name for name, kind in TYPES.items()}
_PROPERTIES = {
    AttributeType.FLOAT: "float_properties",
    AttributeType.INT: "int_properties",
    AttributeType.STRING: "string_properties",
    AttributeType.BOOL: "bool_properties",
    AttributeType.DATETIME: "datetime_properties",
    AttributeType.STRING_SET: "string_set_properties",
    AttributeType.FLOAT_SERIES: "float_series_properties",
    AttributeType.STRING_SERIES: "string_series_properties",
    AttributeType.HISTOGRAM_SERIES: "histogram_series_properties",
    AttributeType.FILE: "file_ref_properties",
    AttributeType.FILE_SERIES: "file_ref_series_properties",
}
_WITHOUT_VALUE = "experimentState"
"""A type of which the protocol has the name only (`extract_value` in the client)."""


@dataclass(frozen=True)
class FileRef:
    """A file in the server's object store, as an attribute or a point names it."""

    path: str
    size: int
    mime_type: str

    @classmethod
    def of(cls, message: Any) -> FileRef:
        return cls(message.path, message.sizeBytes, message.mimeType)


@dataclass(frozen=True)
class Series:
    """A series that is to be read."""

    run: RunKey
    holder: str
    """By which series requests know the run: `workspace/project/SYS-ID`."""
    path: str
    type: AttributeType
    last_step: float | None
    """None if the server knows no point of it."""
    must_have_points: bool = False
    """The server told a last step, and it is neither that of an ancestor nor that of a preview."""

    def shortfall(self, last_step: float | None) -> str | None:
        """What is missing of the series if its points end at this step; None: at their beginning."""
        if not self.must_have_points or self.last_step is None:
            return None
        told = f"the server tells points up to step {self.last_step} and gives"
        if last_step is None:
            return f"{told} none"
        return f"{told} them up to step {last_step} only" if last_step < self.last_step else None

    def request(self, number: int) -> dict[str, Any]:
        """Of this run's own points alone: those that a fork inherits are its ancestors'."""
        return {
            "requestId": str(number),
            "series": {
                "holder": {"identifier": self.holder, "type": "experiment"},
                "attribute": self.path,
                "lineage": "NONE",
                "lineageEntityType": "RUN",
            },
        }


@dataclass
class Contents:
    """What is to be read of one run beyond its parameters."""

    request: RunRequest
    floats: list[Series] = field(default_factory=list)
    objects: list[Series] = field(default_factory=list)
    """String, histogram and file series."""
    files: list[tuple[str, FileRef]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    attributes: int = 0
    found: bool = False
    """The server still knows the run."""

    @property
    def run(self) -> RunKey:
        return self.request.run.key


def holder_of(request: RunRequest) -> str:
    return f"{request.run.key.project_id}/{sys_id_of(request.run.handle)}"


def read_attributes(api: Api, contents: Sequence[Contents]) -> Iterator[RunRows | AttributeFailure]:
    """Deliver the parameters of runs of one project, and note in `contents` what else they hold.

    The server passes over runs that it does not know: those stay without `found`.

    Raises:
        AuthenticationError, SourceError
    """
    project_id = contents[0].run.project_id
    by_id = {sys_id_of(each.request.run.handle): each for each in contents}
    body: dict[str, Any] = {
        "experimentIdsFilter": [holder_of(each.request) for each in contents],
        **_filters(contents),
    }
    token: str | None = None
    while True:
        page: dict[str, Any] = {"limit": _PAGE}
        if token:
            page["nextPageToken"] = token
        answer = api.attributes(project_id, {**body, "nextPage": page})
        for entry in answer.entries:
            held = by_id.get(entry.experimentShortId)
            if held is not None and entry.attributes:
                held.found = True
                yield from _take(held, entry.attributes)
        token = answer.nextPage.nextPageToken
        if not token:
            return


def _filters(contents: Sequence[Contents]) -> dict[str, Any]:
    """What spares the server from telling what is not asked for; what counts is decided by `includes`.

    `sys/id` always passes: every run has it, so that one without an answer is gone and not empty.
    Where types that this exporter does not know are to be told, every type must come.
    """
    filters: dict[str, Any] = {}
    if not any(each.request.attributes.others for each in contents):
        classes = frozenset().union(*(each.request.attributes.classes for each in contents))
        kinds = {name for kind, name in _WIRE_NAMES.items() if kind.attribute_class in classes}
        kinds.add(_WIRE_NAMES[AttributeType.STRING])
        filters["attributeFilter"] = [{"attributeType": kind} for kind in sorted(kinds)]
    wanted = [each.request.attributes.wanted for each in contents]
    if all(w.names and w.pattern is None for w in wanted):
        names = sorted({SysAttribute.ID, *(name for w in wanted for name in w.names)})
        if sum(len(n.encode()) for n in names) + _RUN_BYTES * len(contents) < NAME_BYTES:
            filters["attributeNamesFilter"] = names
    return filters


def _take(held: Contents, attributes: Sequence[Any]) -> Iterator[RunRows | AttributeFailure]:
    values: list[tuple[str, AttributeType, object]] = []
    asked = held.request.attributes
    for attribute in attributes:
        kind = TYPES.get(attribute.type)
        if kind is None:
            yield from _unknown(held, attribute)
            continue
        if not asked.includes(attribute.name, kind):
            continue
        held.attributes += 1
        properties = getattr(attribute, _PROPERTIES[kind])
        if kind.is_series:
            last = properties.last_step if properties.HasField("last_step") else None
            is_metric = kind is AttributeType.FLOAT_SERIES
            has_own = last is not None and not is_fork(held.request.run.handle)
            has_own = has_own and not (is_metric and properties.has_preview)
            series = Series(held.run, holder_of(held.request), attribute.name, kind, last, has_own)
            (held.floats if is_metric else held.objects).append(series)
        elif not attribute.HasField(_PROPERTIES[kind]):
            continue  # listed without a value: there is nothing to keep
        elif kind is AttributeType.FILE:
            if properties.path:
                held.files.append((attribute.name, FileRef.of(properties)))
        else:
            try:
                value = instant(properties.value) if kind is AttributeType.DATETIME else properties.value
            except OverflowError:
                message = f"{properties.value} ms is no date that can be kept"
                yield AttributeFailure(held.run, attribute.name, kind, message, permanent=True)
                continue
            values.append((attribute.name, kind, value))
    if values:
        values.sort(key=lambda value: value[0])  # what comes in order is cheaper to write
        yield RunRows(held.run, parameter_batch(values))


def _unknown(held: Contents, attribute: Any) -> Iterator[AttributeFailure]:
    if not held.request.attributes.includes(attribute.name, None):
        return
    if attribute.type == _WITHOUT_VALUE:
        held.notes.append(f"{attribute.name}: Neptune hands out no value of the type {attribute.type}")
        return
    message = f"attributes of the type {attribute.type} are not supported"
    yield AttributeFailure(held.run, attribute.name, None, message)

"""Reads the attributes of a group of runs, with the values of those that are no series."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import PurePosixPath
from typing import Any

from neptune_exporter.contract import AttributeFailure, RunRequest, RunRows
from neptune_exporter.model import AttributeType, RunKey, SysAttribute
from neptune_exporter.schema import parameter_batch
from neptune_exporter_neptune3.api import Api
from neptune_exporter_neptune3.listing import instant, is_fork, sys_id_of

_PAGE = 10_000
"""Values of a page: what the client asks for (NEPTUNE_QUERY_ATTRIBUTE_VALUES_BATCH_SIZE)."""
NAME_BYTES = 200_000
"""The bytes of names and run identifiers in a request; the client limits them to 220,000
(NEPTUNE_QUERY_MAX_REQUEST_SIZE)."""
_RUN_BYTES = 50
"""Roughly what a run identifier takes in a request."""

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
"""Types by their names on the wire (`attribute_types` in the client)."""
_WIRE_NAMES = {kind: name for name, kind in TYPES.items()}
_PROPERTIES = {
    kind: re.sub("[A-Z]", lambda capital: f"_{capital[0].lower()}", f"{name}_properties")
    for name, kind in TYPES.items()
}
"""The field of `ProtoAttributeDTO` for each type, such as `string_set_properties`."""
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
class FileToFetch:
    """A file and the row that will name it. timestamp: milliseconds since the epoch."""

    run: RunKey
    path: str
    type: AttributeType
    ref: FileRef
    step: float | None = None
    timestamp: int | None = None
    ordinal: int = 0

    @property
    def name(self) -> str:
        """The original name or close to it: the last part of its path in the store."""
        name = PurePosixPath(self.ref.path).name
        if PurePosixPath(name).suffix:
            return name
        return name + (mimetypes.guess_extension(self.ref.mime_type) or "")


@dataclass(frozen=True)
class Series:
    """A series that is to be read."""

    run: RunKey
    holder: str
    """The name of the run in requests for series: `workspace/project/SYS-ID`."""
    path: str
    type: AttributeType
    last_step: float | None
    """None if the server knows no point of it."""
    must_have_points: bool = False
    """Whether the last step is surely of a point of this run: not of an ancestor's, nor of a preview."""

    def shortfall(self, last_step: float | None) -> str | None:
        """What is missing of the series if its points end at this step (None: if there are no points)."""
        if not self.must_have_points or self.last_step is None:
            return None
        problem = f"the server reports points up to step {self.last_step} and gives"
        if last_step is None:
            return f"{problem} none"
        return f"{problem} them up to step {last_step} only" if last_step < self.last_step else None

    def request(self, number: int) -> dict[str, Any]:
        """Only this run's own points: the points that a fork inherits belong to its ancestors."""
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
    files: list[FileToFetch] = field(default_factory=list)
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

    The server passes over runs that it does not know: those stay without `found`. Raises AuthenticationError
    or SourceError.
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
    """Filters that keep the server from sending much that is not wanted. `includes` decides in the end."""
    filters: dict[str, Any] = {}
    # Attributes of unknown types are reported only if every type comes.
    if not any(each.request.attributes.others for each in contents):
        filters["attributeFilter"] = [{"attributeType": kind} for kind in _wire_types(contents)]
    names = _names(contents)
    if names and sum(len(n.encode()) for n in names) + _RUN_BYTES * len(contents) < NAME_BYTES:
        filters["attributeNamesFilter"] = names
    return filters


def _names(contents: Sequence[Contents]) -> list[str]:
    """The names of all wanted attributes; empty if any run's attributes are not selected by name."""
    wanted = [each.request.attributes.wanted for each in contents]
    if not all(w.names and w.pattern is None for w in wanted):
        return []
    return sorted({SysAttribute.ID, *chain.from_iterable(w.names for w in wanted)})


def _wire_types(contents: Sequence[Contents]) -> list[str]:
    """The types of all wanted classes, and strings.

    Every run has a string, `sys/id`. So a run that the answer does not have is gone, not empty.
    """
    classes = frozenset().union(*(each.request.attributes.classes for each in contents))
    kinds = [kind for kind in _WIRE_NAMES if kind.attribute_class in classes]
    return sorted({_WIRE_NAMES[kind] for kind in (AttributeType.STRING, *kinds)})


def _take(held: Contents, attributes: Sequence[Any]) -> Iterator[RunRows | AttributeFailure]:
    """Note series and files of a page of attributes in `held`, and deliver its parameters."""
    values: list[tuple[str, AttributeType, object]] = []
    for attribute in attributes:
        kind = TYPES.get(attribute.type)
        if kind is None:
            yield from _unknown(held, attribute)
            continue
        if not held.request.attributes.includes(attribute.name, kind):
            continue
        held.attributes += 1
        if kind.is_series:
            series = _series_of(held, attribute, kind)
            (held.floats if kind is AttributeType.FLOAT_SERIES else held.objects).append(series)
        elif attribute.HasField(_PROPERTIES[kind]):  # else it has no value
            try:
                values += _single_value(held, attribute, kind)
            except OverflowError as error:
                yield AttributeFailure(held.run, attribute.name, kind, str(error), permanent=True)
    if values:
        values.sort(key=lambda value: value[0])  # sorted rows are cheaper to write
        yield RunRows(held.run, parameter_batch(values))


def _series_of(held: Contents, attribute: Any, kind: AttributeType) -> Series:
    properties = getattr(attribute, _PROPERTIES[kind])
    last = properties.last_step if properties.HasField("last_step") else None
    # The last step of a fork may be its parent's, or that of a preview, which need not be requested.
    is_foreign = is_fork(held.request.run.handle) or (
        kind is AttributeType.FLOAT_SERIES and properties.has_preview
    )
    has_own = last is not None and not is_foreign
    return Series(held.run, holder_of(held.request), attribute.name, kind, last, has_own)


def _single_value(
    held: Contents, attribute: Any, kind: AttributeType
) -> list[tuple[str, AttributeType, object]]:
    """The value of a parameter. A file has none: it is noted in `held`. Raises OverflowError for a date that
    cannot be kept."""
    properties = getattr(attribute, _PROPERTIES[kind])
    if kind is AttributeType.FILE:
        if properties.path:
            held.files.append(FileToFetch(held.run, attribute.name, kind, FileRef.of(properties)))
        return []
    if kind is not AttributeType.DATETIME:
        return [(attribute.name, kind, properties.value)]
    try:
        return [(attribute.name, kind, instant(properties.value))]
    except OverflowError:
        raise OverflowError(f"{properties.value} ms is no date that can be kept") from None


def _unknown(held: Contents, attribute: Any) -> Iterator[AttributeFailure]:
    if not held.request.attributes.includes(attribute.name, None):
        return
    if attribute.type == _WITHOUT_VALUE:
        held.notes.append(f"{attribute.name}: Neptune hands out no value of the type {attribute.type}")
        return
    message = f"attributes of the type {attribute.type} are not supported"
    yield AttributeFailure(held.run, attribute.name, None, message)

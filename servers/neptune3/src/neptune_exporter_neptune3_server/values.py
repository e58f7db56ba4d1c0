"""Attributes on the wire, and the numbers that stand for a series where one value is asked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from neptune_query.generated.neptune_api.proto.neptune_pb.api.v1.model import (
    leaderboard_entries_pb2 as entries_pb,
)

from .model import (
    FakeFile,
    FileSeries,
    FloatSeries,
    Histogram,
    HistogramSeries,
    OtherValue,
    StringSeries,
    Value,
    backend_type,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

RegisterFile = Callable[[str, "float | None", FakeFile], str]
"""Makes a file known to the object store: attribute, step, file → its path there."""


def millis(moment: datetime) -> int:
    """Milliseconds since the epoch, rounded down; a time without a zone is UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
    return (aware - _EPOCH) // timedelta(milliseconds=1)


def aggregate(value: Value | None, kind: str, aggregation: str) -> Any:
    """What a filter or an order looks at: None where the attribute is missing, of another type or empty."""
    if value is None or backend_type(value) != kind:
        return None
    if isinstance(value, datetime):
        return millis(value)
    if isinstance(value, FloatSeries):
        return value.aggregates.get(aggregation)
    if isinstance(value, StringSeries | HistogramSeries | FileSeries):
        return value.values[-1] if value.values else None
    return value


_PROPERTIES = {
    "bool": "bool_properties",
    "int": "int_properties",
    "float": "float_properties",
    "string": "string_properties",
    "datetime": "datetime_properties",
    "stringSet": "string_set_properties",
    "fileRef": "file_ref_properties",
    "floatSeries": "float_series_properties",
    "stringSeries": "string_series_properties",
    "histogramSeries": "histogram_series_properties",
    "fileRefSeries": "file_ref_series_properties",
}


def attribute_dto(name: str, value: Value, register_file: RegisterFile) -> entries_pb.ProtoAttributeDTO:
    """One attribute of an answer; a file gets its path in the object store."""
    kind = backend_type(value)
    dto = entries_pb.ProtoAttributeDTO(name=name, type=kind)
    if isinstance(value, OtherValue):
        return dto
    properties: Any = getattr(dto, _PROPERTIES[kind])
    properties.attribute_name, properties.attribute_type = name, kind
    if isinstance(value, datetime):
        properties.value = millis(value)
    elif isinstance(value, set | frozenset):
        properties.value.extend(sorted(value))
    elif isinstance(value, FakeFile):
        write_file(properties, value, register_file(name, None, value))
    elif isinstance(value, FloatSeries):
        for aggregation, number in value.aggregates.items():
            setattr(properties, aggregation, number)
        properties.has_preview = value.has_previews
    elif isinstance(value, StringSeries | HistogramSeries | FileSeries):
        _write_last(properties, name, value, register_file)
    else:
        properties.value = value
    return dto


def _write_last(
    properties: Any, name: str, series: StringSeries | HistogramSeries | FileSeries, register: RegisterFile
) -> None:
    if not series.steps:
        return
    properties.last_step, last = series.steps[-1], series.values[-1]
    if isinstance(last, str):
        properties.last = last
    elif isinstance(last, Histogram):
        write_histogram(properties.last, last)
    else:
        write_file(properties.last, last, register(name, series.steps[-1], last))


def write_histogram(message: Any, histogram: Histogram) -> None:
    message.type = histogram.type
    message.edges.extend(histogram.edges)
    message.values.extend(histogram.values)


def write_file(message: Any, file: FakeFile, path: str) -> None:
    message.path, message.sizeBytes, message.mimeType = path, file.size(), file.mime_type

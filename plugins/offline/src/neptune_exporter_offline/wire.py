"""The protobuf messages that neptune-scale stores, as far as they are read here.

Field numbers are those of `neptune_pb.ingest.v1.common_pb2` and `.pub.ingest_pb2`, which
both neptune-scale and neptune-query carry. Declaring them here, in a pool of their own,
keeps this reader free of either client: importing neptune-query takes seconds and
pandas. A test compares every field with what the client itself uses.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError as DecodeError

_PACKAGE = "neptune_exporter.offline"

_SCALARS = {"double": 1, "float": 2, "int64": 3, "uint64": 4, "int32": 5, "bool": 8, "string": 9}

# Field number, name and type; `*` marks a repeated field, `|` a member of the oneof `kind`,
# `%` a map from string.
_MESSAGES: dict[str, tuple[tuple[int, str, str], ...]] = {
    "Timestamp": ((1, "seconds", "int64"), (2, "nanos", "int32")),
    "Step": ((1, "whole", "uint64"), (2, "micro", "uint64")),
    "ForkPoint": ((1, "parent_project", "string"), (2, "parent_run_id", "string"), (4, "step", "Step")),
    "StringSet": ((1, "*values", "string"),),
    "FileRef": ((1, "path", "string"), (2, "size_bytes", "int64"), (3, "mime_type", "string")),
    "Counts": ((1, "*values", "uint64"),),
    "Densities": ((1, "*values", "double"),),
    "Histogram": ((1, "*bin_edges", "double"), (4, "|counts", "Counts"), (5, "|densities", "Densities")),
    "Value": (
        (1, "|float64", "double"),
        (3, "|int64", "int64"),
        (5, "|bool", "bool"),
        (6, "|string", "string"),
        (8, "|timestamp", "Timestamp"),
        (12, "|string_set", "StringSet"),
        (13, "|file_ref", "FileRef"),
        (14, "|histogram", "Histogram"),
    ),
    "ModifyStringSet": ((1, "%values", "int32"),),
    "ModifySet": ((1, "|string", "ModifyStringSet"),),
    "Preview": ((1, "is_preview", "bool"), (2, "completion_ratio", "float")),
    "Run": (
        (1, "run_id", "string"),
        (2, "fork_point", "ForkPoint"),
        (3, "creation_time", "Timestamp"),
        (4, "family", "string"),
        (5, "experiment_id", "string"),
        (9, "inherit_configs", "bool"),
    ),
    "UpdateRunSnapshot": (
        (1, "step", "Step"),
        (2, "timestamp", "Timestamp"),
        (4, "%assign", "Value"),
        (5, "%modify_sets", "ModifySet"),
        (8, "%append", "Value"),
        (10, "preview", "Preview"),
    ),
}

ADD, REMOVE = 1, 2
"""What a map of `ModifyStringSet` says of a string."""


def _declare() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, marked, kind in fields:
            field = message.field.add(name=marked.lstrip("*|%"), number=number)
            field.label = field.LABEL_REPEATED if marked[0] in "*%" else field.LABEL_OPTIONAL
            if marked[0] == "%":
                entry = message.nested_type.add(name=field.name.title().replace("_", "") + "Entry")
                entry.options.map_entry = True
                _set_type(entry.field.add(name="key", number=1, label=field.LABEL_OPTIONAL), "string")
                _set_type(entry.field.add(name="value", number=2, label=field.LABEL_OPTIONAL), kind)
                _set_type(field, f"{name}.{entry.name}")
                continue
            _set_type(field, kind)
            if marked[0] == "|":
                if not message.oneof_decl:
                    message.oneof_decl.add(name="kind")
                field.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _set_type(field: descriptor_pb2.FieldDescriptorProto, kind: str) -> None:
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = field.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{kind}"


_pool = _declare()


def message_class(name: str) -> Any:
    """The class of a message of the table above."""
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


Run = message_class("Run")
UpdateRunSnapshot = message_class("UpdateRunSnapshot")

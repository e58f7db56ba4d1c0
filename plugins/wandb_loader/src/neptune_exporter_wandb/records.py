"""What a `.wandb` file says, in plain values, read from its framing and with wandb's protobuf classes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from neptune_exporter_wandb.framing import read_records


class Row(NamedTuple):
    """A row of the history."""

    number: int
    values: dict[str, str]
    """Numbers by name, as their texts."""
    parts: dict[tuple[str, str], Any]
    """The parts of values that are no numbers, by name of the value and name of the part."""


class About(NamedTuple):
    """What a record says that is no row; of everything else nothing."""

    name: str | None = None
    config: Mapping[str, Any] = {}
    """Entries of the config."""
    paths: Sequence[str] = ()
    """Files that W&B sends."""
    ended: bool = False
    """The run came to its end."""


Record: TypeAlias = Row | About


def read(folder: Path, run_id: str) -> Iterator[Record]:
    """What the records of a run say, in their order.

    Raises:
        FramingError: the file is not as it was written.
        DecodeError: a record is not one of wandb's.
        OSError: the file cannot be read.
    """
    from wandb.proto import wandb_internal_pb2 as pb  # only here: another format may have other classes

    with (folder / f"run-{run_id}.wandb").open("rb") as file:
        for record in read_records(file):
            yield from _of(pb.Record.FromString(record))


def _of(record: Any) -> Iterator[Record]:
    kind = record.WhichOneof("record_type")
    if kind == "history":
        yield _row(record.history)
    elif kind == "run":
        yield About(record.run.display_name, _config(record.run.config))
    elif kind == "config":
        yield About(config=_config(record.config))
    elif kind == "files":
        yield About(paths=[item.path for item in record.files.files])
    elif kind == "exit":
        yield About(ended=True)


def _config(config: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in config.update}


def _row(history: Any) -> Row:
    row = Row(history.step.num, {}, {})
    for item in history.item:
        if len(item.nested_key) == 1:
            row.values[item.nested_key[0]] = item.value_json
        else:
            name, part = item.nested_key
            row.parts[name, part] = json.loads(item.value_json)
    return row

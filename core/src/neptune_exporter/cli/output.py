"""Results on stdout, and reports in files: records as JSON, tables for people."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import click

from neptune_exporter.cli.exit_codes import one_line
from neptune_exporter.contract.errors import UsageError

SHOWN = 20
"""Of a list of what went wrong, so many are shown; all are in the report."""

_MESSAGES = frozenset({"message", "error"})
"""Fields whose text came from elsewhere. Others hold data, which must stay as it is."""


def plain(value: Any, name: str = "") -> Any:
    """A record in the types that JSON has: fields by name, times in ISO 8601, decimals as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name), f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return one_line(value) if name in _MESSAGES else value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat()
    if isinstance(value, (Decimal, Path)):
        return str(value)
    if isinstance(value, Mapping):
        return {str(plain(k)): plain(v, str(k)) for k, v in value.items()}
    if isinstance(value, (frozenset, set)):
        return sorted(plain(item) for item in value)
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    return value


def print_json(document: Mapping[str, Any]) -> None:
    """The one JSON document of a command."""
    click.echo(json.dumps(plain(document), indent=2, ensure_ascii=False, allow_nan=False))


def write_report(path: Path, text: str, option: str, *, append: bool = False) -> None:
    """Write a report file, with its folder.

    Raises:
        UsageError: it cannot be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if append else "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{option}: {path} cannot be written: {error.strerror}") from error


def beside(data_path: Path, what: str, suffix: str) -> Path:
    """Where a report goes that nobody named: beside the data, `errors-20240501T120000Z.jsonl`."""
    now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    return data_path.absolute().parent / f"{what}-{now}{suffix}"


def json_lines(records: Iterable[Mapping[str, Any]]) -> str:
    """One record a line."""
    return "".join(json.dumps(plain(r), ensure_ascii=False, allow_nan=False) + "\n" for r in records)


def echo_list(title: str, lines: Sequence[str], more: str = "") -> None:
    """A titled list, cut short where it is long."""
    if not lines:
        return
    click.echo(f"\n{title}:")
    for line in lines[:SHOWN]:
        click.echo(f"  {one_line(line)}")
    if len(lines) > SHOWN:
        click.echo(f"  … and {len(lines) - SHOWN:,} more{more}")


def counted(count: int, what: str) -> str:
    """`1 run`, `1,204 runs`."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"

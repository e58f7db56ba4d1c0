"""Reads the folder of a run with nothing of the loader: wandb's protobuf classes, zlib, json."""

from __future__ import annotations

import json
import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2 as pb

from neptune_exporter.testing import LoadedEntry, LoadedSample, SampleHistogram

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
OWN = {"neptune/manifest.json", "neptune/histograms.jsonl"}


def records(path: Path) -> Iterator[pb.Record]:
    """Every record of a `.wandb` file, whose framing and checksums are asserted."""
    content = path.read_bytes()
    assert content[:7] == b":W&B\xe1\xbe\x00"
    at, parts = 7, []
    while at < len(content):
        if (left := 32_768 - at % 32_768) < 7:
            assert not any(content[at : at + left])
            at += left
            continue
        crc, size, kind = struct.unpack("<IHB", content[at : at + 7])
        data = content[at + 7 : at + 7 + size]
        assert size <= left - 7
        assert zlib.crc32(bytes([kind]) + data) == crc
        parts.append((kind, data))
        at += 7 + size
        if kind in (1, 4):
            kinds = [kind for kind, _ in parts]
            assert kinds == [1] or (kinds[0], kinds[-1], set(kinds[1:-1]) <= {3}) == (2, 4, True)
            yield pb.Record.FromString(b"".join(data for _, data in parts))
            parts.clear()
    assert not parts


def change_records(path: Path, old: bytes, new: bytes) -> int:
    """Change values within chunks of a short file, with right checksums. Gives the number of chunks."""
    content, at, changed = bytearray(path.read_bytes()), 7, 0
    assert len(old) == len(new) and len(content) < 32_768
    while at < len(content):
        _, size, kind = struct.unpack("<IHB", content[at : at + 7])
        data = bytes(content[at + 7 : at + 7 + size])
        if old in data:
            data, changed = data.replace(old, new), changed + 1
            content[at : at + 7 + size] = (
                struct.pack("<IHB", zlib.crc32(bytes([kind]) + data), size, kind) + data
            )
        at += 7 + size
    path.write_bytes(content)
    return changed


def folder_of(wandb: Path, target_id: str) -> Path:
    (folder,) = wandb.glob(f"offline-run-*-{target_id.partition('.')[0]}")
    return folder


def by_kind(folder: Path) -> dict[str, list[Any]]:
    """What the records hold, by their kind, in their order."""
    (path,) = folder.glob("*.wandb")
    found: dict[str, list[Any]] = defaultdict(list)
    for number, record in enumerate(records(path), 1):
        assert record.num == number
        assert "exit" not in found, "nothing follows the exit record"
        kind = record.WhichOneof("record_type")
        found[kind].append(getattr(record, kind))
    return found


def rows_of(history: list[Any]) -> Iterator[dict[str, Any]]:
    """The rows of the history; values that have parts as dicts, numbers as Decimal."""
    for number, record in enumerate(history):
        row: dict[str, Any] = {}
        for item in record.item:
            *outer, last = item.nested_key
            inside = row
            for key in outer:
                inside = inside.setdefault(key, {})
            assert last not in inside, f"{last} is twice in a row"
            inside[last] = json.loads(item.value_json, parse_float=Decimal)
        assert (row["_step"], record.step.num) == (number, number)
        yield row


def sample_of(wandb: Path, target_id: str) -> LoadedSample:
    """The run as the conformance kit wants it."""
    folder = folder_of(wandb, target_id)
    files = folder / "files"
    found = by_kind(folder)
    (run,), (ending,) = found["run"], found["exit"]
    assert found["summary"]
    assert run.run_id == target_id.partition(".")[0]
    manifest = json.loads((files / "neptune/manifest.json").read_text())
    names, types = manifest["names"], manifest["types"]
    config = {
        item.key: json.loads(item.value_json)
        for each in [run.config, *found["config"]]
        for item in each.update
    }
    about = config.pop("neptune")
    config.pop("_wandb")
    points: dict[str, list[LoadedEntry]] = defaultdict(list)
    texts: dict[str, list[LoadedEntry]] = defaultdict(list)
    for row in rows_of(found["history"]):
        time = EPOCH + timedelta(milliseconds=int(Decimal(row.pop("_timestamp")) * 1000))
        step = row.pop("neptune_step", None)
        for name in row.keys() - {"_step", "_runtime"}:
            value, path = row[name], names.get(name, name)
            if not isinstance(value, dict):
                points[path].append(LoadedEntry(float(value), Decimal(step), time))
            elif value["_type"] == "table-file":
                texts[path] += _table(files / value["path"], value)
    histograms: dict[str, list[LoadedEntry]] = defaultdict(list)
    exact = files / "neptune/histograms.jsonl"
    for line in exact.read_text().splitlines() if exact.exists() else []:
        entry = json.loads(line)
        shape = SampleHistogram(tuple(entry["edges"]), tuple(entry["values"]), entry["kind"])
        time = EPOCH + timedelta(milliseconds=entry["time"])
        path = names.get(entry["name"], entry["name"])
        histograms[path].append(LoadedEntry(shape, Decimal(entry["step"]), time))
    listed = {item.path for each in found["files"] for item in each.files}
    there = {str(p.relative_to(files)) for p in files.rglob("*") if p.is_file()}
    assert listed == there, "W&B sends the files that are listed"
    loaded: dict[str, list[LoadedEntry]] = defaultdict(list)
    for name, (path, step, time) in manifest["files"].items():
        moment = EPOCH + timedelta(milliseconds=time)
        content = (files / name).read_bytes()
        loaded[path].append(LoadedEntry(content, Decimal(step) if step else None, moment))
    more = {n for n in there - set(manifest["files"]) if not n.startswith("media/table/")}
    assert more <= OWN, "files that the run does not have"
    fork = about["fork"] or {}
    created = about["created"]
    return LoadedSample(
        {names.get(n, n): float(v) if types.get(n) == "float" else v for n, v in config.items()},
        points,
        texts,
        histograms,
        loaded,
        name=run.display_name,
        tags=frozenset(about["tags"]),
        parent=fork.get("target_id"),
        fork_step=Decimal(fork["step"]) if fork else None,
        created_at=None if created is None else EPOCH + timedelta(milliseconds=created),
        failed=ending.exit_code != 0,
        running=about["status"] == "active",
        step_multiplier=Decimal(manifest["step_multiplier"]),
    )


def _table(path: Path, value: dict[str, Any]) -> Iterator[LoadedEntry]:
    content = path.read_bytes()
    table = json.loads(content, parse_float=Decimal, parse_int=Decimal)
    assert table["columns"] == ["step", "time", "text"]
    assert (int(value["nrows"]), int(value["size"])) == (len(table["data"]), len(content))
    for step, time, text in table["data"]:
        yield LoadedEntry(text, step, datetime.fromisoformat(time.replace("Z", "+00:00")))

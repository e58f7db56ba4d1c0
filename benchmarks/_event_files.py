"""Writes the curves of `_looked_at.curves` as event files of TensorBoard. The Python needs google-crc32c.

    python _event_files.py FOLDER RUNS METRICS POINTS

A record is a length, its checksum, an `Event` message and its checksum; of an event there are the fields
wall_time, step and summary.value with tag and simple_value (event.proto and summary.proto in
tensorboard/compat/proto).
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import google_crc32c
import numpy as np

BEGIN = 1_700_000_000.0


def main(folder: Path, runs: int, metrics: int, points: int) -> None:
    generator = np.random.default_rng(1)
    for run in range(runs):
        values = [np.cumsum(generator.normal(size=points)).astype("<f4") for _ in range(metrics)]
        tags = [field(1, f"train/metric-{metric:02}".encode()) + b"\x15" for metric in range(metrics)]
        target = folder / f"run-{run:03}"
        target.mkdir(parents=True)
        with (target / f"events.out.tfevents.{BEGIN:.0f}.benchmark").open("wb") as file:
            file.write(record(wall_time(0) + field(3, b"brain.Event:2")))
            for step in range(points):
                head = wall_time(step) + (b"\x10" + varint(step) if step else b"")
                for tag, column in zip(tags, values, strict=True):
                    value = field(1, tag + column[step].tobytes())
                    file.write(record(head + field(5, value)))


def wall_time(step: int) -> bytes:
    return b"\x09" + struct.pack("<d", BEGIN + step)


def field(number: int, content: bytes) -> bytes:
    """A field of bytes in a message."""
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def varint(number: int) -> bytes:
    result = bytearray()
    while number > 127:
        result.append(number & 127 | 128)
        number >>= 7
    result.append(number)
    return bytes(result)


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + checksum(length) + data + checksum(data)


def checksum(data: bytes) -> bytes:
    """CRC-32C, masked as TFRecord has it."""
    found = google_crc32c.value(data)
    return struct.pack("<I", ((found >> 15 | found << 17) + 0xA282EAD8) & 0xFFFFFFFF)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))

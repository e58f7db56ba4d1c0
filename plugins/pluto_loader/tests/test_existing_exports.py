"""What the public exporter wrote in a way of its own arrives as it was in Neptune: by the command."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from decimal import Decimal

import pyarrow as pa

from neptune_exporter.model import AttributeType
from neptune_exporter.schema import SCHEMA, parameter_batch
from neptune_exporter.testing import old_layout
from neptune_exporter.testing.commands import CommandLine
from neptune_exporter_pluto.form.config import SECTION
from neptune_exporter_pluto_server import RehearsalServer

from .reading import read_run
from .samples import KEY

LOAD = ("load", "--loader", "pluto")
VERIFY = ("verify", "--loader", "pluto", "--full")


def test_a_nan_that_is_stored_as_null_arrives(command_line: CommandLine, server: RehearsalServer) -> None:
    times = [datetime(2025, 3, 1, 0, 0, second, tzinfo=timezone.utc) for second in range(4)]
    points = {
        "attribute_path": ["loss"] * 4,
        "attribute_type": [AttributeType.FLOAT_SERIES.value] * 4,
        "step": pa.array(map(Decimal, range(4)), SCHEMA.field("step").type),
        "timestamp": pa.array([*times[:3], None], SCHEMA.field("timestamp").type),
        "float_value": pa.array([0.5, None, 0.25, None], pa.float64()),
    }
    old_layout.write_run(command_line.folder / "exports/data", KEY, [pa.RecordBatch.from_pydict(points)])
    output = command_line.run("summary", "--json").output  # a hint about checksums follows on stderr
    shown, _ = json.JSONDecoder().raw_decode(output, output.index("{"))
    assert "read as the NaN that they were: 1" in str(shown)
    assert "3 points" in command_line.run(*LOAD).output
    assert "points loss" not in command_line.run(*VERIFY).output
    (run,) = server.runs.by_id.values()
    found = read_run(server, run.project.name, run.id).points["loss"]
    assert [entry.step for entry in found] == [0, 1, 2]
    assert [entry.timestamp for entry in found] == times[:3]
    assert math.isnan(found[1].value) and [found[0].value, found[2].value] == [0.5, 0.25]


def test_every_value_of_a_path_is_in_the_config(command_line: CommandLine, server: RehearsalServer) -> None:
    values: list[tuple[str, AttributeType, object]] = [
        ("p", AttributeType.INT, 1),
        ("p", AttributeType.STRING, "x"),
        ("sys/name", AttributeType.STRING, "first"),
        ("sys/name", AttributeType.STRING, "second"),
    ]
    old_layout.write_run(command_line.folder / "exports/data", KEY, [parameter_batch(values)])
    command_line.run(*LOAD)
    (run,) = server.runs.by_id.values()
    told = run.config.pop(SECTION)
    assert run.config == {"p": 1, "p (string)": "x", "sys/name": "first", "sys/name (string)": "second"}
    assert run.name == "first"
    run.config = {**run.config, SECTION: told}
    command_line.run(*VERIFY)
    del run.config["p (string)"]
    assert "- acme/vision:RUN-1 parameter p (string)" in command_line.run(*VERIFY, expect=4).output

"""Nothing that is not text reaches a terminal, a log or a report, wherever a name came from."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from neptune_exporter.dataset.format.layout import sanitised
from neptune_exporter.schema import SCHEMA

from .test_output import shown_lines
from .test_usage import Run

ODD = "x\x1b]0;t\x07\x9b2J\u202e"
"""It would name the window, ring the bell, clear the screen and write backwards."""
PROJECT, RUN = f"ws{ODD}\n/p", f"RUN{ODD}\n"
DATASET = ("-d", "data", "-f", "files")


def row(attribute: str, kind: str, run: str = RUN, **values: object) -> dict[str, object]:
    named = {"project_id": PROJECT, "run_id": run, "attribute_path": f"{attribute}{ODD}\n"}
    return {**named, "attribute_type": kind, **values}


ROWS = (
    row("name", "string", string_value=ODD),
    row("log", "string_series", step=Decimal(1), string_value=f"line{ODD}"),
    row("loss", "float_series", step=Decimal(1), float_value=1.0),
    row("other", f"type{ODD}", string_value="x"),
    row("gone", "file", file_value={"path": f"gone{ODD}\n.bin"}),
    row("outside", "file", file_value={"path": f"../../{ODD}\n"}),
    row("there", "file", file_value={"path": "there.bin"}),
)


@pytest.fixture
def odd(folder: Path) -> Path:
    """Another tool's export, in which every name steers the terminal, and most is damaged."""
    table = pa.Table.from_pylist(list(ROWS), SCHEMA)
    data, name = folder / "data" / sanitised(PROJECT), ODD.replace("/", "")
    for path, content in {
        f"{sanitised(RUN)}_part_0.parquet": table,
        f"stray{name}.parquet": table,
        f"gap{name}_part_1.parquet": table,
        f"cut{name}_part_0.parquet": table,
        "columns_part_0.parquet": pa.table({f"column{ODD}\n": [1]}),
        "types_part_0.parquet": pa.table({"project_id": [1], "run_id": [ODD], "attribute_path": [2.5]}),
    }.items():
        data.mkdir(parents=True, exist_ok=True)
        pq.write_table(content, data / path)
    cut = data / f"cut{name}_part_0.parquet"
    cut.write_bytes(cut.read_bytes()[:-100])
    files = folder / "files" / sanitised(PROJECT)
    files.mkdir(parents=True)
    for file in ("there.bin", f"unnamed{name}.bin"):
        (files / file).write_bytes(b"x")
    return folder


def test_names_in_a_dataset(run: Run, tracker: ModuleType, odd: Path) -> None:
    told = ""
    for command in (
        ["verify", "--record", "--all", "-v", "--log-file", "verify.log", "--write-accepted", "known.json"],
        ["verify", "--json", "--accept", "known.json"],
        ["summary", "--all"],
        ["summary", "--json", "-o", "summary.txt"],
        ["summary", "--reporter", "html", "-o", "summary.html"],
        ["load", "--loader", "tracker", "-v", "--log-file", "load.log", "--loss-report", "losses.jsonl"],
    ):
        told += "\n".join(shown_lines(run(*command, *DATASET)))
    assert told.count("is missing") >= 2 and told.count("is damaged") >= 2, "all of it was met"
    written = [path for path in odd.iterdir() if path.is_file()]
    assert {path.suffix for path in written} == {".txt", ".html", ".log", ".json", ".jsonl"}
    for path in written:
        text = path.read_text(encoding="utf-8")
        assert [line for line in text.split("\n") if not line.replace("\t", "").isprintable()] == [], path


@pytest.mark.parametrize(
    "command",
    [
        ["summary", "-p", ODD, *DATASET],
        ["summary", "-d", ODD],
        ["summary", *DATASET, "-f", ODD],
        ["summary", *DATASET, "-o", f"{ODD}/x"],
        ["verify", *DATASET, "--accept", ODD],
        ["export", "--exporter", ODD],
        ["export", "--exporter", "tracker", "-p", ODD],
        ["export", "--exporter", "tracker", "-a", f"({ODD}"],
        ["export", "--exporter", "tracker", "--modified-since", ODD],
        [ODD],
        ["summary", f"--{ODD}"],
    ],
)
def test_what_a_person_gives(run: Run, tracker: ModuleType, odd: Path, command: list[str]) -> None:
    result = run(*command)
    assert result.exit_code == 2
    shown_lines(result)


@pytest.mark.parametrize(
    "text", ['["gen\\u001beral"]\n', '[general]\n"k\\u001b" = 1\n', '[general]\nx = "\x1b\n']
)
def test_a_configuration_file(run: Run, tracker: ModuleType, odd: Path, text: str) -> None:
    Path("neptune-exporter.toml").write_text(text)
    result = run("summary", *DATASET)
    assert result.exit_code == 2
    shown_lines(result)

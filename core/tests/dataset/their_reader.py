"""A reader of exports that knows only what is public of them: names, the 14 columns, part 0.

Shares no code with `neptune_exporter.dataset`; stands for the tools that people have.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset

COLUMNS = pa.schema(
    [
        ("project_id", pa.string()),
        ("run_id", pa.string()),
        ("attribute_path", pa.string()),
        ("attribute_type", pa.string()),
        ("step", pa.decimal128(18, 6)),
        ("timestamp", pa.timestamp("ms", tz="UTC")),
        ("int_value", pa.int64()),
        ("float_value", pa.float64()),
        ("string_value", pa.string()),
        ("bool_value", pa.bool_()),
        ("datetime_value", pa.timestamp("ms", tz="UTC")),
        ("string_set_value", pa.list_(pa.string())),
        ("file_value", pa.struct([("path", pa.string())])),
        (
            "histogram_value",
            pa.struct(
                [("type", pa.string()), ("edges", pa.list_(pa.float64())), ("values", pa.list_(pa.float64()))]
            ),
        ),
    ]
)


def project_folders(data_path: Path) -> list[Path]:
    if not data_path.is_dir():
        return []
    return sorted(f for f in data_path.iterdir() if f.is_dir() and not f.name.startswith("."))


def run_prefixes(folder: Path) -> list[str]:
    """Runs are what comes before the first `_part_`; complete are those that have part 0."""
    names = [path.name for path in folder.glob("*_part_*.parquet")]
    return sorted({n.split("_part_")[0] for n in names if n.endswith("_part_0.parquet")})


def read_run(folder: Path, prefix: str) -> list[dict[str, Any]]:
    parts = sorted(folder.glob(f"{prefix}_part_*.parquet"))
    tables = [pa.dataset.dataset(part, schema=COLUMNS, format="parquet").to_table() for part in parts]
    return [row for table in tables for row in table.to_pylist()]

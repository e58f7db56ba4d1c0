"""Count what the training script and a dataset hold of a run, by plain pyarrow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Numbers = dict[str, Any]
ROWS = (
    "parameters",
    "points",
    "sum of values",
    "sum of steps",
    "log lines",
    "histograms",
    "files",
    "bytes of files",
    "tags",
    "parent",
)
_PARAMETER_TYPES = ["float", "int", "string", "bool", "datetime", "string_set"]
_FILE_TYPES = ["file", "file_series", "file_set", "artifact"]


def in_source(account: dict[str, Any]) -> Numbers:
    """What the training script wrote down while it logged."""
    keys = (
        "parameters",
        "points",
        "sum_of_values",
        "sum_of_steps",
        "log_lines",
        "histograms",
        "files",
        "file_bytes",
    )
    return dict(
        zip(ROWS, [account[k] for k in keys] + [sorted(account["tags"]), account["parent"]], strict=True)
    )


def in_dataset(data: Path, files: Path, run_id: str) -> Numbers:
    """Plain pyarrow over the parquet parts, and the sizes of the files on disk."""
    parts = sorted(data.glob(f"*/{run_id}-????????????????_part_*.parquet"))
    rows = pa.concat_tables([pq.read_table(part) for part in parts], promote_options="default")
    kind, path = rows["attribute_type"], rows["attribute_path"]

    def of(types: list[str]) -> pa.Table:
        return rows.filter(pc.is_in(kind, pa.array(types)))

    def single(name: str, column: str) -> Any:
        found = rows.filter(pc.equal(path, name))[column]
        return found[0].as_py() if len(found) else None

    parameters = of(_PARAMETER_TYPES)
    points = of(["float_series"])
    stored = of(_FILE_TYPES)["file_value"].to_pylist()
    project = next(files.glob("*-*"))
    return dict(
        zip(
            ROWS,
            [
                sum(not p.startswith("sys/") for p in parameters["attribute_path"].to_pylist()),
                points.num_rows,
                pc.sum(points["float_value"]).as_py(),
                float(pc.sum(points["step"]).as_py()),
                of(["string_series"]).num_rows,
                of(["histogram_series"]).num_rows,
                len(stored),
                sum((project / file["path"]).stat().st_size for file in stored),
                sorted(single("sys/tags", "string_set_value") or []),
                single("sys/forking/parent", "string_value"),
            ],
            strict=True,
        )
    )

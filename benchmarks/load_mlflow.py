"""The MLflow loader against the earlier tool's way and against the limit of the database.

    python benchmarks/load_mlflow.py [--rounds 3] [--only sqlite postgresql memory] [--points 50000000]

The earlier tool's way is a `log_batch` a series over the rows of a pandas frame. The limit is the same rows,
made beforehand, by one `executemany` (SQLite) or one COPY (PostgreSQL) into MLflow's tables with their keys
and indices. All take turns, each writes into a database of its own, and the median of the rounds is told: by
the clock, and by the processor time of this process. `memory` loads one run directly, in its own process.
Not by default: `client-memory` loads it through the client into SQLite, which takes minutes for each million
points, and `server-memory` through the client to a server that acknowledges points and drops them.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from _memory import peak_megabytes
from sqlalchemy import create_engine, text

from neptune_exporter.contract import LoadOptions, Secret
from neptune_exporter.jobs.load import LoadJobOptions, load_runs
from neptune_exporter.jobs.progress import Progress
from neptune_exporter.location import Location
from neptune_exporter.sinks.points import Points
from neptune_exporter.testing import old_layout
from neptune_exporter_mlflow.connecting import connected
from neptune_exporter_mlflow.plugin import neptune_exporter_sinks
from neptune_exporter_mlflow.postgresql_rows import copied_rows
from neptune_exporter_mlflow.settings import MlflowSettings

sys.path.insert(0, str(Path(__file__).parents[1] / "plugins/mlflow_loader"))
from _acknowledging import acknowledging_server
from tests.cluster import Cluster

(SPEC,) = neptune_exporter_sinks()
SMALL = old_layout.Shape(steps=5_000, parameters=50, lines=100, histograms=5, files=5)
"""For what takes 100 µs a point and more."""
INSERT = 'insert into metrics ("key", value, "timestamp", step, run_uuid, is_nan) values (?, ?, ?, ?, ?, ?)'
COPY = 'copy metrics ("key", value, "timestamp", step, run_uuid, is_nan) from stdin (format binary)'
COLLECTIONS = gc.get_threshold()
"""As Python has it; the loader changes it."""
EARLIER = "the earlier tool's way"
Table = dict[str, Any]
Rates = dict[str, tuple[float, float]]
"""Points a second, by the clock and by the processor time of this process."""
Way = Callable[[str], int]
"""Writes into the database of a URI; how many points it wrote."""


def columns(folder: Path) -> Table:
    """Names, steps, times in ms and values of all points of a dataset."""
    parts = sorted((folder / "data").glob("*/*_part_*.parquet"))
    tables = [pq.read_table(part) for part in parts]
    tables = [table.filter(pc.equal(table["attribute_type"], "float_series")) for table in tables]
    names = [name for table in tables for name in table["attribute_path"].to_pylist()]
    return {
        "names": names,
        "step": np.concatenate([t["step"].cast("int64").to_numpy() for t in tables]),
        "time": np.concatenate([t["timestamp"].cast("int64").to_numpy() for t in tables]),
        "value": np.concatenate([t["float_value"].to_numpy() for t in tables]),
    }


def new_run(uri: str) -> str:
    return str(connected(MlflowSettings(uri)).create_run("0").info.run_id)


def earlier_way(folder: Path, uri: str) -> int:
    """Part by part: the rows of a series in a pandas frame, a `Metric` for each, a `log_batch` a series."""
    import pandas as pd
    from mlflow.entities import Metric

    client, written = connected(MlflowSettings(uri)), 0
    gc.unfreeze()  # which this loader has frozen
    gc.set_threshold(*COLLECTIONS)
    for part in sorted((folder / "data").glob("*/*_part_*.parquet")):
        run_id = client.create_run("0").info.run_id
        frame = pq.read_table(part).to_pandas()
        frame = frame[frame["attribute_type"] == "float_series"]
        for name, group in frame.groupby("attribute_path"):
            metrics = []
            for _, row in group.sort_values("step").iterrows():
                if pd.notna(row["float_value"]) and pd.notna(row["step"]):
                    step = int(float(row["step"]) * 1)
                    time_ms = int(row["timestamp"].timestamp() * 1000) if pd.notna(row["timestamp"]) else 0
                    metrics.append(Metric(name, row["float_value"], time_ms, step))
            client.log_batch(run_id, metrics=metrics)
            written += len(metrics)
    return written


def ours(folder: Path, direct: bool, uri: str) -> int:
    """A whole load: points, parameters, artifacts, everything."""
    with tempfile.TemporaryDirectory() as artifacts:
        database = Secret(uri) if direct else None
        settings = MlflowSettings(uri, artifact_location=artifacts, direct_database=database)
        options = LoadJobOptions(
            Location.of(folder / "data"), Location.of(folder / "files"), load=LoadOptions(), verify=False
        )
        result = load_runs(SPEC, settings, options, Progress())
    if result.failed:
        raise SystemExit(f"not loaded: {result.failed[0]}")
    return result.counts["points"]


def executemany(table: Table, uri: str) -> int:
    run_id = new_run(uri)
    numbers = (table[c].tolist() for c in ("value", "time", "step"))
    rows = list(
        zip(table["names"], *numbers, [run_id] * len(table["names"]), [0] * len(table["names"]), strict=True)
    )
    return timed_alone(uri, lambda connection: connection.exec_driver_sql(INSERT, rows), len(rows))


def copy(table: Table, uri: str) -> int:
    run_id = new_run(uri)
    names = sorted(set(table["names"]))
    numbers = {name: number for number, name in enumerate(names)}
    series = np.array([numbers[name] for name in table["names"]], np.int32)
    order = np.argsort(series, kind="stable")
    points = Points(series, table["step"], table["time"], table["value"])[order]
    pieces = list(copied_rows(run_id, names, points, np.zeros(len(points), np.bool_)))

    def write(connection: Any) -> None:
        with connection.connection.cursor() as cursor, cursor.copy(COPY) as target:
            for piece in pieces:
                target.write(piece)

    return timed_alone(uri.replace("postgresql:", "postgresql+psycopg:"), write, len(points))


LIMIT: dict[str, float] = {}


def timed_alone(uri: str, write: Callable[[Any], object], count: int) -> int:
    """Only the writing: what was made beforehand does not count."""
    engine = create_engine(uri)
    with engine.begin() as connection:
        connection.execute(text("select 1"))
        wall, processor = time.perf_counter(), time.process_time()
        write(connection)
        connection.commit()
        LIMIT["wall"], LIMIT["processor"] = time.perf_counter() - wall, time.process_time() - processor
    engine.dispose()
    return count


def measured(way: Way, uri: str) -> tuple[float, float]:
    """Points a second by the clock and by the processor time of this process."""
    LIMIT.clear()
    gc.collect()  # what the way before it has left
    wall, processor = time.perf_counter(), time.process_time()
    count = way(uri)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return count / LIMIT.get("wall", wall), count / LIMIT.get("processor", processor)


def compare(title: str, ways: dict[str, Way], new: Callable[[], str], rounds: int) -> Rates:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(measured(way, new()))
    print(f"\n{title:<44}{'points/s':>12}{'points/processor s':>22}")
    rates = {}
    for name, each in found.items():
        wall, processor = (statistics.median(rate) for rate in zip(*each, strict=True))
        rates[name] = wall, processor
        print(f"  {name:<42}{wall:>12,.0f}{processor:>22,.0f}")
    return rates


def ratios(rates: Rates, database: str) -> None:
    limit = next(name for name in rates if name.startswith("limit"))
    for one, other, wanted in (
        ("client", EARLIER, "1.8 on SQLite"),
        ("direct", EARLIER, "20, on PostgreSQL 10"),
        ("direct", limit, "0.6"),
    ):
        wall, processor = (mine / theirs for mine, theirs in zip(rates[one], rates[other], strict=True))
        told = f"  {database}, {one} / {other}:"
        print(f"{told:<44}{wall:>12.2f}{processor:>22.2f}   (wanted: {wanted})")


@contextmanager
def sqlite(folder: Path) -> Iterator[Callable[[], str]]:
    """Makes copies of a new database."""
    template = folder / "new.db"
    connected(MlflowSettings(f"sqlite:///{template}"))

    def new() -> str:
        path = folder / f"{uuid.uuid4().hex}.db"
        shutil.copy(template, path)
        return f"sqlite:///{path}"

    yield new


@contextmanager
def postgresql(folder: Path) -> Iterator[Callable[[], str]]:
    with Cluster.started() as cluster:
        connected(MlflowSettings(cluster.create("new")))
        yield lambda: cluster.create(f"m{uuid.uuid4().hex}", "new")


def memory(points: int, way: str) -> None:
    """The most that a load of one run holds, beside what a load of 1 million points holds."""
    for count in sorted({1_000_000, points}):
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, ExitStack() as stack:
            command = [sys.executable, __file__, "--one-run", str(count), "--only", way]
            if way == "server":
                command += ["--uri", stack.enter_context(acknowledging_server(Path(folder)))]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        print(f"  one run of {count:>12,} points, {way}: {done.stdout.strip()}")


def one_run(count: int, way: str, uri: str) -> None:
    shape = old_layout.Shape(metrics=10, steps=count // 10, parameters=10, lines=0, histograms=0, files=0)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        made = "from neptune_exporter.testing import old_layout; from pathlib import Path; "
        made += f"old_layout.standard(Path({str(folder / 'data')!r}), Path({str(folder / 'files')!r}), "
        subprocess.run([sys.executable, "-c", f"{made}runs=1, shape=old_layout.{shape!r})"], check=True)
        uri = uri or stack.enter_context(sqlite(folder))()
        started = time.perf_counter()
        written = ours(folder, way == "direct", uri)
        took = time.perf_counter() - started
        print(f"at most {peak_megabytes():.0f} MB, {written:,} points in {took:.0f} s")


def main(arguments: argparse.Namespace) -> None:
    makers = {"sqlite": sqlite, "postgresql": postgresql}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        folder = Path(temporary)
        small, standard = folder / "small", folder / "standard"
        old_layout.standard(small / "data", small / "files", runs=1, shape=SMALL)
        old_layout.standard(standard / "data", standard / "files", runs=arguments.runs)
        table = columns(standard)
        for database in [name for name in makers if name in arguments.only]:
            limit: dict[str, Way] = {
                "sqlite": {"limit: executemany": partial(executemany, table)},
                "postgresql": {"limit: COPY": partial(copy, table)},
            }[database]
            ways: dict[str, Way] = {
                EARLIER: partial(earlier_way, small),
                "client": partial(ours, small, False),
                "direct": partial(ours, standard, True),
                **limit,
            }
            with makers[database](folder) as new:
                ratios(compare(database, ways, new, arguments.rounds), database)
    for what, way in (("memory", "direct"), ("client-memory", "client"), ("server-memory", "server")):
        if what in arguments.only:
            memory(arguments.points, way)


def parsed(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=4, help="of the standard dataset, for what is fast")
    parser.add_argument("--only", nargs="+", default=["sqlite", "postgresql", "memory"])
    parser.add_argument("--points", type=int, default=5_000_000, help="of the run that measures memory")
    parser.add_argument("--one-run", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--uri", default="", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


if __name__ == "__main__":
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    asked = parsed(sys.argv[1:])
    one_run(asked.one_run, asked.only[0], asked.uri) if asked.one_run else main(asked)

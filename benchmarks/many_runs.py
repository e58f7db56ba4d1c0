"""Commands on 10,000 small runs, ours and another tool's: processor time and memory, against limits.

    python benchmarks/many_runs.py [--runs 10000] [--only summary] [--load]

Each figure is that of a whole command with all of its child processes, and of the same command on one run,
which is its start. `--load` only loads the runs into a local Pluto, which takes ten minutes or more; the
server does not count. The script fails if a limit is exceeded at 10,000 runs; times are those of a machine
that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from _serving import pluto_variables, serving

if TYPE_CHECKING:  # the process that starts the others stays small
    import pyarrow as pa

    from neptune_exporter.model import RunKey

LIMITED_RUNS = 10_000
"""Limits of whole seconds are meant for so many."""
_TOGETHER = 64
"""Runs that are published together."""


@dataclass(frozen=True)
class Limits:
    """What a command may take."""

    seconds: float | None = None
    """Of the whole command with 10,000 runs."""
    milliseconds: float | None = None
    """A run, beyond the start."""
    megabytes: float = 150


COMMANDS: dict[str, tuple[str, tuple[str, ...], Limits]] = {
    "summary": ("ours", ("summary",), Limits(1.5, 0.15)),
    "load --dry-run": ("ours", ("load", "--loader", "mlflow", "--dry-run"), Limits(None, 0.15)),
    "verify": ("ours", ("verify",), Limits(12)),
    "summary of theirs": ("theirs", ("summary",), Limits(5)),
    "verify of theirs": ("theirs", ("verify",), Limits(12)),
    "verify --record of theirs": ("theirs", ("verify", "--record"), Limits()),
    "summary of theirs, recorded": ("theirs", ("summary",), Limits(5)),
}
LOAD: dict[str, tuple[str, tuple[str, ...], Limits]] = {
    "load": ("ours", ("load", "--loader", "pluto", "--pluto-visible-within", "2"), Limits(megabytes=300)),
}


@dataclass(frozen=True)
class Taken:
    """What a command took."""

    seconds: float
    megabytes: float
    """The most of one process."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=LIMITED_RUNS)
    parser.add_argument("--only", default="", help="commands whose names hold this text")
    parser.add_argument("--load", action="store_true", help="into a local Pluto, and nothing else")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        make(arguments.make, arguments.runs)
        return
    with tempfile.TemporaryDirectory() as name:
        many, one = Path(name, "many"), Path(name, "one")
        for folder, runs in ((many, arguments.runs), (one, 1)):
            # In a process of its own: a child's peak of memory begins with that of its parent.
            command = [sys.executable, __file__, "--make", str(folder), "--runs", str(runs)]
            subprocess.run(command, check=True)
        print(f"{'':28} {'s':>6} {'start':>6} {'ms a run':>9} {'MB':>5}")
        commands = LOAD if arguments.load else COMMANDS
        exceeded = [
            line
            for label, command in commands.items()
            if arguments.only in label
            for line in measured(label, command, many, one, arguments.runs)
        ]
    if exceeded and arguments.runs == LIMITED_RUNS:
        raise SystemExit("\n".join(exceeded))


def measured(
    label: str, what: tuple[str, tuple[str, ...], Limits], many: Path, one: Path, runs: int
) -> list[str]:
    """Print what one command takes. Returns the limits that it exceeds."""
    whose, command, limits = what
    start, whole = taken(command, one / whose), taken(command, many / whose)
    each = 1000 * (whole.seconds - start.seconds) / runs
    print(
        f"{label:28} {whole.seconds:6.2f} {start.seconds:6.2f} {each:9.3f} {whole.megabytes:5.0f}", flush=True
    )
    found = (
        (whole.seconds, limits.seconds, "s"),
        (each, limits.milliseconds, "ms a run"),
        (whole.megabytes, limits.megabytes, "MB"),
    )
    return [
        f"{label}: {value:.2f} {unit}, limit {limit}"
        for value, limit, unit in found
        if limit is not None and value > limit
    ]


def taken(command: tuple[str, ...], folder: Path) -> Taken:
    """Run a command on a dataset."""
    places = ["-d", str(folder / "data"), "-f", str(folder / "files")]
    line = [sys.executable, "-m", "neptune_exporter", *command, *places]
    variables = dict(os.environ)
    with ExitStack() as running:
        if "pluto" in command:
            server = serving("neptune_exporter_pluto_server", "--until-stdin-closes")
            variables |= pluto_variables(running.enter_context(server))
        child = subprocess.Popen(
            line, env=variables, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Taken(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 1e6)


def make(folder: Path, runs: int) -> None:
    """The same runs twice: ours, and as the earlier tool wrote them."""
    from neptune_exporter.model import RunKey

    keys = [RunKey("acme/many", f"RUN-{number}") for number in range(runs)]
    make_ours(folder / "ours", keys)
    make_theirs(folder / "theirs", keys)


def make_ours(folder: Path, keys: list[RunKey]) -> None:
    """As an export leaves them that ended an hour ago: with an index."""
    from neptune_exporter.contract import AttributeSelection, SourceRun
    from neptune_exporter.dataset import Dataset

    dataset = Dataset(folder / "data", folder / "files")
    with dataset.lock():
        for first in range(0, len(keys), _TOGETHER):
            published = []
            for number, key in enumerate(keys[first : first + _TOGETHER], first):
                writer = dataset.writer(key)
                for batch in batches(number):
                    writer.write(batch)
                prepare = partial(writer.prepare, SourceRun(key), "benchmark 1", [AttributeSelection()])
                published.append(dataset.publish(prepare))
            for each in published:
                each.result()
        for receipt in dataset.data_path.rglob("*.receipt.parquet"):
            os.utime(receipt, (1e9, 1e9))
        dataset.index_receipts()


def make_theirs(folder: Path, keys: list[RunKey]) -> None:
    import pyarrow as pa

    from neptune_exporter.testing import old_layout

    (folder / "files").mkdir(parents=True)
    for number, key in enumerate(keys):
        tables = [old_layout.complete(key, batch) for batch in batches(number)]
        whole = pa.concat_tables(tables).drop_columns(["project_id", "run_id"]).combine_chunks()
        old_layout.write_run(folder / "data", key, whole.to_batches())


def batches(number: int) -> list[pa.RecordBatch]:
    """Ten metrics of ten points, and twenty parameters."""
    import pyarrow as pa

    from neptune_exporter.model import AttributeType
    from neptune_exporter.schema import attribute_batch, step_columns

    steps = pa.array(range(10), pa.float64())
    values = pa.array([float(number + step) for step in range(10)])
    kind, columns = AttributeType.FLOAT_SERIES, {**step_columns(steps), "float_value": values}
    metrics = [attribute_batch(f"metric/{metric}", kind, columns) for metric in range(10)]
    text = {"string_value": pa.array([f"value {number}"])}
    names = [f"parameter/{each}" for each in range(19)]
    return metrics + [attribute_batch(name, AttributeType.STRING, text) for name in [*names, "sys/name"]]


if __name__ == "__main__":
    main()

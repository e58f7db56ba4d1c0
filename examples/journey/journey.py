"""The whole journey on this machine, without an account: train, export, look, rehearse, load, prove.

Every command is printed before it runs. At the end the numbers that the training
script wrote down stand beside those in the dataset and those in Pluto; the exit
code is 0 only if all agree.
"""

from __future__ import annotations

import json
import math
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import counting

from neptune_exporter_pluto_server import RehearsalServer

HERE = Path(__file__).parent.resolve()
ROOT = HERE.parents[1]
PROJECT = "demo/moons"
RUN_2X = "moons-2x"
"""The id that the run of the 2.x client gets: its folder names none."""


def run(folder: Path, *command: str) -> None:
    """Print a command, then run it in the folder; a failing one ends the journey."""
    print(f"\n$ {shlex.join(command)}", flush=True)
    executable = Path(sys.executable)
    program = str(executable if command[0] == "python" else executable.with_name(command[0]))
    done = subprocess.run([program, *command[1:]], cwd=folder, timeout=600)
    if done.returncode != 0:
        sys.exit(f"the command ended with {done.returncode}")


def main(folder: Path) -> int:
    print("Two real Neptune clients log three trainings, offline; one run is a fork of another.")
    run(ROOT, "python", str(HERE.relative_to(ROOT) / "train.py"), str(folder))
    print(f"\nFrom here on in {folder}.")
    run(
        folder,
        "neptune-exporter",
        "export",
        "--exporter=offline",
        "--offline-path=.neptune",
        f"--offline-project={PROJECT}",
        f"--offline-run-id={RUN_2X}",
    )
    run(folder, "neptune-exporter", "summary")
    run(folder, "neptune-exporter", "verify")
    print("\nA rehearsal: a local Pluto is started, loaded, read back, and gone.")
    run(folder, "neptune-exporter", "load", "--loader=pluto", "--pluto-rehearse")
    print("\nThe same into a local Pluto that stays up, so that its own client can read it.")
    with RehearsalServer() as server:
        os.environ.update(server.environment())
        run(folder, "neptune-exporter", "load", "--loader=pluto")
        run(folder, "neptune-exporter", "verify", "--loader=pluto", "--full")
        return compare(folder, server)


def compare(folder: Path, server: RehearsalServer) -> int:
    """Print the three accounts side by side; 0 if they agree."""
    import pluto.query as query  # reads its addresses from the environment

    runs = query.list_runs(PROJECT)
    names = {r["id"]: r["config"]["sys/neptune_exporter"]["run_id"] for r in runs}
    truth: dict[str, dict[str, Any]] = json.loads((folder / "truth.json").read_text())
    if sorted(names.values()) != sorted(truth):
        print(f"\nlogged: {sorted(truth)}; in Pluto: {sorted(names.values())}")
        return 1
    agree = True
    print(f"\n{'run':<10}{'':<16}{'source':>22}{'dataset':>22}{'Pluto':>22}")
    for run_id, account in truth.items():
        in_pluto = next(r for r in runs if names[r["id"]] == run_id)
        columns = [
            counting.in_source(account),
            counting.in_dataset(folder / "exports/data", folder / "exports/files", run_id),
            counting.in_pluto(server, query, PROJECT, in_pluto, names),
        ]
        for row in counting.ROWS:
            values = [column[row] for column in columns]
            same = all(equal(values[0], value) for value in values)
            agree &= same
            cells = "".join(f"{shown(value):>22}" for value in values)
            print(f"{run_id:<10}{row:<16}{cells}  {'=' if same else '≠'}")
    print("\nEvery number agrees." if agree else "\nNumbers differ: see the lines marked ≠.")
    return 0 if agree else 1


def equal(one: Any, other: Any) -> bool:
    """Sums of doubles may differ in their last digits by the order of adding."""
    if isinstance(one, float) or isinstance(other, float):
        return math.isclose(float(one), float(other), rel_tol=1e-12)
    return bool(one == other)


def shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    return ", ".join(value) if isinstance(value, list) else str("-" if value is None else value)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        target = Path(sys.argv[1]).resolve()
        target.mkdir(parents=True, exist_ok=True)
        sys.exit(main(target))
    with tempfile.TemporaryDirectory(prefix="journey-") as temporary:
        sys.exit(main(Path(temporary)))

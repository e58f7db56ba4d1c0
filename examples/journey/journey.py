"""The whole journey on this machine, without an account: train, export, look, rehearse, load, prove.

Every command is printed before it runs. At the end the numbers that the training
script wrote down stand beside those in the dataset and those in the tracker; the exit
code is 0 only if all agree. `--loader NAME` chooses the tracker: what is its own is in `in_NAME.py`.
`--executor NAME` has export, load and comparison carried out there, by two workers.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import math
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import counting

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


def main(folder: Path, loader: str, executor: str | None) -> int:
    target = importlib.import_module(f"in_{loader}")
    spread = () if executor is None else (f"--executor={executor}", "-j2")
    train_and_export(folder, *spread)
    run(folder, "neptune-exporter", "summary")
    run(folder, "neptune-exporter", "verify")
    load = ("neptune-exporter", "load", f"--loader={loader}")
    if target.REHEARSAL is not None:
        said, flag = target.REHEARSAL
        print(f"\n{said}")
        run(folder, *load, flag)
    print(f"\nInto a local {target.NAME} that stays, so that its own client can read it.")
    with target.started(folder) as started:
        run(folder, *load, *spread)
        run(folder, "neptune-exporter", "verify", f"--loader={loader}", "--full", *spread)
        return compare(folder, target.NAME, started.runs(PROJECT))


def train_and_export(folder: Path, *options: str) -> None:
    """Have the real clients log trainings into a folder, and export what they wrote to its `exports`."""
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
        *options,
    )


def compare(folder: Path, name: str, loaded: dict[str, counting.Numbers]) -> int:
    """Print the three accounts side by side; 0 if they agree."""
    truth: dict[str, dict[str, Any]] = json.loads((folder / "truth.json").read_text())
    if sorted(loaded) != sorted(truth):
        print(f"\nlogged: {sorted(truth)}; in {name}: {sorted(loaded)}")
        return 1
    agree = True
    print(f"\n{'run':<10}{'':<16}{'source':>22}{'dataset':>22}{name:>22}")
    for run_id, account in truth.items():
        columns = [
            counting.in_source(account),
            counting.in_dataset(folder / "exports/data", folder / "exports/files", run_id),
            loaded[run_id],
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


def look(folder: Path) -> str:
    """The command that shows the exports below a folder, as it works where this script was started."""
    program = Path(sys.executable).with_name("neptune-exporter")
    with contextlib.suppress(ValueError):
        program = program.relative_to(Path.cwd())
    command = [program, "view", "-d", folder / "exports/data", "-f", folder / "exports/files"]
    return shlex.join(map(str, command))


def shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    return ", ".join(value) if isinstance(value, list) else str("-" if value is None else value)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="where everything stays; default: nowhere")
    trackers = sorted(path.stem.removeprefix("in_") for path in HERE.glob("in_*.py"))
    parser.add_argument("--loader", choices=trackers, default="pluto")
    parser.add_argument("--executor", help="as of the command; default: what suits")
    arguments = parser.parse_args()
    if arguments.folder is not None:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        code = main(arguments.folder.resolve(), arguments.loader, arguments.executor)
        print(f"\nLook at the runs in the browser:\n{look(arguments.folder)}")
        sys.exit(code)
    with tempfile.TemporaryDirectory(prefix="journey-") as temporary:
        code = main(Path(temporary), arguments.loader, arguments.executor)
    print("\nTo look at the runs in the browser, keep them: nox -s demo -- moons. Then:")
    print(look(Path("moons")))
    sys.exit(code)

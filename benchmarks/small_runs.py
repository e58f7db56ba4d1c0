"""What each of many small runs costs: processor time of whole commands, beside that of another build.

    python benchmarks/small_runs.py [--runs 1000] [--rounds 3] [--only neptune3|neptune2|load]
        [--against FOLDER/bin/python]

A run has 10 metrics of 100 points and 20 parameters. `--against` names the Python of an environment in which
another version of the workspace is installed; the builds take turns, and the lowest of each is told. A figure
is user and system time of a command and all of its processes (on Linux), less that of the same command on one
run. The servers are of this build and have processes of their own, which do not count. `load` is into a local
Pluto, with the comparison of counts at its end, of what the build itself has exported.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _serving import pluto_variables, serving

GOAL = 0.5
_NUMBERS = itertools.count()
_SET_CHILD_SUBREAPER = 36
"""Of `prctl` (Linux): processes whose parent has ended become children of this one."""
_SHAPE = ("--points", "100", "--parameters", "20")
SERVERS = {
    "neptune3": ("neptune_exporter_neptune3_server", "--metrics", "10", *_SHAPE),
    "neptune2": ("neptune_exporter_neptune2_server", "--series", "10", *_SHAPE),
}
FIRST = {"neptune3": "run-00000", "neptune2": "BENCH-1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=[*SERVERS, "load"])
    parser.add_argument("--against", help="the Python of another environment")
    arguments = parser.parse_args()
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1)
    builds = {"this build": sys.executable}
    if arguments.against:
        builds["the other"] = arguments.against
    with tempfile.TemporaryDirectory() as folder:
        for exporter in SERVERS:
            if arguments.only in (None, exporter):
                measure_export(exporter, builds, arguments.runs, arguments.rounds, Path(folder))
        if arguments.only in (None, "load"):
            measure_load(builds, arguments.runs, arguments.rounds, Path(folder))


def measure_export(exporter: str, builds: dict[str, str], runs: int, rounds: int, folder: Path) -> None:
    with serving(*SERVERS[exporter], "--runs", str(runs)) as ready:
        taken: dict[tuple[str, int], list[float]] = {}
        for _, (name, python) in itertools.product(range(rounds), builds.items()):
            for few in (True, False):
                seconds = export(python, exporter, ready, folder / f"{next(_NUMBERS)}", few=few)
                taken.setdefault((name, 1 if few else runs), []).append(seconds)
    tell(f"export of {exporter}", taken, builds, runs)


def measure_load(builds: dict[str, str], runs: int, rounds: int, folder: Path) -> None:
    exported = {}
    with serving(*SERVERS["neptune3"], "--runs", str(runs)) as ready:
        for name, python in builds.items():
            exported[name] = folder / f"{next(_NUMBERS)}"
            export(python, "neptune3", ready, exported[name], few=False)
    taken: dict[tuple[str, int], list[float]] = {}
    for _, (name, python) in itertools.product(range(rounds), builds.items()):
        for few in (True, False):
            with serving("neptune_exporter_pluto_server", "--until-stdin-closes") as ready:
                seconds = load(python, ready, exported[name], few=few)
            taken.setdefault((name, 1 if few else runs), []).append(seconds)
    tell("load", taken, builds, runs)


def tell(what: str, taken: dict[tuple[str, int], list[float]], builds: dict[str, str], runs: int) -> None:
    each = {name: 1000 * (min(taken[name, runs]) - min(taken[name, 1])) / (runs - 1) for name in builds}
    print(
        f"{what}, {runs:,} runs: " + ", ".join(f"{name} {ms:.2f} ms a run" for name, ms in each.items()),
        end="",
    )
    mine, *others = each.values()
    print(*(f", {mine / other:.2f} times the other (goal {GOAL})" for other in others), flush=True)


def export(python: str, exporter: str, ready: dict[str, Any], folder: Path, *, few: bool) -> float:
    places = ["--data-path", str(folder / "data"), "--files-path", str(folder / "files")]
    command = ["export", "--exporter", exporter, "-p", ready["project"], *places]
    token = {"NEPTUNE_API_TOKEN": ready["api_token"], "OAUTHLIB_INSECURE_TRANSPORT": "1"}
    return seconds_of(python, [*command, *(["-r", FIRST[exporter]] if few else [])], token, folder)


def load(python: str, ready: dict[str, Any], folder: Path, *, few: bool) -> float:
    places = ["--data-path", str(folder / "data"), "--files-path", str(folder / "files")]
    state = ["--pluto-base-dir", str(folder / f"state-{next(_NUMBERS)}")]
    command = ["load", "--loader", "pluto", *places, *state, "--pluto-visible-within", "2"]
    chosen = ["-r", FIRST["neptune3"]] if few else []
    return seconds_of(python, [*command, *chosen], pluto_variables(ready), folder)


def seconds_of(python: str, command: list[str], environment: dict[str, str], folder: Path) -> float:
    """User and system time of a command and of all processes that it started, also those that it did not
    wait for."""
    folder.mkdir(parents=True, exist_ok=True)
    child = subprocess.Popen(
        [python, "-m", "neptune_exporter", *command],
        env={**os.environ, "NO_PROXY": "127.0.0.1", **environment},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    seconds = 0.0
    with contextlib.suppress(ChildProcessError):  # none of its group is left
        while True:
            process, status, usage = os.wait4(-child.pid, 0)
            seconds += usage.ru_utime + usage.ru_stime
            if process == child.pid:
                child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 3):  # 3: done, with losses that are named
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
    return seconds


if __name__ == "__main__":
    main()

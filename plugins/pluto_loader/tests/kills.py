"""A load that is killed again and again at random moments ends with every row stored once.

It takes minutes, so it is no part of the default run: `nox -s kills`, or pytest with this file.
`NEPTUNE_EXPORTER_KILLS` says how often to kill (default: 200), `NEPTUNE_EXPORTER_KILLS_SEED` is the seed.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from neptune_exporter.testing import old_layout
from neptune_exporter.testing.commands import CommandLine
from neptune_exporter_pluto.ending import SUPERSEDED_TAG
from neptune_exporter_pluto_server import RehearsalServer

KILLS = int(os.environ.get("NEPTUNE_EXPORTER_KILLS", "200"))
SEED = int(os.environ.get("NEPTUNE_EXPORTER_KILLS_SEED", "1"))
SHAPE = old_layout.Shape(metrics=8, steps=5_000, parameters=10, lines=500, histograms=5, files=6)
RUNS = 3
KINDS = ("points", "data rows", "log lines", "files")
LOAD = ("load", "--loader=pluto", "--data-path=../exports/data", "--files-path=../exports/files")


def command(server: RehearsalServer, folder: Path) -> CommandLine:
    quick = {"FILE_CHUNK_SLEEP": "0", "RETRY_FOR": "10", "VISIBLE_WITHIN": "0.5"}
    variables = {f"NEPTUNE_EXPORTER_PLUTO_{name}": value for name, value in quick.items()}
    return CommandLine(folder, {**server.environment(), **variables})


def stored(server: RehearsalServer) -> dict[str, Counter[str]]:
    """Raw rows by run's name and kind, of the runs that were not given up."""
    found: dict[str, Counter[str]] = {}
    for run in server.runs.by_id.values():
        if SUPERSEDED_TAG in run.tags:
            continue
        assert run.name not in found, f"two runs hold {run.name}"
        key, store = server.key(run), server.store
        rows = store.points.rows(key), len(store.data_rows(key)), len(store.log_rows(key))
        found[run.name] = Counter(dict(zip(KINDS, (*rows, len(store.file_rows(key))), strict=True)))
    return found


@pytest.mark.timeout(7_200)
@pytest.mark.skipif(os.name == "nt", reason="there a process cannot be killed so")
def test_every_row_is_stored_once(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    exports = tmp_path / "exports"
    old_layout.standard(exports / "data", exports / "files", runs=RUNS, shape=SHAPE)
    begun = time.monotonic()
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    with RehearsalServer(reaper_interval=None) as server:
        command(server, undisturbed).run(*LOAD)
        wanted = stored(server)
    took = time.monotonic() - begun
    assert len(wanted) == RUNS and all(
        rows[kind] for rows in wanted.values() for kind in KINDS if kind != "log lines"
    ), wanted
    ends, campaigns, given_up, again = Counter[int](), 0, 0, 0
    while ends.total() < KILLS:
        campaigns += 1
        folder = tmp_path / str(campaigns)
        folder.mkdir()
        with RehearsalServer(reaper_interval=None) as server:
            line = command(server, folder)
            while (code := killed(line, chance, took)) != 0:
                if code == -signal.SIGTERM:  # before it could listen to signals, so before it did anything
                    assert not line._output.exists() or not line._output.read_text()
                else:
                    assert code in (-signal.SIGKILL, 130), line._output.read_text()
                    ends[code] += 1
            assert stored(server) == wanted, f"campaign {campaigns} of seed {SEED}"
            runs = len(server.runs.by_id)
            given_up += runs - RUNS
            again += server.stats()["points"] - sum(rows["points"] for rows in wanted.values())
    sys.stdout.write(
        f"\n{ends[-signal.SIGKILL]} kills and {ends[130]} SIGTERMs in {campaigns} loads of {RUNS} runs, "
        f"every row stored once; runs begun again: {given_up}, points left in those: {again:,}\n"
    )


def killed(line: CommandLine, chance: random.Random, took: float) -> int:
    """Run a load that gets a signal at some moment, and give its exit code: 0 where it ended before."""
    line._output.unlink(missing_ok=True)  # of the load before
    process = line._start(LOAD, {})
    process.join(chance.uniform(0.0, took))
    if process.exitcode is None:
        os.kill(process.pid or 0, signal.SIGTERM if chance.random() < 0.25 else signal.SIGKILL)
    process.join(120)
    return line._end(process).exit_code

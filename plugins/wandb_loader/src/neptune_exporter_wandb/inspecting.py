"""What wandb's own reader says of a run's folder: `wandb leet inspect --summary`, of wandb 0.31."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from neptune_exporter.contract import Comparison, Verdict
from neptune_exporter.model import RunKey

_ITEM = "run as wandb's own reader sees it"
_TIMEOUT = 600


def compare_inspected(key: RunKey, folder: Path, run_id: str, rows: int) -> Comparison:
    """One line: whether wandb finds the run with its last row and its end."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json", str(folder)]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_TIMEOUT)
    expected = f"{run_id}, last row {rows - 1}, ended"
    try:
        said = json.loads(done.stdout)
    except ValueError:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        usage = done.returncode == 2  # a wandb without this command
        verdict = Verdict.UNKNOWN if usage else Verdict.DIFFERENT
        return Comparison(key, _ITEM, verdict, expected, words[-1] if words else "no answer")
    last = said.get("step") if rows else -1
    ended = "ended" if said.get("state") in ("finished", "failed", "crashed") else "not ended"
    found = f"{said.get('run_id')}, last row {last}, {ended}"
    return Comparison(key, _ITEM, Verdict.EQUAL if found == expected else Verdict.DIFFERENT, expected, found)

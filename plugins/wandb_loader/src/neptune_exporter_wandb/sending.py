"""Sends the folder of a run with wandb's own `wandb sync`, in another process.

Seen with wandb 0.31.0: the exit code is 0 whatever happens, so what counts is the `.synced` file that is
written at the end, and that no line says ERROR. If the server does not answer, the command waits without end.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from neptune_exporter.contract import SinkError

_LINK = re.compile(r"View run .* at (https?://\S+)")
_STEP = 0.2
_ASK_EVERY = 10.0
_SILENT = 3


def send(folder: Path, run_id: str, check: Callable[[], None], reach: Callable[[], object]) -> str | None:
    """Send a run. Returns the address of the run's page, as wandb says it. Raises SinkError, in wandb's
    own words, if the run was not sent as a whole.

    Args:
        check: Ends the sending by what it raises; called several times a second.
        reach: Asks the server anything; after three errors in a row the sending ends.
    """
    synced = folder / f"run-{run_id}.wandb.synced"
    synced.unlink(missing_ok=True)
    command = [sys.executable, "-m", "wandb", "sync", "--include-synced", str(folder)]
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        try:
            _wait(process, check, reach)
        finally:
            _end(process)
        output.seek(0)
        said = output.read()
    if process.returncode != 0 or not synced.exists() or "ERROR" in said:
        lines = [line for line in said.splitlines() if line.strip()]
        wrong = next((line for line in lines if "ERROR" in line), lines[-1] if lines else "it said nothing")
        raise SinkError(f"{folder}: `wandb sync` did not send all of the run: {wrong.strip()}")
    link = _LINK.search(said)
    return link[1] if link else None


def _wait(process: subprocess.Popen[bytes], check: Callable[[], None], reach: Callable[[], object]) -> None:
    asked, errors = time.monotonic(), 0
    while process.poll() is None:
        check()
        time.sleep(_STEP)
        if time.monotonic() - asked < _ASK_EVERY:
            continue
        try:
            reach()
            errors = 0
        except SinkError:
            errors += 1
            if errors == _SILENT:
                raise
        asked = time.monotonic()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process, and the processes that it has started, if it still runs."""
    if process.poll() is not None:
        return
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()

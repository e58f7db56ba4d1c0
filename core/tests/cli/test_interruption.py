"""Ctrl-C while a command is ending."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

IN_PROCESS = """
import sys
from neptune_exporter.cli import interruption

interruption._SAME = float(sys.argv[1])
interruption.handle_signals()
try:
    print("working", flush=True)
    sys.stdin.readline()
except KeyboardInterrupt:
    print("ending", flush=True)
    for line in sys.stdin:
        print(line, end="", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="there only the console sends Ctrl-C")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("same", [0.0, 60.0], ids=["a second one", "the same one passed on by a launcher"])
def test_a_second_signal_ends_at_once(number: signal.Signals, same: float) -> None:
    command = [sys.executable, "-c", IN_PROCESS, str(same)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "working\n"
        process.send_signal(number)
        assert process.stdout.readline() == "ending\n"
        process.send_signal(number)
        if same:
            process.stdin.write("still there\n")
            process.stdin.close()
            assert process.stdout.readline() == "still there\n"
        assert process.wait(30) == (0 if same else 130)

"""Ctrl-C while a command is ending."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

IN_PROCESS = """
import select, sys
from neptune_exporter.cli import interruption

def read():
    # A signal that comes just before a read does not end it.
    while not select.select([sys.stdin], [], [], 0.1)[0]:
        pass
    return sys.stdin.readline()

interruption._SAME = float(sys.argv[1])
interruption.handle_signals()
try:
    print("working", flush=True)
    read()
except KeyboardInterrupt:
    print("ending", flush=True)
    print(read(), end="", flush=True)
"""

HEARD_BY_ANOTHER_THREAD = """
import signal, threading, time
from neptune_exporter.cli.interruption import handle_signals
from neptune_exporter.interruption import pause

handle_signals()

def send():
    time.sleep(0.5)
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)

threading.Thread(target=send, daemon=True).start()
try:
    pause(60)
except KeyboardInterrupt:
    print("ending")
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


@pytest.mark.skipif(os.name == "nt", reason="there signals are of the process")
def test_a_pause_does_not_outlast_a_signal_that_did_not_end_its_wait() -> None:
    command = [sys.executable, "-c", HEARD_BY_ANOTHER_THREAD]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=30)
    assert done.stdout == "ending\n"

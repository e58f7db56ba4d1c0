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


ENDING = """
import signal, sys
from neptune_exporter import cli
from neptune_exporter.cli import interruption

# As late as a handler of Python's own can be: when the modules of the program are taken apart.
class Last:
    def __del__(self, kill=__import__("os").kill, me=__import__("os").getpid(), number=int(sys.argv[1])):
        kill(me, number)

cli._run = lambda: 3
code = cli.main()
cli.last = sys.last = Last()
sys.exit(code)
"""
"""A signal while Python takes itself apart, after it has given signals back their default meaning."""


@pytest.mark.skipif(os.name == "nt", reason="there only the console sends Ctrl-C")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_end_of_a_command_changes_nothing(number: signal.Signals) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENDING, str(int(number))], capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")


AT_A_LINE = """
import os, signal, sys
from neptune_exporter import cli

wanted, number, passed = int(sys.argv[1]), int(sys.argv[2]), 0

def trace(frame, event, argument):
    global passed
    if frame.f_code.co_filename == cli.__file__:
        if event == "line":
            passed += 1
            if passed == wanted:
                os.kill(os.getpid(), number)
        return trace

sys.argv[1:] = ["--version"]
sys.settrace(trace)
code = cli.main()
sys.settrace(None)
print("lines:", passed, file=sys.stderr)
sys.exit(code)
"""
"""A signal at one of the lines of the console script, before, in and after the command."""


@pytest.mark.skipif(os.name == "nt", reason="there only the console sends Ctrl-C")
def test_a_signal_at_any_line_of_the_console_script_ends_it_in_order() -> None:
    def run(line: int, number: signal.Signals = signal.SIGTERM) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", AT_A_LINE, str(line), str(int(number))]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    whole = run(0)
    assert whole.returncode == 0
    lines = int(whole.stderr.rpartition("lines:")[2])
    assert lines > 8
    heard = 0
    for line in range(4, lines + 1):  # from the line on after which signals are handled
        done = run(line)
        assert done.returncode in (0, 130), (line, done.returncode, done.stderr)
        if done.returncode == 130:
            heard += 1
            assert "interrupted; run the same command again" in done.stderr, (line, done.stderr)
        else:
            assert done.stdout == whole.stdout, line
        assert "Traceback" not in done.stderr, (line, done.stderr)
    assert heard
    before = run(3, signal.SIGINT)  # before signals are handled
    assert (before.returncode, "Traceback" in before.stderr) == (130, False), before.stderr

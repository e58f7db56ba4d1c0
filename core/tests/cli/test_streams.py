"""Where stdout and stderr lead: an encoding, a disk, nowhere. What a command is for is done all the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]
Command = Callable[..., "subprocess.CompletedProcess[bytes]"]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a shell that redirects")
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
NAME = "acme/caf\xe9 \u4e2d \U0001f600"


@pytest.fixture
def command(tracker: ModuleType, distributions: Any, folder: Path) -> Command:
    """The real process, its streams redirected by a shell, beside a dataset of odd names."""

    def start(
        *arguments: str, to: str = "", before: str = "", **environment: str
    ) -> subprocess.CompletedProcess[bytes]:
        code = (
            f"import sys; sys.path[:] = {[str(distributions.folder), *sys.path]!r}\n"
            "from neptune_exporter.cli import main; sys.exit(main())"
        )
        # Without site: an SDK may have itself imported at every start of Python, and needs its streams.
        python = [sys.executable, "-S", "-c", code, *arguments]
        return subprocess.run(
            ["sh", "-c", f'{before} "$@" {to}', "sh", *python],
            capture_output=True,
            timeout=60,
            cwd=folder,
            env={**os.environ, **environment},
        )

    return start


@pytest.fixture
def odd_names(run: Run, tracker: ModuleType) -> None:
    """A dataset whose project no old encoding has."""
    tracker.source.put(tracker.a_run("RUN-1", NAME))
    assert run("export", "--exporter", "tracker", "-p", NAME).exit_code == 0


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
@pytest.mark.parametrize("arguments", [["summary"], ["verify", "--json"], ["summary", "--json"]])
def test_an_encoding_that_lacks_what_is_told(
    encoding: str, arguments: list[str], command: Command, odd_names: None
) -> None:
    done = command(*arguments, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert (done.returncode, done.stderr) == (0, b"")
    if arguments == ["summary"]:
        assert "caf\xe9".encode(encoding, "backslashreplace") in done.stdout.replace(rb"\u00e9", rb"\xe9")
        assert rb" \u4e2d \ud83d\ude00: 1 run" in done.stdout
    elif encoding != "ascii":  # for which click writes UTF-8
        json.loads(done.stdout.decode(encoding))
    if arguments == ["summary", "--json"]:
        document = json.loads(done.stdout.decode(encoding))
        assert document["projects"][0]["project_id"] == NAME


@pytest.mark.parametrize("arguments", [["-p", "acme/\udce9"], ["-d", "na/\udce9"]])
def test_an_argument_that_is_no_text(arguments: list[str], command: Command, odd_names: None) -> None:
    done = command("summary", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"error: ") and b"internal error" not in done.stderr


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_costs_no_export(closed: str, command: Command, folder: Path) -> None:
    assert command("export", "--exporter", "tracker", to=closed).returncode == 0
    assert len(list((folder / "exports/data").glob("*/*_part_*.parquet"))) == 3
    assert command("verify", "-v", to=closed).returncode == 0


@pytest.mark.parametrize("arguments", [["summary"], ["verify"], ["summary", "--json"]])
def test_a_closed_stdout_is_as_one_that_nobody_reads(
    arguments: list[str], command: Command, odd_names: None
) -> None:
    done = command(*arguments, to=">&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@needs_full
@pytest.mark.parametrize("arguments", [["summary"], ["verify"], ["summary", "--json"], ["--help"]])
def test_a_full_stdout_is_told_in_one_line(arguments: list[str], command: Command, odd_names: None) -> None:
    done = command(*arguments, to=">/dev/full")
    assert done.stderr == b"error: the output cannot be written: No space left on device\n"
    assert done.returncode == 1


@needs_full
def test_a_full_stderr_costs_no_job(command: Command, folder: Path) -> None:
    assert command("export", "--exporter", "tracker", "-v", to="2>/dev/full").returncode == 0
    assert len(list((folder / "exports/data").glob("*/*_part_*.parquet"))) == 3


@pytest.mark.parametrize("arguments", [["summary"], ["verify"]])
def test_a_reader_that_is_gone_is_not_told_of(
    arguments: list[str], command: Command, odd_names: None, folder: Path
) -> None:
    os.mkfifo(folder / "pipe")
    # Once it is open, its one reader is closed before the command begins.
    done = command(*arguments, to=">&4", before="exec 3<>pipe 4>pipe 3<&-;")
    assert (done.returncode, done.stderr) == (1, b"")


def test_commands_may_follow_each_other_in_one_process() -> None:
    code = (
        "import sys\nfrom neptune_exporter.cli.streams import prepare_streams\n"
        "prepare_streams()\nprepare_streams()\nprint('out')\nprint('err', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\n", "err\n")

"""An answer of 200 is not proof: what `wandb sync` has sent counts once the server says that it has it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from wandb.apis.public.files import FILE_FRAGMENT
from wandb.apis.public.runs import RUN_FRAGMENT

from neptune_exporter.contract import SinkError
from neptune_exporter.testing import old_layout
from neptune_exporter.testing.commands import CommandLine, preload
from neptune_exporter.testing.loopback import Fault
from neptune_exporter.toolkit.failpoints import VARIABLE
from neptune_exporter_wandb import arrival
from neptune_exporter_wandb import server as asking
from neptune_exporter_wandb.arrival import StoredFile, StoredRun, WrittenRun
from neptune_exporter_wandb.loader import WandbLoader

from .server import KEY, WandbServer
from .test_sync import _load, check_sent
from .test_sync import server as server  # a fixture

preload("neptune_exporter_wandb.loader")
LOGIN_PAGE = b"<html>Sign in</html>"
BODIES = {"html": LOGIN_PAGE, "empty": b"", "other": b'{"success":true}'}
ROWS_OF = "wandb-history.jsonl"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrival, "SHOWN_WITHIN", 0.0)


SWALLOWED: Mapping[str, tuple[Callable[[bytes], Fault], str]] = {
    "every file": (lambda body: Fault("/upload/", body=body, status=200, times=1_000), "the file '"),
    "a file": (
        lambda body: Fault("/upload/.*/model.bin", body=body, status=200),
        "lacks the file 'model.bin':",
    ),
    "rows": (lambda body: Fault("file_stream", body=body, status=200, times=1_000), "3,008 of 3,008 rows"),
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("what", "body"),
    [(what, body) for what in SWALLOWED for body in BODIES if body == "html" or what == "every file"],
)
def test_what_something_before_the_server_swallows_is_sent_again(
    server: WandbServer, tmp_path: Path, what: str, body: str
) -> None:
    fault, named = SWALLOWED[what]
    server.fail(fault(BODIES[body]))
    with pytest.raises(SinkError, match=r"reported no error, but W&B lacks .*a login page in front") as error:
        _load(tmp_path / "one")
    assert named in str(error.value)
    server.faults.clear()
    folder = "two" if what == "a file" else "one"  # also from a machine that has not sent it
    _, again = _load(tmp_path / folder)
    assert not again.already_loaded
    ((_, run),) = server.runs.items()
    check_sent(run)
    assert _load(tmp_path / folder)[1].already_loaded
    assert not list((tmp_path / folder).glob("wandb/unsent-*"))


def test_a_server_that_registers_files_later_is_waited_for(
    server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrival, "_ASK_EVERY", 0.01)
    answered = []
    whole = server._run_and_files

    def late(given: dict[str, Any]) -> dict[str, Any]:
        answer = whole(given)
        answered.append(answer)
        for edge in (answer["project"]["run"] or {"files": {"edges": ()}})["files"]["edges"]:
            if len(answered) < 9:
                edge["node"] |= {"sizeBytes": "0", "md5": None}
        return answer

    monkeypatch.setattr(server, "_run_and_files", late)
    assert not _load(tmp_path)[1].already_loaded
    assert len(answered) > 9


def test_a_server_that_lists_no_files_is_not_taken_for_one_that_has_them(
    server: WandbServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.lists_files = False
    for already in (False, True):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert _load(tmp_path)[1].already_loaded is already
        (line,) = [r.getMessage() for r in caplog.records if "could not be asked" in r.getMessage()]
        assert line.startswith(f"files were sent; {server.url} could not be asked")


def test_the_fields_are_those_that_wandb_itself_asks_for() -> None:
    files = ("files(", "edges", "node", "name", "sizeBytes", "md5", "pageInfo", "endCursor", "hasNextPage")
    for fragment, fields in ((RUN_FRAGMENT, ("state", "historyLineCount")), (FILE_FRAGMENT, files)):
        assert all(field in fragment and field in asking._RUN_AND_FILES for field in fields)


HERE = WrittenRun(5, {})
THERE = StoredRun("finished", 5, {})
MD5 = "XUFAKrxLKna5cZ2REBfFkg=="  # of "hello", in base64


@pytest.mark.parametrize(
    ("found", "lacking"),
    [
        (None, "the run"),
        (THERE, "the file 'a'"),
        (replace(THERE, files={"a": StoredFile(0, "")}), "the file 'a'"),
        (replace(THERE, files={"a": StoredFile(4, "")}), "the file 'a' (4 of 5 bytes)"),
        (replace(THERE, files={"a": StoredFile(5, "AAAA")}), "the file 'a' (it has another content)"),
        (replace(THERE, files={"a": StoredFile(5, MD5)}), ""),
        (replace(THERE, files={"a": StoredFile(5, "")}), ""),
        (replace(THERE, files=None), ""),
        (StoredRun("running", 3, None), "the end of the run, 2 of 5 rows"),
    ],
)
def test_what_is_lacking(tmp_path: Path, found: StoredRun | None, lacking: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"hello")
    assert replace(HERE, files={"a": path}).lacking(found, contents=True) == lacking


def test_many_files_that_are_lacking_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    here = replace(HERE, files={f"{n}": tmp_path / "a" for n in range(1_003)})
    assert here.lacking(THERE, contents=False).endswith("the file '2', and 1,000 more files")


# A folder that is rewritten, as it was damaged before anything had compared it.


@pytest.fixture
def damaged(server: WandbServer, tmp_path: Path) -> CommandLine:
    """Commands in a folder whose run was sent, and then damaged: the folder, and a row in W&B."""
    shape = old_layout.Shape(metrics=3, steps=20, parameters=2, lines=2, histograms=1, files=2)
    old_layout.standard(tmp_path / "exports/data", tmp_path / "exports/files", runs=1, shape=shape)
    variables = {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY, "WANDB_ERROR_REPORTING": "false"}
    command_line = CommandLine(tmp_path, variables)
    command_line.run("load", "--loader=wandb", "--no-verify")
    ((_, run),) = server.runs.items()
    (lines,) = [run.lines[ROWS_OF]]
    lines[0] = json.dumps({**json.loads(lines[0]), "damaged": 1})
    next((tmp_path / "wandb").glob("*/files/samples/*.png")).unlink()
    return command_line


@pytest.mark.skipif(os.name == "nt", reason="there a process cannot be killed so")
def test_a_kill_before_a_rewritten_folder_is_sent_sends_it_next_time(
    server: WandbServer, damaged: CommandLine
) -> None:
    armed = replace(damaged, environment={**damaged.environment, VARIABLE: "wandb.before-sending"})
    sent = len(server.requests)
    armed.run("load", "--loader=wandb", expect=-9)
    assert not [r for r in server.requests[sent:] if "file_stream" in r.path]
    assert "1 run loaded" in damaged.run("load", "--loader=wandb").output
    ((_, run),) = server.runs.items()
    assert not any("damaged" in row for row in run.rows)
    assert "1 was there already" in damaged.run("load", "--loader=wandb").output


def test_an_end_before_a_damaged_folder_is_rewritten_sends_it_next_time(
    server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as losing:
        losing.setattr(WandbLoader, "file", lambda *_: None)
        _load(tmp_path)

    def ends(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as killing, pytest.raises(KeyboardInterrupt):
        killing.setattr(WandbLoader, "begin", ends)
        _load(tmp_path)
    ((_, run),) = server.runs.items()
    content = {"model.bin": b"weights"}
    run.files |= content | dict.fromkeys(
        ("plots_step_0.png", "plots_step_0.bin"), b"\x89PNG\r\n\x1a\n" + bytes(20)
    )
    assert not _load(tmp_path)[1].already_loaded
    check_sent(run)

"""A token that was given in whatever way is found nowhere afterwards."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import Result

from neptune_exporter.contract import AttributeFailure, RunDone, SourceError
from neptune_exporter.model import AttributeType, RunKey

Run = Callable[..., Result]
CANARY = "canary/t0ken+4711=="


def texts_below(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()


class Chatty:
    """A client's own log handler, as Neptune's clients install them."""

    def __init__(self, path: Path) -> None:
        self.log = logging.getLogger("chatty.client")
        self.log.propagate = False
        self.log.setLevel(logging.DEBUG)
        self.handler = logging.FileHandler(path)
        self.handler.setFormatter(logging.Formatter("%(message)s"))
        self.log.addHandler(self.handler)


@pytest.fixture
def chatty(tmp_path: Path) -> Iterator[Chatty]:
    client = Chatty(tmp_path / "chatty.log")
    yield client
    client.log.removeHandler(client.handler)
    client.handler.close()


@pytest.mark.parametrize("way", ["flag", "variable", "vendor", "toml", "file", "stdin"])
def test_the_canary_is_nowhere(
    way: str,
    run: Run,
    tracker: ModuleType,
    folder: Path,
    tmp_path: Path,
    chatty: Chatty,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Leaky(type(tracker.source)):  # type: ignore[misc]
        """Says its token wherever it can."""

        def read(self, group: Any, files: Any) -> Iterator[Any]:
            chatty.log.debug("Authorization: Bearer %s", CANARY)
            logging.getLogger("some.library").warning("GET /?token=%s", CANARY)
            try:
                raise ValueError(f"refused {CANARY!r}")
            except ValueError:
                chatty.log.exception("with a traceback")
                logging.getLogger("some.library").exception("with a traceback")
            run_key = group[0].run.key
            yield AttributeFailure(run_key, "lr", AttributeType.FLOAT, f"401 for {CANARY}", 3)
            yield RunDone(run_key)  # so that its receipt keeps the failure
            raise SourceError(f"the server does not like {CANARY}")

        def runs(self, project_id: str, selection: Any) -> Iterator[Any]:
            yield from super().runs(project_id, selection)
            if project_id == "acme/text":
                raise SourceError(f"cannot list with {CANARY}")

    tracker.source = Leaky(
        [tracker.a_run("RUN-1"), tracker.a_run("RUN-2"), tracker.a_run("EXP-2", "acme/text")]
    )
    arguments = ["export", "--exporter", "tracker", "-vv", "--log-file", "run.log", "--json"]
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    if way == "flag":
        arguments += ["--api-token", CANARY]
    elif way == "variable":
        monkeypatch.setenv("NEPTUNE_EXPORTER_TRACKER_TOKEN", CANARY)
    elif way == "vendor":
        monkeypatch.setenv("TRACKER_TOKEN", CANARY)
    elif way == "toml":
        (secrets / "x.toml").write_text(f"[tracker]\ntoken = '{CANARY}'\n")
        arguments += ["--config", str(secrets / "x.toml")]
    elif way == "file":
        (secrets / "token").write_text(CANARY)
        arguments += ["--api-token", f"@{secrets / 'token'}"]
    else:
        arguments += ["--api-token", "-"]
    result = run(*arguments, input=f"{CANARY}\n" if way == "stdin" else None)
    assert tracker.made[-1].token.reveal() == CANARY
    assert CANARY not in result.output
    assert "***" in result.stderr
    assert result.stdout, result.stderr
    document = json.loads(result.stdout)
    assert any("***" in failure["message"] for failure in document["failures"])
    assert any("***" in (project["error"] or "") for project in document["projects"])
    assert document["projects"][1]["exported"] == 1
    assert Path(document["error_report"]).read_text().count("***") >= 2
    chatty_lines = (tmp_path / "chatty.log").read_text()
    assert "Bearer ***" in chatty_lines
    assert "refused '***'" in chatty_lines
    assert "refused '***'" in (folder / "run.log").read_text()
    for path, content in texts_below(tmp_path):
        if secrets not in path.parents:
            assert CANARY.encode() not in content, path


def test_help_and_errors_show_no_value(
    run: Run, tracker: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEPTUNE_EXPORTER_TRACKER_TOKEN", CANARY)
    monkeypatch.setenv("TRACKER_KEY", CANARY)
    for arguments in (
        ["export", "--help"],
        ["plugins", "settings"],
        ["plugins", "settings", "--json"],
        ["export", "--exporter", "tracker", "--tracker-page", "x", "--api-token", CANARY],
        ["load", "--loader", "tracker", "--tracker-api-key", CANARY],
    ):
        assert CANARY not in run(*arguments).output


def start_hanging(
    tracker: ModuleType, folder: Path, *more: str, **environ: str
) -> tuple[subprocess.Popen[str], str]:
    """A process that waits in the middle of an export; returns it, and what it wrote then."""
    mark = folder / "mark.txt"
    site = Path(str(tracker.__file__)).parent
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "neptune_exporter", "export", "--exporter", "tracker"),
            *("--tracker-hang", str(mark), *more),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not mark.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process, mark.read_text()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
@pytest.mark.parametrize("form", [("--api-token", CANARY), (f"--api-token={CANARY}",)])
def test_a_token_given_as_a_flag_does_not_stay_in_the_process_list(
    form: tuple[str, ...], tracker: ModuleType, folder: Path
) -> None:
    process, told = start_hanging(tracker, folder, *form)
    try:
        assert told == f"{process.pid} {CANARY}"  # the plugin got it
        arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert b"--api-token" in arguments
        assert CANARY.encode() not in arguments
        assert CANARY.encode() not in Path(f"/proc/{process.pid}/environ").read_bytes()
    finally:
        process.kill()
        process.communicate()


def test_an_interrupted_job_says_how_to_go_on(tracker: ModuleType, folder: Path) -> None:
    process, _ = start_hanging(tracker, folder)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert err.strip() == "interrupted; run the same command again to go on"


def test_the_key_of_one_run(tracker: ModuleType) -> None:
    """The canary may be part of data, which is never changed: only messages are."""
    from neptune_exporter.cli.output import plain
    from neptune_exporter.redaction import remember

    remember("acme/vision-secret")
    failure = AttributeFailure(RunKey("acme/vision-secret", "RUN-1"), "lr", None, "for acme/vision-secret")
    record = plain(failure)
    assert record["run"]["project_id"] == "acme/vision-secret"
    assert record["message"] == "for ***"

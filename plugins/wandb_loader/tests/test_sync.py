"""`wandb sync`, as installed, sends our folders to a server on loopback; wandb's own reader reads them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from wandb import __version__ as wandb_version

from neptune_exporter.contract import (
    AuthenticationError,
    LoadedRun,
    LoadOptions,
    SinkError,
    UsageError,
    Verdict,
)
from neptune_exporter.model import RunKey
from neptune_exporter.testing import MemoryRun, SampleHistogram, SampleRun
from neptune_exporter.testing.loopback import Fault, LoopbackServer, Response
from neptune_exporter.testing.runs import (
    FIRST_TIME,
    SampleFile,
    file,
    file_series,
    float_series,
    histogram_series,
    parameter,
    string_series,
)
from neptune_exporter.testing.sink_checks import load_runs
from neptune_exporter_wandb.loader import WandbLoader, connected
from neptune_exporter_wandb.rows import STEP
from neptune_exporter_wandb.settings import WandbSettings

from .reading import folder_of
from .server import KEY, StoredRun, WandbServer

STEPS = [(Decimal("0.5"), 1.0), (7, 2.0), (7, float("nan")), (-3, float("inf")), (2**40, 5.0)]
RUN = SampleRun(
    RunKey("acme/vision", "RUN-1"),
    (
        parameter("sys/creation_time", FIRST_TIME),
        parameter("sys/name", "first"),
        parameter("sys/tags", ["a", "b"]),
        parameter("lr", 0.1),
        float_series("a/b", STEPS),
        float_series("a_b", [(n, float(n)) for n in range(3_000)]),
        string_series("monitoring/1/stdout", [(0, "one"), (1, "two\n")]),
        histogram_series("h", [(0, SampleHistogram((0.0, 1.0, 4.0), (3.0, 5.0)))]),
        file("model", b"weights", ".bin"),
        file_series("plots", [(0, SampleFile(b"\x89PNG\r\n\x1a\n" + bytes(20), ".png"))]),
    ),
)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    from wandb.sdk import wandb_setup

    with WandbServer() as server:
        for name, value in {
            "WANDB_BASE_URL": server.url,
            "WANDB_API_KEY": KEY,
            "WANDB_ERROR_REPORTING": "false",
            "HOME": str(tmp_path),
            "NETRC": str(tmp_path / "netrc"),
            "WANDB_CONFIG_DIR": str(tmp_path / "config"),
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(wandb_setup, "_singleton", None)  # it has read the variables before
        yield server


def _load(path: Path, **settings: Any) -> tuple[WandbLoader, LoadedRun]:
    sink = connected(WandbSettings(path=path, **settings), LoadOptions())
    return sink, load_runs(sink, [MemoryRun(RUN)])[RUN.key]


def check_sent(run: StoredRun, console: Sequence[str] = ("one", "two")) -> None:
    rows = run.rows
    found = [(float(row["neptune_step"]), float(row["a/b"])) for row in rows if "a/b" in row]
    assert repr(found) == repr(sorted(((float(s), v) for s, v in STEPS), key=lambda point: point[0]))
    assert [row["a_b"] for row in rows if "a_b" in row] == [float(n) for n in range(3_000)]
    first = next(row for row in rows if row.get("a_b") == 1.0)
    assert first["_timestamp"] == FIRST_TIME.timestamp() + 1
    assert [row["_step"] for row in rows] == list(range(len(rows)))
    assert run.fields["displayName"] == "first"
    assert run.fields["tags"] == ["a", "b"]
    assert run.config["lr"] == 0.1
    assert run.config["neptune"]["run_id"] == "RUN-1"
    assert run.files["model.bin"] == b"weights"
    (image,) = [row["plots"] for row in rows if "plots" in row]
    assert run.files[image["path"]].startswith(b"\x89PNG")
    (table,) = [row["monitoring/1/stdout"] for row in rows if "monitoring/1/stdout" in row]
    assert [line[2] for line in json.loads(run.files[table["path"]])["data"]] == ["one", "two\n"]
    assert [line.split(" ", 1)[-1] for line in run.lines["output.log"].values()] == list(console)
    assert [row["h"]["values"] for row in rows if "h" in row] == [[3, 5]]
    metrics = run.config["_wandb"]["m"]
    axes = {m["1"]: metrics[m["5"] - 1]["1"] for m in metrics if "5" in m}
    assert {name: axes[name] for name in ("a/b", "a_b", "h")} == dict.fromkeys(("a/b", "a_b", "h"), STEP)
    assert run.exit_code == 0


def test_wandb_sync_sends_every_row_and_file(server: WandbServer, tmp_path: Path) -> None:
    _, loaded = _load(tmp_path, mode="offline")
    folder = folder_of(tmp_path / "wandb", loaded.target_id)
    done = subprocess.run(
        [sys.executable, "-m", "wandb", "sync", str(folder)], capture_output=True, text=True, timeout=120
    )
    assert "ERROR" not in done.stdout + done.stderr
    ((_, run),) = server.runs.items()
    check_sent(run)


def test_online_sends_a_run_once_and_completes_a_part(server: WandbServer, tmp_path: Path) -> None:
    """The second load, from another machine, asks the server and sends nothing."""
    _, loaded = _load(tmp_path / "one")
    (((entity, project, name), run),) = server.runs.items()
    check_sent(run)
    assert (entity, project, name) == ("acme", "acme-vision", loaded.target_id.partition(".")[0])
    assert loaded.url == f"{server.url}/acme/acme-vision/runs/{name}"
    assert not loaded.already_loaded
    sent = len(server.requests)
    _, again = _load(tmp_path / "two")
    assert again.already_loaded
    assert not [r for r in server.requests[sent:] if "file_stream" in r.path]
    assert len(server.runs) == 1
    # A send that was killed: the run has not ended, and rows are missing.
    run.exit_code = None
    del run.lines["wandb-history.jsonl"][len(run.rows) - 1]
    _, completed = _load(tmp_path / "two")
    assert not completed.already_loaded
    check_sent(run)


def test_what_is_missing_in_a_folder_is_written_and_sent_again(
    server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as losing:
        losing.setattr(WandbLoader, "file", lambda *_: None)
        _load(tmp_path)
    _, again = _load(tmp_path)
    assert not again.already_loaded
    ((_, run),) = server.runs.items()
    check_sent(run)
    assert _load(tmp_path)[1].already_loaded


def test_a_refused_key_is_one_line(
    server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "f" * 40
    monkeypatch.setenv("WANDB_API_KEY", other)
    with pytest.raises(AuthenticationError, match="refused the API key") as error:
        _load(tmp_path)
    assert other not in str(error.value)


@pytest.mark.parametrize("content", ["<html>Sign in</html>", "[]", '{"errors": [{"message": "down"}]}'])
def test_what_is_not_wandb_is_one_line(
    server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    """An answer of 200 is no proof: a portal or proxy may have given it."""
    with LoopbackServer() as portal:
        portal.route("POST", "/graphql", lambda request: Response.of_text(content))
        monkeypatch.setenv("WANDB_BASE_URL", portal.url)
        with pytest.raises(SinkError, match="does not answer as W&B does: ") as error:
            _load(tmp_path)
    assert content in str(error.value)


def test_an_answer_that_is_cut_off_is_one_line(server: WandbServer, tmp_path: Path) -> None:
    server.fail(Fault("/graphql", cut_after=3, after_handling=True))
    with pytest.raises(SinkError, match=r"^W&B at .*: the server .* cannot be reached: .*WANDB_BASE_URL"):
        _load(tmp_path)


def test_online_without_a_key_is_one_line(
    server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    with pytest.raises(UsageError, match="wandb login"):
        _load(tmp_path, mode="online")


def test_what_is_no_key_is_a_wrong_setting(
    server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "shortkey")
    with pytest.raises(UsageError, match="at least 40 characters, this one has 8") as error:
        _load(tmp_path)
    assert "shortkey" not in str(error.value)


@pytest.mark.parametrize("key", ["k" * 40 + "\n", "k" * 20 + " " + "k" * 20, "é" * 40, "a b-" + "k" * 40])
def test_a_key_with_a_character_that_none_has_is_a_wrong_setting(
    server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", key)
    with pytest.raises(UsageError, match="holds a space, a line end or another character") as error:
        _load(tmp_path)
    assert key.strip() not in str(error.value)


@pytest.mark.parametrize("address", ["foo://bar", "bar"])
def test_an_address_that_wandb_does_not_take_is_a_wrong_setting(
    server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", address)
    with pytest.raises(UsageError, match="base_url"):
        _load(tmp_path)


def test_without_a_key_a_load_is_offline(
    server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    sink, _ = _load(tmp_path)
    assert "wandb sync" in sink.closing_report()["to send the runs"]  # type: ignore[operator]
    assert not server.requests


def test_a_key_of_netrc_is_found(
    server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1:{server.port} login user password {KEY}\n")
    (tmp_path / "netrc").chmod(0o600)
    _, loaded = _load(tmp_path)
    assert loaded.url is not None


def test_a_server_that_is_not_there_is_one_line(server: WandbServer, tmp_path: Path) -> None:
    server.stop()
    with pytest.raises(SinkError, match="cannot be reached"):
        _load(tmp_path)


def test_what_wandb_sync_could_not_send_is_reported(server: WandbServer, tmp_path: Path) -> None:
    """The run is refused: a failure with wandb's own words, and the folder stays for the next load."""
    server.fail(Fault("file_stream", status=400, times=1_000))
    with pytest.raises(SinkError, match="wandb sync"):
        _load(tmp_path)
    assert list((tmp_path / "wandb").glob("offline-run-*"))


needs_inspect = pytest.mark.skipif(
    tuple(map(int, wandb_version.split(".")[:2])) < (0, 31), reason="`wandb leet inspect` is new in 0.31"
)


@needs_inspect
def test_a_full_verification_asks_wandbs_own_reader_once(tmp_path: Path) -> None:
    sink, loaded = _load(tmp_path, mode="offline")
    item = "run as wandb's own reader sees it"
    (line,) = [c for c in sink.verify(MemoryRun(RUN), full=True) if c.item == item]
    run_id = loaded.target_id.partition(".")[0]
    assert (line.verdict, line.found) == (Verdict.EQUAL, f"{run_id}, last row 3007, ended")
    assert item not in {c.item for c in sink.verify(MemoryRun(RUN), full=True)}


@needs_inspect
def test_wandbs_own_reader_reads_every_record(tmp_path: Path) -> None:
    """`wandb leet inspect`. It shows NaN as a text, so values are compared by the reader of the tests."""
    _, loaded = _load(tmp_path, mode="offline")
    folder = folder_of(tmp_path / "wandb", loaded.target_id)
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["num"] for record in found] == list(range(1, len(found) + 1))
    assert (found[0]["type"], found[-1]["type"]) == ("header", "exit")
    rows = [record["history"]["item"] for record in found if record["type"] == "history"]
    assert [row["a_b"] for row in rows if "a_b" in row] == list(range(3_000))
    (run,) = [record["run"] for record in found if record["type"] == "run"]
    assert run["run_id"] == loaded.target_id.partition(".")[0]

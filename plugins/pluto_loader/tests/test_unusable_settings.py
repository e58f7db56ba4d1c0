"""What cannot be used is told once, in one line that says which option it is, before anything is sent."""

from __future__ import annotations

import pytest

from neptune_exporter.contract import UsageError
from neptune_exporter.model import RunKey
from neptune_exporter.testing.commands import CommandLine
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import SampleRun, parameter
from neptune_exporter_pluto.service.credentials import find_endpoints
from neptune_exporter_pluto.settings import PlutoSettings
from neptune_exporter_pluto.state.journal import Journal
from neptune_exporter_pluto_server import RehearsalServer

from .conftest import MakeSink
from .test_commands import standard

LOAD = ("load", "--loader", "pluto")
VERIFY = ("verify", "--loader", "pluto")


@pytest.mark.parametrize("command", [LOAD, VERIFY])
@pytest.mark.parametrize(
    ("option", "place"),
    [
        ("--pluto-base-dir", "a-file"),
        ("--pluto-base-dir", "a-file/below"),
        ("--pluto-loaded-cache", "a-folder"),
        ("--pluto-loaded-cache", "a-file/list.txt"),
    ],
)
def test_a_place_in_which_nothing_can_be_written(
    command_line: CommandLine, server: RehearsalServer, command: tuple[str, ...], option: str, place: str
) -> None:
    standard(command_line.folder, runs=3)
    (command_line.folder / "a-file").write_text("")
    (command_line.folder / "a-folder").mkdir()
    (line,) = command_line.run(*command, option, place, expect=2).output.splitlines()
    assert line.startswith(f"error: {option}: ") and place.split("/")[0] in line
    assert not server.requests


def test_an_error_of_the_disk_is_one_of_the_run(make_sink: MakeSink) -> None:
    sink = make_sink()
    run = SampleRun(RunKey("acme/vision", "RUN-1"), (parameter("lr", 0.1),))
    target = sink.session.target("acme/vision")
    folder = target.folder(sink.session.settings.base_dir)
    Journal.of(sink.session.settings.base_dir, target, run.key).open().close()
    (journal,) = folder.iterdir()
    journal.unlink()
    journal.mkdir()
    for attempt in (lambda: sink.load(MemoryRun(run), None), lambda: list(sink.verify(MemoryRun(run)))):
        with pytest.raises(IsADirectoryError, match=r"RUN-1-\w+\.jsonl"):
            attempt()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"host": "localhost:3001"}, "without a port, not 'localhost:3001'"),
        ({"host": "a:b"}, "without a port, not 'a:b'"),
        ({"host": "http://a:b"}, "PLUTO_URL_API: this is not the address"),
        ({"url_api": "nowhere", "url_ingest": "http://a"}, "PLUTO_URL_API: 'nowhere' is not the address"),
        ({"url_api": "http://a", "url_ingest": "http:///b"}, "PLUTO_URL_INGEST: 'http:///b' is not"),
    ],
)
def test_an_address_that_is_none(settings: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError) as error:
        find_endpoints(PlutoSettings(**settings))  # type: ignore[arg-type]
    assert told in str(error.value)


def test_an_ipv6_host_has_colons() -> None:
    assert find_endpoints(PlutoSettings(host="[::1]")).api == "http://[::1]:3001"


@pytest.mark.parametrize(
    "variable", ["BATCH_ROWS", "LOG_EVERY", "FLUSH_EVERY", "FILE_CHUNK_SIZE", "FILE_CHUNK_SLEEP", "TIMEOUT"]
)
def test_more_than_a_computer_can_count(command_line: CommandLine, variable: str) -> None:
    standard(command_line.folder)
    name = f"NEPTUNE_EXPORTER_PLUTO_{variable}"
    (line,) = command_line.run(*LOAD, expect=2, **{name: "1" + "0" * 26}).output.splitlines()
    assert line.startswith("error: ") and name in line and "must be a" in line

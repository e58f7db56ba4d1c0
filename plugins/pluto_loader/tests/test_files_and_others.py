"""Files beside the texts of string series, and beside files that come and go."""

from __future__ import annotations

from neptune_exporter.model import RunKey
from neptune_exporter.testing.commands import CommandLine
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import SampleRun, file, string_series
from neptune_exporter_pluto_server import RehearsalServer

from .conftest import MakeSink
from .datasets import export

KEY = RunKey("acme/vision", "RUN-1")


def test_a_file_gets_not_the_name_of_the_text_of_all_string_series(
    server: RehearsalServer, command_line: CommandLine
) -> None:
    own = file("logs/stdout", b"the user's own file", "stdout.txt")
    export(command_line.folder, SampleRun(KEY, (string_series("notes", [(0, "a"), (1, "b")]), own)))
    for _ in range(2):
        command_line.run("load", "--loader", "pluto")
    command_line.run("verify", "--loader", "pluto", "--full")
    (run,) = server.runs.by_id.values()
    names = {row["fileName"] for row in server.store.file_rows(server.key(run.id))}
    assert names == {"stdout.txt", "stdout-2.txt"}


def test_files_that_are_missing_are_told_apart_when_one_is_there_again(make_sink: MakeSink) -> None:
    """One comes back while another goes; and beyond a cap none counts."""
    run = SampleRun(KEY, tuple(file(f"f{n}", b"%d" % n, ".bin") for n in range(6)))

    def lacking(*paths: str) -> MemoryRun:
        return MemoryRun(run, renamed_files=dict.fromkeys(paths, "gone.bin"))

    for cap, before, now in ((0, ("f0",), ("f1",)), (2, ("f0", "f5"), ("f5",))):
        sink = make_sink(max_files_per_run=cap, base_dir=make_sink().session.settings.base_dir / str(cap))
        sink.load(lacking(*before), None)
        assert all(line.verdict.value in "=~?" for line in sink.verify(lacking(*before)))
        assert sink.load(lacking(*before), None).already_loaded
        assert not sink.load(lacking(*now), None).already_loaded

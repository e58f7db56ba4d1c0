"""What a person is told who takes the exporter of one Neptune for a server of the other."""

from __future__ import annotations

from neptune_exporter.testing.commands import CommandLine
from neptune_exporter_neptune2_server import FakeProject, Neptune2Server


def test_a_server_of_2x_is_named_to_who_takes_it_for_3x(command_line: CommandLine) -> None:
    with Neptune2Server([FakeProject("team", "cats")]) as server:
        token = {"NEPTUNE_API_TOKEN": server.tokens.api_token}
        export = ("export", "--exporter", "neptune3", "-p", "team/cats", "--neptune3-retry-seconds", "0")
        for command in (export, ("projects", "--exporter", "neptune3")):
            output = command_line.run(*command, expect=1, **token).output
            assert "HTTP 404" in output
            assert "is this a server of Neptune 2.x? Then use --exporter neptune2" in output

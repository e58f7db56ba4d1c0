"""Projects without their workspace are those that Pluto's own stand-in for `neptune_query` looks for."""

from __future__ import annotations

import pytest

from neptune_exporter.contract import UsageError
from neptune_exporter.model import RunKey, SysAttribute
from neptune_exporter.testing.exported import MemoryRun
from neptune_exporter.testing.runs import SampleRun, float_series, parameter
from neptune_exporter_pluto_server import RehearsalServer

from .conftest import MakeSink, settings_for

RUN = SampleRun(
    RunKey("acme/vision", "RUN-1"),
    (parameter(SysAttribute.NAME, "first"), parameter("lr", 0.5), float_series("loss", [(0, 1.0), (1, 0.5)])),
)


def test_the_stand_in_for_neptune_query_finds_the_runs(
    server: RehearsalServer, make_sink: MakeSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pluto.compat.neptune_query import runs  # the real one, of pluto-ml
    from pluto.query import Client

    loaded = make_sink(without_workspace=True).load(MemoryRun(RUN), None)
    assert not loaded.losses
    run = server.runs.by_id[int(loaded.target_id)]
    assert run.project.name == "vision"
    with Client(api_token=server.api_key, host=server.url) as client:
        monkeypatch.setattr(runs, "_client", client)
        assert runs.list_runs("acme/vision") == [run.display_id]
        assert runs.fetch_runs_table("acme/vision", run.display_id, "lr")["lr"].tolist() == [0.5]
        assert runs.fetch_metrics("acme/vision", run.display_id)["loss"].tolist() == [1.0, 0.5]


def test_runs_of_one_name_in_two_workspaces_stay_apart(server: RehearsalServer, make_sink: MakeSink) -> None:
    sink = make_sink(without_workspace=True)
    for project in ("acme/vision", "other/vision"):
        sink.load(MemoryRun(SampleRun(RunKey(project, "RUN-1"), (parameter("of", project),))), None)
    assert [run.project.name for run in server.runs.by_id.values()] == ["vision", "vision"]
    assert [run.config["of"] for run in server.runs.by_id.values()] == ["acme/vision", "other/vision"]


def test_both_names_at_once_are_refused(server: RehearsalServer) -> None:
    with pytest.raises(UsageError, match="exclude"):
        settings_for(server, project_name="all", without_workspace=True)

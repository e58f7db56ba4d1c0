"""A local Pluto for the journey, and what it holds of a run, by its own client."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from counting import ROWS, Numbers

from neptune_exporter_pluto_server import RehearsalServer

NAME = "Pluto"
REHEARSAL = ("A rehearsal: a local Pluto is started, loaded, read back, and gone.", "--pluto-rehearse")


@contextmanager
def started(folder: Path) -> Iterator[InPluto]:
    """A Pluto that stays up, so that its own client can read it; the environment says where."""
    with RehearsalServer() as server:
        os.environ.update(server.environment())
        yield InPluto(server)


class InPluto:
    """Pluto's own client reads what the API serves; the rest is asked of the local server's store.

    Pluto has no read route for histograms and string series, and its steps are
    whole: they are divided by the multiplier that the run's config names.
    """

    def __init__(self, server: RehearsalServer) -> None:
        self._server = server

    def runs(self, project: str) -> dict[str, Numbers]:
        """By the runs' ids in Neptune."""
        import pluto.query as query  # reads its addresses from the environment

        runs = [query.get_run(project, r["id"]) for r in query.list_runs(project)]  # the list has no config
        names = {r["id"]: r["config"]["sys/neptune_exporter"]["run_id"] for r in runs}
        return {names[r["id"]]: self._numbers(query, project, r, names) for r in runs}

    def _numbers(self, query: Any, project: str, run: dict[str, Any], names: dict[int, str]) -> Numbers:
        config = run["config"]
        multiplier = float(config["sys/neptune_exporter"]["step_multiplier"])
        metrics = query.get_metrics(project, run["id"])
        key = self._server.key(run["id"])
        texts = {name for name, _ in config["sys/neptune_exporter"].get("texts", [])}
        files = [f for f in query.get_files(project, run["id"]) if f["logName"] not in texts]
        own = ("import:", "import_project:")
        return dict(
            zip(
                ROWS,
                [
                    sum(not k.startswith("sys/") for k in config),
                    len(metrics),
                    float(metrics["value"].sum()),
                    float(metrics["step"].sum()) / multiplier,
                    len(self._server.store.string_series(key)),
                    len(self._server.store.histograms(key)),
                    len(files),
                    sum(f["fileSize"] for f in files),
                    sorted(t for t in run["tags"] if not t.startswith(own)),
                    names.get(run["forkedFromRunId"]),
                ],
                strict=True,
            )
        )

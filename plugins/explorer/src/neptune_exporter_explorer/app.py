"""The server: pages from this package, answers from the dataset, nothing from elsewhere."""

from __future__ import annotations

import logging
import math
import socket
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from neptune_exporter.contract import DatasetView, NeptuneExporterError, UsageError
from neptune_exporter_explorer import details, files, pages
from neptune_exporter_explorer.answers import Json
from neptune_exporter_explorer.guard import Guard
from neptune_exporter_explorer.listing import Listing
from neptune_exporter_explorer.runs import OpenRuns, run_key
from neptune_exporter_explorer.series import Line, Series, View, pack
from neptune_exporter_explorer.table import RunsTable

_log = logging.getLogger(__name__)
Answer = Callable[[Request], Response]


def make_app(dataset: DatasetView, hosts: Collection[str], any_host: bool = False) -> Starlette:
    """The application, which reads the runs in a thread of its own.

    `hosts` and `any_host` are as in `Guard`.
    """
    runs = OpenRuns(dataset)
    table = RunsTable(runs)
    table.start()
    api = Api(runs, table)
    texts = {
        "dataset": api.dataset,
        "runs": api.listing.runs,
        "columns": api.listing.columns,
        "run": api.run,
        "attributes": api.attributes,
        "parameters": api.parameters,
        "texts": api.texts,
        "histograms": api.histograms,
        "files": api.files,
    }
    shorter = [Middleware(GZipMiddleware, minimum_size=4096, compresslevel=1)]
    routes = [
        *pages.routes(),
        *(Route(f"/api/{name}", answering(answer), middleware=shorter) for name, answer in texts.items()),
        Route("/api/points", answering(api.points)),  # numbers hardly get shorter
        Route("/file", answering(api.file)),
    ]
    middleware = [Middleware(Guard, hosts=hosts, any_host=any_host)]
    app = Starlette(routes=routes, middleware=middleware)
    app.state.table = table
    return app


def answering(function: Answer) -> Answer:
    """The function, with an answer in JSON for each error that it raises."""

    def answer(request: Request) -> Response:
        try:
            return function(request)
        except UsageError as error:
            return Json({"error": str(error)}, 400)
        except (NeptuneExporterError, OSError) as error:
            return Json({"error": str(error)}, 404)
        except Exception as error:  # noqa: BLE001 - a bug of ours fails this answer only, and the page says so
            _log.info("no answer to %s", request.url, exc_info=error)
            return Json({"error": f"internal error: {error!r}"}, 500)

    return answer


def number(request: Request, name: str) -> float | None:
    """A number of the address; None if it is not there. Raises UsageError if it is no number, or not a finite
    one."""
    text = request.query_params.get(name, "")
    try:
        found = float(text) if text else None
    except ValueError:
        found = math.nan
    if found is not None and not math.isfinite(found):
        raise UsageError(f"{name} is not a number: {text[:50]}")
    return found


class Api:
    """What the pages ask for."""

    def __init__(self, runs: OpenRuns, table: RunsTable) -> None:
        self._runs = runs
        self._table = table
        self._series = Series(runs)
        self.listing = Listing(runs, table)

    def dataset(self, request: Request) -> Response:
        """What the pages show, and how much of it has been read."""
        table, shown = self._table, self._runs.dataset
        rows = [row for row in table.rows if not row.gone]
        return Json(
            {
                "data_path": shown.data_path,
                "files_path": shown.files_path,
                "projects": sorted({row.key.project_id for row in rows}),
                "runs": len(rows),
                "complete": table.complete,
                "version": table.version,
                "problem": table.problem,
            }
        )

    def _run(self, request: Request) -> Any:
        return self._runs[run_key(request.query_params.get("run", ""))]

    def _each_run(self, request: Request, read: Callable[[str], object]) -> list[dict[str, str]]:
        """Read every run of the address; returns which cannot be read, and why."""
        errors = []
        for name in request.query_params.getlist("run"):
            try:
                read(name)
            except (NeptuneExporterError, OSError) as error:
                errors.append({"run": name, "message": str(error)})
        return errors

    def run(self, request: Request) -> Response:
        return Json(details.details(self._run(request), self._runs, self._table))

    def attributes(self, request: Request) -> Response:
        """The attributes of several runs, how many of the runs have each, and which runs cannot be read."""
        counts: Counter[tuple[str, str]] = Counter()

        def count(name: str) -> None:
            counts.update((a.path, a.type.value) for a in self._runs[run_key(name)].attributes())

        errors = self._each_run(request, count)
        found = [{"path": path, "type": kind, "runs": n} for (path, kind), n in sorted(counts.items())]
        return Json({"attributes": found, "errors": errors})

    def parameters(self, request: Request) -> Response:
        """The parameters of several runs, to compare them."""
        result = {}

        def add(name: str) -> None:
            found = self._runs.parameters(self._runs[run_key(name)])
            result[name] = {path: details.shown(parameter) for path, parameter in found.items()}

        errors = self._each_run(request, add)
        return Json({"runs": result, "errors": errors})

    def points(self, request: Request) -> Response:
        """The lines of one chart. If a run is damaged, only its own line is missing."""
        asked = request.query_params
        view = View(
            asked.get("x", "step"),  # type: ignore[arg-type]
            number(request, "low"),
            number(request, "high"),
            int(min(max(number(request, "buckets") or 400, 16), 10_000)),
            asked.get("inherited") == "1",
        )
        lines: list[Line] = []

        def add(name: str) -> None:
            lines.extend(self._series.lines(run_key(name), asked.get("attribute", ""), view))

        errors = self._each_run(request, add)
        return Response(pack(lines, errors), media_type="application/octet-stream")

    def texts(self, request: Request) -> Response:
        asked = request.query_params
        offset, limit = int(number(request, "offset") or 0), int(number(request, "limit") or 200)
        found = details.texts(
            self._run(request),
            asked.get("attribute", ""),
            asked.get("q", ""),
            asked.get("pattern") == "1",
            max(0, offset),
            min(limit, 5_000),
        )
        return Json(found)

    def histograms(self, request: Request) -> Response:
        return Json(details.histograms(self._run(request), request.query_params.get("attribute", "")))

    def files(self, request: Request) -> Response:
        return Json({"files": list(files.listed(self._run(request)))})

    def file(self, request: Request) -> Response:
        asked = request.query_params
        as_text = asked.get("text") == "1"
        return files.response(
            self._run(request), asked.get("path", ""), request.headers.get("range"), as_text
        )


class Server(uvicorn.Server):
    """Serves an application on a socket that is bound already. `started` is called as soon as requests are
    answered; from then on a signal ends the server in order."""

    def __init__(self, app: Starlette, started: Callable[[], object]) -> None:
        super().__init__(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off"))
        self._when_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._when_started()

"""The writing routes of the API service, `POST /api/…`, and the heartbeat.

Facts from pluto-server 3e89082, `web/server/routes/runs-openapi.ts` and `py/server.py`. What is in the
recording of the real services (tests/data) is as recorded.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from neptune_exporter.testing.loopback import LoopbackServer, Request, Response
from neptune_exporter_pluto_server.jsonb import UnstorableError, check_text, deep_merge, js_parse, stored
from neptune_exporter_pluto_server.runs import (
    LOG_TYPES,
    STATUSES,
    Run,
    change_status,
    more_than_one_group,
    owner_of_step,
)
from neptune_exporter_pluto_server.shapes import ApiError, Field, internal_error, read_body, refused
from neptune_exporter_pluto_server.state import KEY_PREFIXES, ORGANIZATION, State

MAX_TAGS = 50
MAX_NAME = 255
_MAX_DATE = 8.64e15
_LAST_STORED = 253402300799999
"""The end of 9999, which was stored; 8.64e15 was not. What is between them was not tried."""
_MAX_INDEXED = 2684
"""Bytes of a log name, compressed: an entry of an index of PostgreSQL has 2,704, some of them its own.
Recorded: 2,600 random ones are taken, 2,690 are not, 3,000 of one letter are."""

_TEXT = Field("string")
_OPTIONAL_TEXT = Field("string", optional=True, nullable=True)
_OPTIONAL_NUMBER = Field("number", optional=True, nullable=True)
_OPTIONAL_FLAG = Field("boolean", optional=True, nullable=True)
_OPTIONAL_TIME = Field("number", optional=True, nullable=True, minimum=0, maximum=_MAX_DATE, whole=True)
_RUN_ID = Field("number")

_CREATE = {
    "runName": _TEXT,
    "projectName": _TEXT,
    "externalId": Field("string", optional=True, nullable=True, min_length=1),
    "tags": Field("strings", optional=True, nullable=True, max_items=MAX_TAGS),
    "loggerSettings": _OPTIONAL_TEXT,
    "systemMetadata": _OPTIONAL_TEXT,
    "config": _OPTIONAL_TEXT,
    "createdAt": _OPTIONAL_TIME,
    "updatedAt": _OPTIONAL_TIME,
    "forkRunId": _OPTIONAL_NUMBER,
    "forkStep": _OPTIONAL_NUMBER,
    "inheritConfig": _OPTIONAL_FLAG,
    "inheritTags": _OPTIONAL_FLAG,
}
_RESUME = {
    "runId": Field("number", optional=True),
    "displayId": Field("string", optional=True),
    "externalId": Field("string", optional=True),
    "projectName": Field("string", optional=True),
}
_STATUS = {
    "runId": _RUN_ID,
    "status": Field("string", options=STATUSES),
    "statusMetadata": _OPTIONAL_TEXT,
    "loggerSettings": _OPTIONAL_TEXT,
    "statusUpdated": _OPTIONAL_TIME,
}
_LOG_NAME = {"runId": _RUN_ID, "logName": Field("strings"), "logType": Field("string", options=LOG_TYPES)}
_TAGS = {"runId": _RUN_ID, "tags": Field("strings", max_items=MAX_TAGS)}
_NOTES = {"runId": _RUN_ID, "notes": Field("string", nullable=True, max_length=1000)}
_CONFIG = {"runId": _RUN_ID, "config": _TEXT}

_SUCCESS = {"success": True}
Body = dict[str, Any]


def authorized(state: State, request: Request) -> None:
    """Raises ApiError: 401 as the API service words it."""
    parts = request.headers.get("authorization", "").split(" ")
    key = parts[1] if len(parts) > 1 else ""
    if not key:
        raise ApiError(Response.of_json({"error": "Unauthorized"}, 401))
    problem = "Invalid API key" if not key.startswith(KEY_PREFIXES) else state.keys.problem(key)
    if problem is not None:
        message = "Key not found" if problem == "unknown" else problem
        raise ApiError(Response.of_json({"error": "Unauthorized", "message": message}, 401))


class Api:
    """Registers its routes with a server."""

    def __init__(self, state: State) -> None:
        self._state = state

    def register(self, server: LoopbackServer) -> None:
        server.route("POST", "/api/slug", self._slug)
        for path, fields, handler in (
            ("create", _CREATE, self.create),
            ("resume", _RESUME, self.resume),
            ("status/update", _STATUS, self.update_status),
            ("logName/add", _LOG_NAME, self.add_log_names),
            ("tags/update", _TAGS, self.update_tags),
            ("notes/update", _NOTES, self.update_notes),
            ("config/update", _CONFIG, self.update_config),
        ):
            server.route("POST", f"/api/runs/{path}", self._route(fields, handler))
        server.route("POST", "/api/runs/trigger", self._trigger)

    def _route(
        self, fields: dict[str, Field], handler: Callable[[Body], Body]
    ) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            try:
                authorized(self._state, request)
                body = read_body(request, fields)
                with self._state.runs.lock:
                    return Response.of_json(handler(body))
            except ApiError as error:
                return error.response
            except UnstorableError:
                return internal_error().response

        return answer

    def _slug(self, request: Request) -> Response:
        try:
            authorized(self._state, request)
        except ApiError as error:
            return error.response
        return Response.of_json({"organization": {"slug": ORGANIZATION}})

    # Runs

    def create(self, body: Body) -> Body:
        state, now = self._state, self._state.now()
        tags = body.get("tags") or []
        if more_than_one_group(tags):
            raise refused("A run can have at most one group:* tag.", 400)
        created, updated = _time(body.get("createdAt"), now), _time(body.get("updatedAt"), now)
        project_name = body["projectName"]
        check_text(project_name)
        if len(project_name) > MAX_NAME:
            raise internal_error()
        project = state.runs.project(project_name, created, updated)
        external_id = body.get("externalId")
        existing = state.runs.find(project.name, external_id) if external_id else None
        if existing is not None:
            self._reopen(existing, body)
            return {**self._described(existing, True), "forkedFromRunId": None, "forkStep": None}
        parent = self._fork_parent(project.name, body)
        if state.settings.quota_exceeded:
            raise refused("Organization is at limit", 400)
        try:
            documents = {name: _document(body.get(name)) for name in _DOCUMENTS}
        except ValueError:
            raise refused("Invalid JSON format in request body", 400) from None
        config = documents["config"]
        if parent is not None and body.get("inheritConfig") is not False and parent.config is not None:
            inherited = parent.config if isinstance(parent.config, dict) else {}
            config = {**inherited, **config} if isinstance(config, dict) else parent.config
        if parent is not None and body.get("inheritTags") is True:
            tags = list(dict.fromkeys([*parent.tags, *tags]))
        try:
            for text in (body["runName"], external_id or "", *tags):
                check_text(text)
            kept, system_metadata, logger_settings = (
                stored(document)
                for document in (config, documents["systemMetadata"], documents["loggerSettings"])
            )
            unstorable = max(len(body["runName"]), len(external_id or "")) > MAX_NAME
        except UnstorableError:
            unstorable = True
        if unstorable or max(created, updated) > _LAST_STORED:
            project.next_number += 1  # the real one has taken the number by then
            raise refused("Failed to create run", 500)
        project.updated_at = now
        run = state.runs.add(project, body["runName"], external_id, created, updated)
        run.tags, run.config = list(tags), kept
        run.index(documents["config"])
        run.system_metadata, run.logger_settings = system_metadata, logger_settings
        if parent is not None:
            run.parent, run.fork_step = parent, int(body["forkStep"])
        return {
            **self._described(run, False),
            "forkedFromRunId": None if parent is None else parent.id,
            "forkStep": run.fork_step,
        }

    def _reopen(self, run: Run, body: Body) -> None:
        # name, tags and times of the request are ignored; its config is merged
        if run.terminal:
            change_status(run, "RUNNING", self._state.now(), source="resume")
        try:
            config = _document(body.get("config"))
        except ValueError:
            raise internal_error() from None
        if isinstance(config, dict):
            merged = deep_merge(run.config if isinstance(run.config, dict) else {}, config)
            run.config = stored(merged)
            run.index(merged)
            run.updated_at = self._state.now()

    def _fork_parent(self, project_name: str, body: Body) -> Run | None:
        parent_id, step = body.get("forkRunId"), body.get("forkStep")
        if not parent_id:
            return None
        if step is None:
            raise refused("forkStep is required when forkRunId is provided", 400)
        if not float(parent_id).is_integer() or not float(step).is_integer():
            raise internal_error()
        parent = self._state.runs.by_id.get(int(parent_id))
        if parent is None or parent.project.name != project_name:
            raise refused("Fork parent run not found in this project", 400)
        parent = owner_of_step(parent, int(step))
        last = self._state.store.last_step(self._state.key_of(parent))
        if last and step > last:
            raise refused(f"forkStep ({int(step)}) exceeds the parent run's max step ({last})", 400)
        return parent

    def resume(self, body: Body) -> Body:
        given = [name for name in ("runId", "displayId", "externalId") if name in body]
        if len(given) != 1:
            message = "Provide exactly one of: runId, displayId, or externalId"
            issue = {"code": "custom", "message": message, "path": []}
            raise ApiError(
                Response.of_json({"success": False, "error": {"issues": [issue], "name": "ZodError"}}, 400)
            )
        runs = self._state.runs
        run: Run | None
        if "runId" in body:
            run = self._state.run(body["runId"])
        elif "displayId" in body:
            prefix, _, number = body["displayId"].partition("-")
            if not prefix or not number.isdigit():
                raise refused("Invalid displayId format. Expected PREFIX-NUMBER (e.g., 'MMP-1')", 400)
            run = runs.find_displayed(body["displayId"])
        else:
            if not body.get("projectName"):
                raise refused("projectName is required when using externalId", 400)
            run = runs.find(body["projectName"], body["externalId"])
        if run is None:
            raise refused("Run not found", 404)
        if run.terminal:
            change_status(run, "RUNNING", self._state.now(), source="resume")
        return self._described(run, True)

    def _described(self, run: Run, resumed: bool) -> Body:
        return {
            "runId": run.id,
            "number": run.number,
            "displayId": run.display_id,
            "projectName": run.project.name,
            "organizationSlug": ORGANIZATION,
            "url": run_url(self._state, run),
            "resumed": resumed,
        }

    def update_status(self, body: Body) -> Body:
        run = self._state.run(body["runId"])
        settings, metadata = run.logger_settings, run.status_metadata
        if body.get("loggerSettings") not in (None, "", "null"):
            try:
                added = js_parse(body["loggerSettings"])
                settings = stored(deep_merge(run.logger_settings or {}, added))
            except (ValueError, AttributeError):
                raise refused("Invalid loggerSettings JSON", 400) from None
        if body.get("statusMetadata"):
            try:
                metadata = stored(js_parse(body["statusMetadata"]))
            except ValueError:
                raise refused("Invalid statusMetadata JSON", 400) from None
        elif "statusMetadata" in body:
            metadata = None
        at = body.get("statusUpdated")
        given = js_parse(body["statusMetadata"]) if body.get("statusMetadata") else None
        if change_status(
            run, body["status"], self._state.now(), None if at is None else int(at), metadata=given
        ):
            run.logger_settings, run.status_metadata = settings, metadata
        return _SUCCESS

    def add_log_names(self, body: Body) -> Body:
        run = self._state.run(body["runId"])
        for name in body["logName"]:
            check_text(name)
            if _indexed_size(name) > _MAX_INDEXED:
                raise internal_error()
        for name in body["logName"]:
            run.log_names.setdefault(name, body["logType"])
        return _SUCCESS

    def update_tags(self, body: Body) -> Body:
        if more_than_one_group(body["tags"]):
            raise refused("A run can have at most one group:* tag.", 400)
        run = self._state.run(body["runId"])
        for tag in body["tags"]:
            check_text(tag)
        run.tags, run.updated_at = list(body["tags"]), self._state.now()
        return _SUCCESS

    def update_notes(self, body: Body) -> Body:
        run = self._state.run(body["runId"])
        check_text(body["notes"] or "")
        run.notes, run.updated_at = body["notes"] or None, self._state.now()
        return _SUCCESS

    def update_config(self, body: Body) -> Body:
        run = self._state.run(body["runId"])
        try:
            added = _document(body["config"])
        except ValueError:
            raise refused("Invalid config JSON", 400) from None
        if body["config"] not in ("", "null") and not isinstance(added, dict):
            raise refused("Invalid config JSON: expected an object", 400)
        merged = deep_merge(run.config if isinstance(run.config, dict) else {}, added or {})
        run.config = stored(merged) or None
        run.index(merged)
        run.updated_at = self._state.now()
        return _SUCCESS

    # Heartbeat (the py service)

    def _trigger(self, request: Request) -> Response:
        try:
            authorized(self._state, request)
        except ApiError:
            return Response.of_json({"detail": "Invalid API token"}, 401)
        try:
            run_id = json.loads(request.body())["runId"]
        except (ValueError, KeyError, TypeError):
            detail = [{"type": "missing", "loc": ["body", "runId"], "msg": "Field required"}]
            return Response.of_json({"detail": detail}, 422)
        with self._state.runs.lock:
            run = self._state.runs.by_id.get(run_id) if isinstance(run_id, int) else None
            if run is None:
                return Response.of_json({"detail": "Run not found"}, 404)
            run.heartbeat = self._state.clock()
            return Response.of_json({"status": run.status, "triggers": None})


_DOCUMENTS = ("loggerSettings", "systemMetadata", "config")


def _indexed_size(name: str) -> int:
    """About the bytes that PostgreSQL needs: it replaces repetitions and does not code single letters."""
    plain = name.encode()
    compressor = zlib.compressobj(strategy=zlib.Z_FIXED)
    return min(len(plain), len(compressor.compress(plain) + compressor.flush()))


def _document(text: str | None) -> Any:
    """A JSON string of the request; nothing for a missing one, "" and "null"."""
    return None if text in (None, "", "null") else js_parse(text)


def _time(value: float | None, now: int) -> int:
    return now if value is None else int(value)


def run_url(state: State, run: Run) -> str:
    project = quote(run.project.name, safe="")
    return f"{state.url}/o/{ORGANIZATION}/projects/{project}/r{run.id}"

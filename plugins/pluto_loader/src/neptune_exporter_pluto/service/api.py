"""Pluto's routes as typed calls. Bodies and answers as in pluto-server 3e89082."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

import orjson

from neptune_exporter.contract import SinkError, UsageError, chunked
from neptune_exporter_pluto.service import answers
from neptune_exporter_pluto.service.answers import NotAcknowledgedError
from neptune_exporter_pluto.service.credentials import Endpoints
from neptune_exporter_pluto.service.transport import PlutoRefusedError, Transport
from neptune_exporter_pluto.settings import NAMES_A_CALL, check_project_name

_T = TypeVar("_T")
_Params: TypeAlias = "Mapping[str, str | int | None]"
_JSON = {"Content-Type": "application/json"}
_NDJSON = {"Content-Type": "application/x-ndjson"}
MAX_FILES_LISTED = 1_000
MAX_NAMES_LISTED = 1_000
MAX_RUNS_LISTED = 200
MAX_FILE_BYTES = 5 * 1024**3
"""The largest upload in one piece that S3 accepts; Pluto signs no others."""
MAX_RAW_POINTS = 50_000
MAX_SHOWN_POINTS = 10_000
"""Of one metric, in an answer with all of them."""
MAX_LOG_LINES = 10_000
_CONTENT_TYPES = {
    **dict.fromkeys(("jpeg", "jpg"), "image/jpeg"),
    **{extension: f"image/{extension}" for extension in ("png", "gif", "webp")},
    "svg": "image/svg+xml",
    **{extension: f"video/{extension}" for extension in ("mp4", "webm")},
    "avi": "video/x-msvideo",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "wav": "audio/x-wav",
    "ogg": "audio/ogg",
    "pdf": "application/pdf",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "txt": "text/plain",
    "json": "application/json",
    "csv": "text/csv",
    "xml": "application/xml",
    **dict.fromkeys(("yaml", "yml"), "application/x-yaml"),
    "h5": "application/x-hdf5",
    **dict.fromkeys(("onnx", "pkl", "tflite", "savedmodel", "pt", "ckpt"), "application/octet-stream"),
}
"""What Pluto signs into upload addresses, by extension (pluto-server, `ingest/src/models/files.rs`)."""
_NO_EXTENSION = "application/octet-stream"


@dataclass(frozen=True)
class CreatedRun:
    """The answer of `create`."""

    run_id: int
    url: str
    resumed: bool
    """Whether the external id was known: then this is the run of an earlier call, RUNNING again."""


@dataclass(frozen=True)
class FileToSign:
    """A file for which an upload address is wanted. Times in ms since 1970."""

    log_name: str
    file_name: str
    file_type: str
    size: int
    step: int
    time: int

    @property
    def key(self) -> tuple[str, str]:
        """What identifies it in a run."""
        return self.log_name, self.file_name

    @property
    def content_type(self) -> str:
        """What Pluto signs into the address, which the upload must repeat. Pluto takes an extension that it
        does not know for the content type itself."""
        return _CONTENT_TYPES.get(self.file_type, self.file_type) if self.file_type else _NO_EXTENSION


def _created(content: bytes) -> CreatedRun:
    answer = answers.json_object(content, runId=int, url=(str, type(None)))
    return CreatedRun(answer["runId"], answer["url"] or "", bool(answer.get("resumed")))


class PlutoApi:
    """The API and ingest services, for one project at a time by argument."""

    def __init__(self, transport: Transport, endpoints: Endpoints) -> None:
        self.transport = transport
        self.endpoints = endpoints

    # --- runs

    def organization(self) -> str:
        """The slug of the key's organization. Checks the key and the address. Raises SinkError if the address
        does not answer like Pluto."""
        option = self.endpoints.option
        what = f"checking the API key at {self.endpoints.host}{f' (from {option})' if option else ''}"

        def slug(content: bytes) -> str:
            try:
                organization = answers.json_object(content, organization=dict)["organization"]
                return str(answers.json_object(orjson.dumps(organization), slug=str)["slug"])
            except NotAcknowledgedError as error:
                raise SinkError(
                    f"{what}: {self.endpoints.api} does not answer as Pluto does: {error}. Is PLUTO_URL_API "
                    "the address of Pluto's API, and is there no login page in front of it?"
                ) from None

        return self._api("slug", what, {}, slug)

    def create_run(self, body: Mapping[str, Any], what: str) -> CreatedRun:
        """Create a run, or find the one of this external id. Safe to repeat. Raises SinkError if the quota
        of the organization is used up."""
        try:
            return self._api("runs/create", what, body, _created)
        except PlutoRefusedError as error:
            if "at limit" in error.text.lower():
                raise SinkError(
                    f"{what}: the Pluto organization is at its limit of runs or storage; "
                    "raise the limit or remove runs, then load again: what has been loaded is not sent twice"
                ) from None
            raise

    def resume_run(self, run_id: int) -> None:
        accept = partial(answers.about_run, run_id=run_id, member="runId")
        self._api("runs/resume", f"resuming run {run_id}", {"runId": run_id}, accept)

    def set_status(self, run_id: int, status: str, at_ms: int | None) -> None:
        """Set the status, with its time. None: unknown, and Pluto uses the present time, as for the
        creation."""
        body = {"runId": run_id, "status": status}
        if at_ms is not None:
            body["statusUpdated"] = at_ms
        self._update("runs/status/update", f"the status of run {run_id}", body)

    def set_notes(self, run_id: int, notes: str) -> None:
        self._update("runs/notes/update", f"the notes of run {run_id}", {"runId": run_id, "notes": notes})

    def set_tags(self, run_id: int, tags: Sequence[str]) -> None:
        self._update("runs/tags/update", f"the tags of run {run_id}", {"runId": run_id, "tags": list(tags)})

    def merge_config(self, run_id: int, config: bytes) -> None:
        """Merge a JSON object into the run's config, deeply."""
        body = {"runId": run_id, "config": config.decode()}
        self._update("runs/config/update", f"the config of run {run_id}", body)

    def register_names(self, run_id: int, log_type: str, names: Sequence[str]) -> None:
        """Register names in the run's details; the first type of a name wins."""
        for some in chunked(names, NAMES_A_CALL):
            body = {"runId": run_id, "logType": log_type, "logName": list(some)}
            self._update("runs/logName/add", f"the names of run {run_id}", body)

    # --- ingest

    def ingest(
        self, kind: str, project: str, run_id: int, lines: bytes, records: int, *, repeatable: bool
    ) -> None:
        """Post NDJSON to `/ingest/{metrics,data,logs}`. Raises UncertainError for lines that are not
        repeatable, if it is unknown whether Pluto took them.

        Args:
            records: How many records Pluto must acknowledge: lines of data and logs, points of metrics.
        """
        what = f"{kind} of run {run_id}"
        url = f"{self.endpoints.ingest}/ingest/{kind}"
        self.transport.post(
            url,
            what,
            lines,
            self._ingest_headers(project, run_id, _NDJSON),
            lambda content: answers.processed(content, records),
            repeatable=repeatable,
            nothing=(b"", lambda content: answers.processed(content, 0)),
        )

    def sign(self, project: str, run_id: int, files: Sequence[FileToSign]) -> dict[tuple[str, str], str]:
        """Announce files and get their upload addresses, by (logName, fileName). Raises UncertainError if it
        is unknown whether Pluto took the announcement."""
        body = {
            "files": [
                {
                    "fileName": f.file_name,
                    "logName": f.log_name,
                    "fileSize": f.size,
                    "fileType": f.file_type or {"custom": _NO_EXTENSION},
                    "step": f.step,
                    "time": f.time,
                }
                for f in files
            ]
        }

        def signed(content: bytes) -> dict[tuple[str, str], str]:
            found = answers.addresses(content)
            for file in files:
                if file.key not in found:
                    raise NotAcknowledgedError(
                        f"no upload address for {file.file_name!r} of {file.log_name!r}"
                    )
            return found

        return self.transport.post(
            f"{self.endpoints.ingest}/files",
            f"upload addresses of run {run_id}",
            orjson.dumps(body),
            self._ingest_headers(project, run_id, _JSON),
            signed,
            repeatable=False,
            nothing=(b'{"files":[]}', answers.addresses),
        )

    # --- reading back

    def details(self, project: str, run_id: int) -> dict[str, Any]:
        """Config, tags, status, times and log names of a run. Raises PlutoRefusedError with status 404 if
        there is no such run."""
        accept = partial(answers.about_run, run_id=run_id, member="id", status=str)
        params = {"projectName": project}
        return self._read(f"details/{run_id}", f"details of run {run_id}", params, accept)

    def details_if_there(self, project: str, run_id: int) -> dict[str, Any] | None:
        """As `details`; None if somebody has removed the run."""
        try:
            return self.details(project, run_id)
        except PlutoRefusedError as error:
            if error.status == 404:
                return None
            raise

    def find_runs(self, project: str, config_key: str, value: str) -> dict[str, dict[str, Any]]:
        """The details, by external id, of at most `MAX_RUNS_LISTED` runs of a project whose config matches.

        Leaves no trace: asking for an external id would make its run RUNNING and write that into its history
        (recorded from the real API). A config that was just written may not be found yet.
        """
        wanted = orjson.dumps({f"config.{config_key}": value}).decode()
        params: _Params = {"projectName": project, "filter": wanted, "limit": MAX_RUNS_LISTED}
        accept = partial(answers.json_object, runs=list)
        answer = self._read("list", f"runs of project {project!r}", params, accept)
        found = (self.details_if_there(project, int(run["id"])) for run in answer["runs"])
        return {str(details["externalId"]): details for details in found if details is not None}

    def log_total(self, project: str, run_id: int) -> int:
        """How many log lines Pluto shows of a run: exact, duplicates included."""
        return int(self.log_page(project, run_id, 0, limit=1)["total"])

    def log_page(self, project: str, run_id: int, offset: int, limit: int = MAX_LOG_LINES) -> dict[str, Any]:
        params = {"limit": limit, "offset": offset}
        return self._of_run("logs", "logs", project, run_id, params, total=int, logs=list)

    def files(self, project: str, run_id: int, log_name: str | None) -> list[dict[str, Any]]:
        """Rows of the files under one name or all names, with duplicates; at most `MAX_FILES_LISTED`."""
        params = {"logName": log_name}
        return list(self._of_run("files", "files", project, run_id, params, files=list)["files"])

    def shown_points(self, project: str, run_id: int) -> list[dict[str, Any]]:
        """The points of all metrics of a run as the charts show them: of those of one step the newest.

        Of a metric with more than `MAX_SHOWN_POINTS`, Pluto sends every second, third or so on: never fewer
        than half of that many (pluto-server 3e89082, `web/server/lib/queries/run-metrics.ts`).
        """
        params = {"limit": MAX_SHOWN_POINTS}
        return list(self._of_run("metrics", "points", project, run_id, params, metrics=list)["metrics"])

    def raw_points(
        self, project: str, run_id: int, log_name: str, step_min: int, step_max: int | None, limit: int
    ) -> tuple[list[dict[str, Any]], bool]:
        """Stored rows of a metric by step, duplicates included, and whether there may be more of them.

        Pluto calls an answer truncated if it has as many rows as the limit, even if nothing is left
        (recorded from the real API: its rows are under `rows` and do not name the metric).

        Args:
            limit: The highest number of rows, at most `MAX_RAW_POINTS`.
        """
        params: _Params = {"logName": log_name, "limit": limit, "stepMin": step_min, "stepMax": step_max}
        what = f"points of {log_name!r}"
        answer = self._of_run("metrics/raw", what, project, run_id, params, rows=list, truncated=bool)
        return list(answer["rows"]), bool(answer["truncated"])

    def _api(self, route: str, what: str, body: Mapping[str, Any], accept: Callable[[bytes], _T]) -> _T:
        url = f"{self.endpoints.api}/api/{route}"
        return self.transport.post(url, what, orjson.dumps(body), _JSON, accept, repeatable=True)

    def _update(self, route: str, what: str, body: Mapping[str, Any]) -> None:
        self._api(route, what, body, answers.updated)

    def _of_run(
        self, route: str, what: str, project: str, run_id: int, params: _Params, **members: type
    ) -> dict[str, Any]:
        """A JSON object with these members that tells something of a run."""
        of_run = {"runId": run_id, "projectName": project, **params}
        return self._read(
            route, f"{what} of run {run_id}", of_run, lambda content: answers.json_object(content, **members)
        )

    def _read(self, route: str, what: str, params: _Params, accept: Callable[[bytes], _T]) -> _T:
        """A parameter that is None is left out."""
        given = {name: value for name, value in params.items() if value is not None}
        return self.transport.get(f"{self.endpoints.api}/api/runs/{route}", what, given, accept)

    @staticmethod
    def _ingest_headers(project: str, run_id: int, content_type: Mapping[str, str]) -> dict[str, str]:
        """Checked before sending: Pluto stores rows of a wrong run or project where no page shows them."""
        try:
            check_project_name(project)
        except UsageError as error:
            raise SinkError(str(error)) from None
        if run_id <= 0:
            raise SinkError(f"{run_id} is no run of Pluto")
        return {**content_type, "X-Run-Id": str(run_id), "X-Project-Name": project}

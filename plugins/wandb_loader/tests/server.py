"""A W&B server for `wandb sync` on loopback: takes runs, rows, logs and files, and says what it has.

What it answers is what wandb-core 0.31.0 was seen to ask for: the mutations `UpsertBucket` and
`CreateRunFiles`, `file_stream` with `wandb-history.jsonl`, `wandb-summary.json` and `output.log` by offset,
and PUTs to the upload addresses. `Viewer` and `Run` are asked by the loader, with fields that wandb's own
package names. No real server was seen: rate limits, its limits of size, what it does with a run that is sent
again, and how long `historyLineCount` lags are not here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from neptune_exporter.testing.loopback import LoopbackServer, Request, Response

KEY = "0123456789" * 4
PAGE = 3
"""Files of a run in one answer."""


@dataclass
class StoredRun:
    """A run as the server has it."""

    fields: dict[str, Any] = field(default_factory=dict)
    """Of `UpsertBucket`, those that were given."""
    lines: dict[str, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    """By file of the stream, and number of the line."""
    files: dict[str, bytes | None] = field(default_factory=dict)
    """By name; None until the content comes."""
    exit_code: int | None = None

    @property
    def config(self) -> dict[str, Any]:
        return {key: item["value"] for key, item in json.loads(self.fields["config"]).items()}

    @property
    def rows(self) -> list[dict[str, Any]]:
        lines = self.lines["wandb-history.jsonl"]
        assert sorted(lines) == list(range(len(lines)))
        return [json.loads(lines[number]) for number in sorted(lines)]


class WandbServer(LoopbackServer):
    """Knows one key. `runs` are by entity, project and run id."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: dict[tuple[str, str, str], StoredRun] = defaultdict(StoredRun)
        self._uploads: list[tuple[StoredRun, str]] = []
        self._guard = threading.Lock()
        self.lists_files = True
        self.route("POST", "/graphql", self._graphql)
        self.route(
            "POST", "/files/(?P<entity>[^/]+)/(?P<project>[^/]+)/(?P<run>[^/]+)/file_stream", self._stream
        )
        self.route("PUT", "/upload/(?P<number>\\d+)/.*", self._upload)

    def _graphql(self, request: Request) -> Response:
        login = base64.b64encode(f"api:{KEY}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {login}":
            return Response.of_json({"errors": [{"message": "not logged in"}]}, 401)
        asked = request.json()
        answer = {
            "UpsertBucket": self._upsert,
            "CreateRunFiles": self._create,
            "RunFiles(": self._run_and_files,
            "Run(": self._run,
        }
        for name, method in answer.items():
            if name in asked["query"]:
                with self._guard:
                    return Response.of_json({"data": method(asked["variables"])})
        return Response.of_json({"data": {"viewer": {"entity": "acme", "username": "ada"}}})

    def _upsert(self, given: dict[str, Any]) -> dict[str, Any]:
        entity, project, name = given["entity"] or "acme", given["project"], given["name"]
        run = self.runs[entity, project, name]
        run.fields |= {key: value for key, value in given.items() if value is not None}
        bucket = {
            "id": f"id of {name}",
            "name": name,
            "displayName": run.fields.get("displayName"),
            "project": {"id": "1", "name": project, "entity": {"id": "1", "name": entity}},
            "historyLineCount": None,
        }
        return {"upsertBucket": {"bucket": bucket, "inserted": True}}

    def _create(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs[given["entity"], given["project"], given["run"]]
        files = []
        for name in given["files"]:
            run.files.setdefault(name, None)
            address = f"{self.url}/upload/{len(self._uploads)}/{quote(name)}"
            files.append({"name": name, "uploadUrl": address})
            self._uploads.append((run, name))
        return {"createRunFiles": {"runID": "1", "uploadHeaders": [], "files": files}}

    def _run(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get((given["entity"], given["project"], given["name"]))
        if run is None:
            return {"project": {"run": None}}
        state = "running" if run.exit_code is None else "failed" if run.exit_code else "finished"
        return {
            "project": {"run": {"state": state, "historyLineCount": len(run.lines["wandb-history.jsonl"])}}
        }

    def _run_and_files(self, given: dict[str, Any]) -> dict[str, Any]:
        """One page of files after the other; a file that was announced and not stored has no size."""
        answer = self._run(given)
        if not self.lists_files:
            return {"project": {"run": None}}
        if answer["project"]["run"] is not None:
            run = self.runs[given["entity"], given["project"], given["name"]]
            first = int(given["after"] or 0)
            edges = [
                {"node": _node(name, run.files[name])} for name in sorted(run.files)[first : first + PAGE]
            ]
            more = first + PAGE < len(run.files)
            page = {"endCursor": str(first + PAGE), "hasNextPage": more}
            answer["project"]["run"]["files"] = {"edges": edges, "pageInfo": page}
        return answer

    def _stream(self, request: Request) -> Response:
        values, sent = request.path_values, request.json()
        with self._guard:
            run = self.runs[values["entity"], values["project"], values["run"]]
            for name, part in (sent.get("files") or {}).items():
                for number, line in enumerate(part["content"], part["offset"]):
                    run.lines[name][number] = line
            if sent.get("complete"):
                run.exit_code = sent["exitcode"]
        return Response.of_json({})

    def _upload(self, request: Request) -> Response:
        content = request.body()
        with self._guard:
            run, name = self._uploads[int(request.path_values["number"])]
            run.files[name] = content
        return Response()


def _node(name: str, content: bytes | None) -> dict[str, Any]:
    """As `FILE_FRAGMENT` of wandb 0.31.0 asks: the size as a text, for it exceeds GraphQL's Int."""
    if content is None:
        return {"name": name, "sizeBytes": "0", "md5": None}
    md5 = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
    return {"name": name, "sizeBytes": str(len(content)), "md5": md5}

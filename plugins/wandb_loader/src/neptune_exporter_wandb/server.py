"""A W&B server: where it is, whether it answers, and what it says of a run.

Asked with GraphQL as wandb 0.31.0 asks: `viewer`, and `project … run` with `state`, `historyLineCount`
(`RUN_FRAGMENT` in `wandb.apis.public.runs`) and `files` with `name`, `sizeBytes` and `md5` (`FILE_FRAGMENT`
in `wandb.apis.public.files`). `wandb.Api` is not used: it starts a process, and where a server answers 500 it
was seen to say only that this process is busy.
"""

from __future__ import annotations

import base64
import json
import netrc
import os
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wandb.sdk import wandb_setup

from neptune_exporter.contract import AuthenticationError, Secret, SinkError, UsageError
from neptune_exporter.toolkit import one_line
from neptune_exporter.toolkit.http_errors import connection_error
from neptune_exporter_wandb.arrival import StoredFile, StoredRun

_TIMEOUT = 10.0
"""Seconds for one answer."""
_TRUST = "set SSL_CERT_FILE to a file with the certificate of its authority"
_KEY = re.compile(r"([^-]*-)?[\w-]{40,}|([\w-]+\.){2}[\w-]+")
"""What wandb 0.31.0 takes for a key: 40 characters or more, after a prefix, or three parts of a JWT."""
_VIEWER = "query Viewer { viewer { entity username } }"
_RUN = """query Run($project: String!, $entity: String, $name: String!) {
  project(name: $project, entityName: $entity) { run(name: $name) { state historyLineCount } }
}"""
_RUN_AND_FILES = """query RunFiles($project: String!, $entity: String, $name: String!, $after: String) {
  project(name: $project, entityName: $entity) { run(name: $name) {
    state historyLineCount
    files(first: 500, after: $after) {
      edges { node { name sizeBytes md5 } } pageInfo { endCursor hasNextPage }
    }
  } }
}"""
_NEW, _OLD = "api.forge.coreweave.com", "api.wandb.ai"
"""The hosted service: wandb 0.31.0 uses the first name, and also keys that are stored for the other."""


class RefusedQueryError(SinkError):
    """The server does not answer this query: an older one, or the key has no right to what is asked for."""


@dataclass(frozen=True)
class Server:
    """A server and the key for it, as wandb itself finds them: variables, settings files, netrc."""

    url: str
    key: Secret | None

    @classmethod
    def found(cls) -> Server:
        """The server that wandb would use. Without a key in a variable or netrc, `key` is None. Raises
        UsageError if wandb does not take its settings, or no key looks as this one does."""
        given = _whole(os.environ.get("WANDB_API_KEY"))
        try:
            url = str(wandb_setup.singleton().settings.base_url).rstrip("/")
        except ValueError as error:  # of pydantic; its own text would show a key
            raise UsageError(f"wandb does not take its settings: {_what_is_wrong(error)}") from error
        key = given or _whole(_key_in_netrc(urlsplit(url).netloc))
        if key and not _KEY.fullmatch(key):
            raise UsageError(
                f"the API key for {url} (WANDB_API_KEY, or netrc) is not a key of W&B: those have at least "
                f"40 characters, this one has {len(key)}"
            )
        return cls(url, Secret(key) if key else None)

    def entity(self) -> str:
        """The team or user that gets the runs if the settings name none.

        Raises:
            UsageError: there is no key.
            AuthenticationError: the server refused it.
            SinkError: the server cannot be reached.
        """
        viewer = self._ask(_VIEWER, {}).get("viewer")
        if viewer is None:
            raise AuthenticationError(f"{self.url} does not know this key: log in with `wandb login`")
        return str(viewer.get("entity") or "")

    def run(self, entity: str, project: str, run_id: str) -> StoredRun | None:
        """What the server has of a run; None if it has none. Raises AuthenticationError and SinkError."""
        named = {"entity": entity, "project": project, "name": run_id}
        try:
            found = self._with_files(named)
            if found is None and (run := self._run(_RUN, named)) is not None:
                found = _stored(run, None)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            what = f"{type(error).__name__}: {error}, in what it says of a run"
            raise SinkError(f"{self.url} does not answer as W&B does: {what}") from error
        return found

    def _with_files(self, named: Mapping[str, str]) -> StoredRun | None:
        """None also if the server does not list files."""
        files: dict[str, StoredFile] = {}
        after: str | None = None
        while True:
            try:
                run = self._run(_RUN_AND_FILES, {**named, "after": after})
            except RefusedQueryError:
                return None
            if run is None or run.get("files") is None:
                return None
            nodes = [edge["node"] for edge in run["files"]["edges"]]
            page = {
                node["name"]: StoredFile(int(node["sizeBytes"] or 0), node["md5"] or "") for node in nodes
            }
            is_new, about = bool(page.keys() - files.keys()), run["files"]["pageInfo"]
            files |= page
            if not (is_new and about["hasNextPage"]):
                return _stored(run, files)
            after = about["endCursor"]

    def _run(self, query: str, variables: Mapping[str, str | None]) -> dict[str, Any] | None:
        found: dict[str, Any] | None = (self._ask(query, variables).get("project") or {}).get("run")
        return found

    def _ask(self, query: str, variables: Mapping[str, str | None]) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Basic {self._login()}"}
        request = urllib.request.Request(f"{self.url}/graphql", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (401, 403):
                raise AuthenticationError(f"{self.url} refused the API key ({error.code})") from error
            kind = RefusedQueryError if error.code in (400, 422) else SinkError
            raise kind(f"W&B at {self.url} answered {error.code} {error.reason}") from error
        except (OSError, ValueError, HTTPException) as error:
            why = connection_error(error, self.url, _TRUST, "WANDB_BASE_URL or wandb's settings")
            raise SinkError(f"W&B at {self.url}: {why}") from error
        try:
            answer = dict(json.loads(content))
            if "data" in answer:
                return dict(answer["data"] or {})
        except (ValueError, TypeError):
            answer = {}
        kind = RefusedQueryError if "errors" in answer else SinkError
        raise kind(
            f"{self.url} does not answer as W&B does: {one_line(content.decode(errors='replace'), 200)}. "
            "Is it the address of W&B, and is there no login page in front of it?"
        )

    def _login(self) -> str:
        if self.key is None:
            raise UsageError(f"no API key for {self.url}: log in with `wandb login`, or set WANDB_API_KEY")
        return base64.b64encode(f"api:{self.key.reveal()}".encode()).decode()


def _stored(run: Mapping[str, Any], files: Mapping[str, StoredFile] | None) -> StoredRun:
    return StoredRun(run["state"], int(run["historyLineCount"] or 0), files)


def _what_is_wrong(error: ValueError) -> str:
    """Each setting that pydantic did not take, and why; without values."""
    wrong: list[dict[str, Any]] = getattr(error, "errors", list)()
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in wrong) or type(error).__name__


def _whole(key: str | None) -> str | None:
    """The key. wandb 0.31.0 strips nothing, and ends if white space is around it. Raises UsageError if it
    holds a character that no key has."""
    if key and Secret(key).as_token() != key:
        raise UsageError(
            "the API key of W&B (WANDB_API_KEY, or netrc) holds a space, a line end or another character "
            "that no key has: copy it again"
        )
    return key


def _key_in_netrc(host: str) -> str | None:
    """The key that `wandb login` has stored."""
    named = os.environ.get("NETRC")
    home = Path.home()
    paths = [Path(named).expanduser()] if named else [home / ".netrc", home / "_netrc"]
    for path in paths:
        try:
            entries = netrc.netrc(path)
        except FileNotFoundError:
            continue
        except (netrc.NetrcParseError, OSError) as error:
            raise AuthenticationError(f"{path} cannot be read: {error}") from error
        # Not `authenticators`, which also gives the entry of any host.
        for name in (host, _OLD) if host == _NEW else (host,):
            if name in entries.hosts:
                return entries.hosts[name][2]
    return None

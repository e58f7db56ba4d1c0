"""A W&B server: where it is, whether it answers, and what it says of a run.

Asked with GraphQL as wandb 0.31.0 asks: `viewer`, and `project … run` with `state` and `historyLineCount`.
"""

from __future__ import annotations

import base64
import json
import logging
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from wandb.errors import Error as WandbError
from wandb.sdk import wandb_setup
from wandb.sdk.lib.wbauth import AuthApiKey, authenticate_session

from neptune_exporter.contract import AuthenticationError, Secret, SinkError

_TIMEOUT = 10.0
"""Seconds for one answer."""
_VIEWER = "query Viewer { viewer { entity username } }"
_RUN = """query Run($project: String!, $entity: String, $name: String!) {
  project(name: $project, entityName: $entity) { run(name: $name) { state historyLineCount } }
}"""
_ENDED = ("finished", "failed", "crashed")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Server:
    """A server and the key for it, as wandb itself finds them: variables, settings files, netrc."""

    url: str
    key: Secret | None

    @classmethod
    def found(cls) -> Server:
        """The server that wandb would use.

        Raises:
            AuthenticationError: there is a key of a form that wandb does not take.
        """
        url = str(wandb_setup.singleton().settings.base_url).rstrip("/")
        try:
            auth = authenticate_session(host=url, source="load", prompt=False, update_session=False)
        except WandbError as error:
            raise AuthenticationError(f"W&B: {error}") from error
        return cls(url, Secret(auth.api_key) if isinstance(auth, AuthApiKey) else None)

    def entity(self) -> str:
        """The team or user that runs go to where none is named.

        Raises:
            AuthenticationError: there is no key, or the server refused it.
            SinkError: the server cannot be reached.
        """
        viewer = self._ask(_VIEWER, {}).get("viewer")
        if viewer is None:
            raise AuthenticationError(f"{self.url} does not know this key: log in with `wandb login`")
        return str(viewer.get("entity") or "")

    def is_whole(self, entity: str, project: str, run_id: str, rows: int) -> bool:
        """Whether the server has all rows of a run, and its end."""
        found = self._ask(_RUN, {"entity": entity, "project": project, "name": run_id}).get("project") or {}
        run = found.get("run") or {}
        return run.get("state") in _ENDED and (run.get("historyLineCount") or 0) >= rows

    def _ask(self, query: str, variables: dict[str, str]) -> dict[str, Any]:
        if self.key is None:
            raise AuthenticationError(
                f"no API key for {self.url}: log in with `wandb login`, or set WANDB_API_KEY"
            )
        body = json.dumps({"query": query, "variables": variables}).encode()
        login = base64.b64encode(f"api:{self.key.reveal()}".encode()).decode()
        headers = {"Content-Type": "application/json", "Authorization": f"Basic {login}"}
        request = urllib.request.Request(f"{self.url}/graphql", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
                data = json.loads(answer.read()).get("data")
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (401, 403):
                raise AuthenticationError(f"{self.url} refused the API key ({error.code})") from error
            raise SinkError(f"W&B at {self.url} answered {error.code} {error.reason}") from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise SinkError(f"W&B at {self.url} cannot be reached: {reason}") from error
        return data if isinstance(data, dict) else {}

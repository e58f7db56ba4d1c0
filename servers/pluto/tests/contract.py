"""Sends recorded requests to a Pluto and says which of them it answers otherwise than the real one did."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx

RECORDING = Path(__file__).with_name("data") / "pluto-contract.jsonl"
_NAME = re.compile(r"@(\w+)")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d+)?Z?")
_MADE_UP = frozenset({"url", "slug", "organizationSlug", "number", "displayId", "actorId", "apiKeyId"})
_RUN_IDS = frozenset({"id", "runId", "forkedFromRunId"})


def recording() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RECORDING.read_text(encoding="utf-8").splitlines()]


@dataclass
class Replay:
    """One pass over the recording. Requests depend on those before them: runs are known by name."""

    client: httpx.Client
    key: str
    project: str
    _values: dict[str, Any] = field(default_factory=dict)
    _names: dict[int, str] = field(default_factory=dict)

    def difference(self, line: dict[str, Any]) -> str | None:
        """What came instead of the recorded answer; None if it is the same."""
        status, answer = self._answer(line)
        found, wanted = _text([status, answer]), _text([line["status"], line["answer"]])
        return None if found == wanted else f"answered {found}\nrecorded {wanted}"

    def _answer(self, line: dict[str, Any]) -> tuple[int, Any]:
        content = json.dumps(self._filled(line["body"])) if "body" in line else line.get("raw")
        answer = self.client.request(
            line["method"],
            self._filled(line["path"]),
            params=self._filled(line["params"]) if "params" in line else None,
            headers=self._headers(line),
            content=content,
        )
        found = _parsed(answer.text)
        if answer.status_code >= 400:
            return answer.status_code, _refusal(found)
        if "save" in line:
            self._values |= {line["save"]: found["runId"], f"{line['save']}_display": found["displayId"]}
            self._names.setdefault(found["runId"], f"@{line['save']}")
        if "pick" in line:
            mine = [{**entry, "id": 0} for entry in found[line["pick"]] if entry["name"] == self.project]
            found = {line["pick"]: mine}
        return answer.status_code, self._shown(found)

    def _headers(self, line: dict[str, Any]) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if line["auth"] != "none":
            key = self.key if line["auth"] == "key" else "mlps_unknown"
            headers["Authorization"] = f"Bearer {key}"
        return headers | {name: str(self._filled(value)) for name, value in line.get("headers", {}).items()}

    def _filled(self, value: Any) -> Any:
        """Names replaced: a text that is one becomes the value itself, whatever its type."""
        if isinstance(value, dict):
            return {key: self._filled(item) for key, item in value.items()}
        if not isinstance(value, str):
            return value
        values = {"project": self.project, **self._values}
        if whole := _NAME.fullmatch(value):
            return values[whole[1]]
        return _NAME.sub(lambda found: str(values[found[1]]), value)

    def _shown(self, value: Any, key: str = "") -> Any:
        """An answer without what differs from server to server."""
        if isinstance(value, dict):
            return {name: self._shown(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [self._shown(item, key) for item in value]
        if key in _MADE_UP:
            return f"<{key}>"
        if key in _RUN_IDS:
            return self._names.get(value, "<id>" if key == "id" else value)
        if value == self.project:
            return "@project"
        if isinstance(value, str) and _TIME.fullmatch(value):
            return "<now>" if _is_recent(value) else value
        return "<url>" if isinstance(value, str) and value.startswith("http") else value


def _is_recent(text: str) -> bool:
    moment = datetime.fromisoformat(text[:19]).replace(tzinfo=timezone.utc)
    return abs(moment - datetime.now(timezone.utc)) < timedelta(days=1)


def _parsed(text: str) -> Any:
    """JSON; of anything else its numbers."""
    if text.startswith(("{", "[")):
        return json.loads(text)
    return {"numbers": list(map(int, re.findall(r"\d+", text)))}


def _refusal(found: Any) -> Any:
    error = found.get("error")
    if isinstance(error, dict) and "issues" in error:
        return {"issues": [[issue["code"], issue["path"]] for issue in error["issues"]]}
    return {"code": found["code"]} if isinstance(found.get("code"), str) else None


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)

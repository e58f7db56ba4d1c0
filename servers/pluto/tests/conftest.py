"""A rehearsal server with a clock that tests move, and clients for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from neptune_exporter_pluto_server import DEFAULT_KEY, RehearsalServer

NOW = 1_760_000_000.0


class Clock:
    """Epoch seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Project:
    """One run of one project, and the requests that a loader makes for it."""

    http: httpx.Client
    run_id: int
    name: str

    @property
    def headers(self) -> dict[str, str]:
        return {"X-Run-Id": str(self.run_id), "X-Project-Name": self.name}

    def ingest(self, kind: str, *lines: Any) -> httpx.Response:
        """Post lines: bytes as they are, anything else as JSON."""
        encoded = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
        return self.http.post(f"/ingest/{kind}", content=b"\n".join(encoded), headers=self.headers)

    def points(self, name: str, *points: tuple[int, float], time: int = 1000) -> httpx.Response:
        """(step, value) of one series, all at one time."""
        lines = [{"time": time, "step": step, "data": {name: value}} for step, value in points]
        return self.ingest("metrics", *lines)

    def get(self, path: str, **params: Any) -> Any:
        params = {"runId": self.run_id, "projectName": self.name, **params}
        answer = self.http.get(f"/api/runs/{path}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.http.post(f"/api/runs/{path}", json={"runId": self.run_id, **body})

    def details(self) -> Any:
        return self.get(f"details/{self.run_id}")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[RehearsalServer]:
    with RehearsalServer(clock=clock, reaper_interval=None) as server:
        yield server


@pytest.fixture
def http(server: RehearsalServer) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {DEFAULT_KEY}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
def create(http: httpx.Client) -> Callable[..., httpx.Response]:
    def create(**body: Any) -> httpx.Response:
        body = {"runName": "a run", "projectName": "my-ml-project", **body}
        return http.post("/api/runs/create", json=body)

    return create


@pytest.fixture
def run(http: httpx.Client, create: Callable[..., httpx.Response]) -> Project:
    made = create(externalId="neptune-1").json()
    return Project(http, made["runId"], made["projectName"])

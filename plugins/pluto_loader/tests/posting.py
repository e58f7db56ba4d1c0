"""Rows that another client sends to a run."""

from __future__ import annotations

import json
from typing import Any

import httpx

from neptune_exporter_pluto_server import RehearsalServer

from .killed_load import KEY


def post(server: RehearsalServer, run_id: int, route: str, **line: Any) -> None:
    headers = {
        "Authorization": f"Bearer {server.api_key}",
        "X-Run-Id": str(run_id),
        "X-Project-Name": KEY.project_id,
    }
    answer = httpx.post(f"{server.url}/ingest/{route}", content=json.dumps(line), headers=headers)
    answer.raise_for_status()

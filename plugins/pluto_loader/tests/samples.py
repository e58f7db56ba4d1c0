"""Runs with a time of creation, and what their loads are asked about."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from neptune_exporter.contract import LoadedRun
from neptune_exporter.model import RunKey, SysAttribute
from neptune_exporter.testing.runs import SampleRun, parameter

CREATED = datetime(2024, 5, 6, 7, 8, 9, 123000, tzinfo=timezone.utc)
KEY = RunKey("acme/vision", "RUN-1")


def sample(*attributes: Any, key: RunKey = KEY) -> SampleRun:
    return SampleRun(key, (parameter(SysAttribute.CREATION_TIME, CREATED), *attributes))


def losses_of(loaded: LoadedRun) -> dict[tuple[str, str | None], int]:
    return {(loss.reason, loss.attribute_path): loss.count for loss in loaded.losses}

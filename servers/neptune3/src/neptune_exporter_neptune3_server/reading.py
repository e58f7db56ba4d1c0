"""Reading requests: what is not as it should be is a BadRequestError."""

from __future__ import annotations

import json
from typing import Any

from neptune_exporter.testing.loopback import Request, Response

from .errors import BadRequestError


def json_body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.body())
    except ValueError as error:
        raise BadRequestError(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequestError("the body is not a JSON object")
    return body


def required(body: dict[str, Any], name: str) -> Any:
    if body.get(name) is None:
        raise BadRequestError(f"{name} is missing")
    return body[name]


def count(value: Any, name: str, most: int, least: int = 0) -> int:
    """A whole number within its limits."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise BadRequestError(f"{name} must be a number from {least} to {most}, not {value!r}")
    return value


def project_of(request: Request) -> str:
    project = request.param("projectIdentifier")
    if not project:
        raise BadRequestError("projectIdentifier is missing")
    return project


def protobuf(body: bytes) -> Response:
    return Response(200, body, "application/x-protobuf")

"""Checks of request bodies and queries that fail as the real API's do (zod 3).

400 {"success": false, "error": {"issues": [...], "name": "ZodError"}}
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neptune_exporter.testing.loopback import Request, Response
from neptune_exporter_pluto_server.jsonb import js_number

_MISSING: Any = object()


class ApiError(Exception):
    """A request that is answered with this response."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def refused(error: str, status: int) -> ApiError:
    return ApiError(Response.of_json({"error": error}, status))


def internal_error() -> ApiError:
    """What an exception inside the real API looks like."""
    return ApiError(Response.of_text("Internal Server Error", 500))


@dataclass(frozen=True)
class Field:
    """One member of a body.

    `kind` is "string", "number", "boolean" or "strings" (a list of them).
    Lengths count UTF-16 units, as JavaScript does.
    """

    kind: str
    optional: bool = False
    nullable: bool = False
    min_length: int = 0
    max_length: int | None = None
    max_items: int | None = None
    options: tuple[str, ...] = ()
    maximum: float | None = None
    minimum: float | None = None
    whole: bool = False

    def issues(self, name: str, value: Any) -> list[dict[str, Any]]:
        if value is _MISSING:
            return [] if self.optional else [_type_issue(self._expected(), "undefined", [name])]
        if value is None and self.nullable:
            return []
        if self.kind == "strings":
            return self._list_issues(name, value)
        if self.options:
            return self._option_issues(name, value)
        received = _js_type(value)
        if received != self.kind:
            return [_type_issue(self.kind, received, [name])]
        if self.kind == "string":
            return self._length_issues(name, value)
        if self.kind == "number":
            if self.whole and not float(value).is_integer():
                return [_type_issue("integer", "float", [name])]
            return range_issues(name, value, self.minimum, self.maximum)
        return []

    def _expected(self) -> str:
        if self.options:
            return " | ".join(f"'{option}'" for option in self.options)
        return "array" if self.kind == "strings" else self.kind

    def _list_issues(self, name: str, value: Any) -> list[dict[str, Any]]:
        if not isinstance(value, list):
            return [_type_issue("array", _js_type(value), [name])]
        found = [
            _type_issue("string", _js_type(item), [name, index])
            for index, item in enumerate(value)
            if not isinstance(item, str)
        ]
        if self.max_items is not None and len(value) > self.max_items:
            message = f"Array must contain at most {self.max_items} element(s)"
            found.append(_size_issue("too_big", "maximum", self.max_items, "array", name, message))
        return found

    def _option_issues(self, name: str, value: Any) -> list[dict[str, Any]]:
        if not isinstance(value, str):
            return [_type_issue(self._expected(), _js_type(value), [name])]
        if value in self.options:
            return []
        message = f"Invalid enum value. Expected {self._expected()}, received '{value}'"
        issue = {"received": value, "code": "invalid_enum_value", "options": list(self.options)}
        return [{**issue, "path": [name], "message": message}]

    def _length_issues(self, name: str, value: str) -> list[dict[str, Any]]:
        length = len(value.encode("utf-16-le", "surrogatepass")) // 2
        if length < self.min_length:
            message = f"String must contain at least {self.min_length} character(s)"
            return [_size_issue("too_small", "minimum", self.min_length, "string", name, message)]
        if self.max_length is not None and length > self.max_length:
            message = f"String must contain at most {self.max_length} character(s)"
            return [_size_issue("too_big", "maximum", self.max_length, "string", name, message)]
        return []


def range_issues(
    name: str, value: float, minimum: float | None, maximum: float | None
) -> list[dict[str, Any]]:
    if minimum is not None and value < minimum:
        message = f"Number must be greater than or equal to {minimum}"
        return [_size_issue("too_small", "minimum", minimum, "number", name, message)]
    if maximum is not None and value > maximum:
        message = f"Number must be less than or equal to {maximum}"
        return [_size_issue("too_big", "maximum", maximum, "number", name, message)]
    return []


def zod_error(issues: list[dict[str, Any]]) -> ApiError:
    body = {"success": False, "error": {"issues": issues, "name": "ZodError"}}
    return ApiError(Response.of_json(body, 400))


def read_body(request: Request, fields: Mapping[str, Field]) -> dict[str, Any]:
    """The checked members of a JSON body; optional ones that are missing are left out.

    Raises:
        ApiError: 400 for what is not JSON or of the wrong shape, 500 for what is not declared as JSON.
    """
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise internal_error()  # the body is not looked at, and what the route needs of it is missing
    try:
        body: Any = json.loads(request.body(), parse_constant=_not_json)
    except (ValueError, RecursionError):
        raise ApiError(Response.of_text("Malformed JSON in request body", 400)) from None
    if not isinstance(body, dict):
        raise zod_error([_type_issue("object", _js_type(body), [])])
    issues = []
    for name, field in fields.items():
        issues += field.issues(name, body.get(name, _MISSING))
    if issues:
        raise zod_error(issues)
    return {name: body[name] for name in fields if name in body}


def query_number(
    name: str,
    text: str | None,
    default: int | None = None,
    minimum: int | None = None,
    maximum: int | None = None,
) -> int:
    """An integer in a query or a path, read as JavaScript's `Number` reads it.

    Raises:
        ApiError: 400, as zod's coercion would.
    """
    if text is None:
        if default is not None:
            return default
        raise zod_error([_type_issue("number", "nan", [name])])
    try:
        value = float(text.strip() or "0")
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise zod_error([_type_issue("number", "nan", [name])])
    if not value.is_integer():
        raise zod_error([_type_issue("integer", "float", [name])])
    issues = range_issues(name, value, minimum, maximum)
    if issues:
        raise zod_error(issues)
    return int(js_number(value))  # a step beyond 2**53 is rounded, and printed with JavaScript's digits


def query_string(request: Request, name: str) -> str:
    value = request.param(name)
    if value is None:
        raise zod_error([_type_issue("string", "undefined", [name])])
    return value


def query_option(request: Request, name: str, options: tuple[str, ...]) -> str | None:
    value = request.param(name)
    issues = [] if value is None else Field("string", options=options).issues(name, value)
    if issues:
        raise zod_error(issues)
    return value


def _not_json(name: str) -> Any:
    raise ValueError(name)


def _js_type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _type_issue(expected: str, received: str, path: list[Any]) -> dict[str, Any]:
    message = "Required" if received == "undefined" else f"Expected {expected}, received {received}"
    return {
        "code": "invalid_type",
        "expected": expected,
        "received": received,
        "path": path,
        "message": message,
    }


def _size_issue(code: str, key: str, limit: float, kind: str, name: str, message: str) -> dict[str, Any]:
    return {
        "code": code,
        key: limit,
        "type": kind,
        "inclusive": True,
        "exact": False,
        "message": message,
        "path": [name],
    }

"""Answers that are not 200, in the forms that the client looks into.

`errorType` is read by `neptune.internal.backends.swagger_client_wrapper`, `title` by
`neptune.api.searching_entries`.
"""

from __future__ import annotations

from neptune_exporter.testing.loopback import Response


class ApiError(Exception):
    """Raised by a handler; becomes the answer."""

    def __init__(self, status: int, message: str, error_type: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type

    def response(self) -> Response:
        body: dict[str, object] = {"code": self.status, "title": str(self), "message": str(self)}
        if self.error_type is not None:
            body["errorType"] = self.error_type
        return Response.of_json(body, self.status)


def not_found(what: str, error_type: str | None = None) -> ApiError:
    return ApiError(404, f"{what} not found", error_type)


def bad_request(why: str) -> ApiError:
    return ApiError(400, why)

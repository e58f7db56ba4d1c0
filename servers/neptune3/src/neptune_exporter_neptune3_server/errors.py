"""Answers of the server that are not 200, raised by its handlers."""

from __future__ import annotations

from neptune_exporter.testing.loopback import Response


class ApiError(Exception):
    """Answered with `status` and a body such as the client knows (`error.py`, `api_error_type_dto.py`)."""

    def __init__(self, status: int, message: str, error_type: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type

    def response(self) -> Response:
        body: dict[str, object] = {"code": self.status, "message": str(self)}
        if self.error_type is not None:
            body["errorType"] = self.error_type
        return Response.of_json(body, self.status)


class BadRequestError(ApiError):
    def __init__(self, message: str) -> None:
        super().__init__(400, message, "BAD_REQUEST")


class AccessDeniedError(ApiError):
    """Also for what does not exist: the client turns it into NeptuneProjectInaccessible."""

    def __init__(self, what: str) -> None:
        super().__init__(403, f"no access to {what}", "ACCESS_DENIED")

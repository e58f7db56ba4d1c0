"""The ingest routes: metrics, data and logs as newline-delimited JSON.

Whatever goes wrong is answered with 422 and a text that says what; lines before
a bad one have been accepted (pluto-server `ingest/src/routes/ingest.rs`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from neptune_exporter.testing.loopback import LoopbackServer, Request, Response
from neptune_exporter_pluto_server.lines import U64_MAX, BadLineError, Block, blocks
from neptune_exporter_pluto_server.metric_lines import read_metrics
from neptune_exporter_pluto_server.points import Key
from neptune_exporter_pluto_server.record_lines import DATA_LINES, LOG_LINES, RecordKind, read_records
from neptune_exporter_pluto_server.state import State

_TOKEN = re.compile(r"[A-Za-z0-9._-]+")
_STATUS = {"INVALID_HEADER_FORMAT": 400}

Accept = Callable[[Key, Block], tuple[int, BadLineError | None]]


class IngestError(Exception):
    """An error of the ingest service.

    `code` is its name as in the body of an answer; the text of the exception is
    how it appears inside the 422 of a stream.
    """

    def __init__(self, code: str, shown: str, message: str) -> None:
        super().__init__(f"{shown}: {message}")
        self.code = code
        self.message = message

    def response(self) -> Response:
        """As the answer of `/files`: its own status and body."""
        return Response.of_json({"code": self.code, "message": self.message}, _STATUS.get(self.code, 401))


def authorized_ingest(state: State, request: Request) -> None:
    """Raises IngestError as the ingest service judges keys: any text after "Bearer "
    that is made of the right characters is looked up."""
    header = request.headers.get("authorization")
    if header is None:
        raise _auth_error("MissingToken", 1003, "Missing Authorization header")
    if not header.startswith("Bearer "):
        raise _auth_error("InvalidBearerFormat", 1007, "Authorization header must start with 'Bearer '")
    token = header[7:].strip()
    if not token:
        raise _auth_error("InvalidToken", 1002, "Bearer token cannot be empty")
    if not _TOKEN.fullmatch(token):
        raise _auth_error("InvalidTokenFormat", 1006, "Bearer token contains invalid characters")
    problem = state.keys.problem(token)
    if problem is not None:
        raise _auth_error("InvalidToken", 1002, "Invalid API key" if problem == "unknown" else problem)


def project_header(request: Request) -> str:
    """Raises IngestError if it is missing or holds anything but printable ASCII."""
    return _header(request, "X-Project-Name")


def run_header(request: Request) -> int | None:
    """The run id, or None if the header is not an unsigned integer.

    Raises:
        IngestError: no such header.
    """
    text = _header(request, "X-Run-Id")
    value = int(text) if re.fullmatch(r"\+?0*[0-9]{1,20}", text) else -1
    return value if 0 <= value <= U64_MAX else None


def _header(request: Request, name: str) -> str:
    value = request.headers.get(name.lower())
    if value is None or not (value.isascii() and value.isprintable()):
        message = f"Missing required header: {name}"
        raise IngestError("INVALID_HEADER_FORMAT", "InvalidHeaderFormat (2004 - Validation Error)", message)
    return value


def _auth_error(name: str, number: int, message: str) -> IngestError:
    code = re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()
    return IngestError(code, f"{name} ({number} - Authentication Error)", message)


class Ingest:
    """Registers its routes with a server."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.bytes_received = 0

    def register(self, server: LoopbackServer) -> None:
        server.route("POST", "/ingest/metrics", self._stream("metrics", self._metrics))
        server.route("POST", "/ingest/data", self._stream("data", self._records(DATA_LINES)))
        server.route("POST", "/ingest/logs", self._stream("logs", self._records(LOG_LINES)))

    def _stream(self, kind: str, accept: Accept) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            try:
                authorized_ingest(self._state, request)
                project = project_header(request)
                # an id that is not a number is silently taken for run 0
                key = project, run_header(request) or 0
            except IngestError as error:
                return _failed(kind, error)
            records = 0
            for block in blocks(request.chunks()):
                self.bytes_received += len(block.text)
                accepted, bad = accept(key, block)
                records += accepted
                if bad is not None:
                    return _failed(kind, bad)
            return Response.of_text(f"Stream processed successfully: {records} records")

        return answer

    def _metrics(self, key: Key, block: Block) -> tuple[int, BadLineError | None]:
        points, error = read_metrics(block, self._state.store.points.ids)
        self._state.store.add_points(key, points)
        return len(points), error

    def _records(self, kind: RecordKind) -> Accept:
        add = self._state.store.add_data if kind is DATA_LINES else self._state.store.add_logs

        def accept(key: Key, block: Block) -> tuple[int, BadLineError | None]:
            batch, error = read_records(block, kind)
            add(key, batch)
            return batch.num_rows, error

        return accept


def _failed(kind: str, error: Exception) -> Response:
    body = {"code": "PROCESSING_FAILED", "message": f"Failed to process {kind} stream: {error}"}
    return Response.of_json(body, 422)

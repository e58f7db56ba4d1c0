"""The only module that uses internals of neptune-query.

Its public functions round int64, merge points of one step, lose file names, leave out
types that they do not know, and repeat a refused request for half an hour. So this module uses
these internals of neptune-query 1.14 (tests/test_client.py checks each):

- `neptune_query.internal.api_utils.create_auth_api_client(credentials=)`
- `neptune_query.generated.neptune_api.credentials.Credentials.from_api_key(api_key)`
- `neptune_query.generated.neptune_api.client.AuthenticatedClient`:
  `.get_httpx_client()`, whose `.auth._token` (with `.access_token` and `.refresh_token`) set to
  None makes it exchange the API token again; `.get_token_refreshing_client().get_httpx_client()`,
  which does that
- `sync_detailed(client=, body=, …)` of the operations in `OPERATIONS`: one request, never
  repeated at any status
- that those operations call nothing of their bodies but `to_dict()`
- the messages of `leaderboard_entries_pb2`, `attributes_pb2`, `series_values_pb2`
- exceptions of `neptune_query.generated.neptune_api.errors`
- `neptune_query.internal.env.NEPTUNE_VERIFY_SSL.get()`
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import Any

from neptune_exporter.contract import MissingDependencyError, NeptuneExporterError, Secret, SourceError
from neptune_exporter.toolkit import (
    TRANSIENT_STATUSES,
    AwayError,
    SlowError,
    TransientError,
    check_certificates,
    check_proxies,
    one_line,
    retry_after,
)
from neptune_exporter.toolkit.connections import demand_least_rate
from neptune_exporter.toolkit.http_errors import (
    TOKEN_OPTION,
    WebPageError,
    connection_error,
    is_web_page,
    not_a_token,
    not_the_protocol,
    refused_token,
    said,
    server_of,
    token_of,
    web_page_message,
)

try:
    import httpx
    from google.protobuf.message import DecodeError
    from neptune_query.generated.neptune_api import errors
    from neptune_query.generated.neptune_api.api.retrieval import (
        get_multiple_float_series_values_proto,
        get_series_values_proto,
        query_attributes_within_project_proto,
        search_global_leaderboard_entries_proto,
        search_leaderboard_entries_proto,
    )
    from neptune_query.generated.neptune_api.api.storage import signed_url_generic
    from neptune_query.generated.neptune_api.credentials import Credentials
    from neptune_query.generated.neptune_api.proto.neptune_pb.api.v1.model.attributes_pb2 import (
        ProtoQueryAttributesResultDTO,
    )
    from neptune_query.generated.neptune_api.proto.neptune_pb.api.v1.model.leaderboard_entries_pb2 import (
        ProtoAttributeDTO,
        ProtoLeaderboardEntriesSearchResultDTO,
    )
    from neptune_query.generated.neptune_api.proto.neptune_pb.api.v1.model.series_values_pb2 import (
        ProtoFloatSeriesValuesResponseDTO,
        ProtoSeriesValuesResponseDTO,
    )
    from neptune_query.internal.api_utils import create_auth_api_client
    from neptune_query.internal.env import NEPTUNE_VERIFY_SSL
except ImportError as _error:
    raise MissingDependencyError(
        f"the client of Neptune 3.x cannot be imported ({_error}): install neptune-query>=1.14,<2"
    ) from None

__all__ = [
    "Answer",
    "Client",
    "DecodeError",
    "ProtoAttributeDTO",
    "ProtoFloatSeriesValuesResponseDTO",
    "ProtoLeaderboardEntriesSearchResultDTO",
    "ProtoQueryAttributesResultDTO",
    "ProtoSeriesValuesResponseDTO",
    "checked_version",
    "transport_error",
]

LOWEST, BELOW = (1, 14), (2, 0)
"""The versions of the client that this module was written for."""
OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "search": partial(search_leaderboard_entries_proto.sync_detailed, type=["run"]),
    "search everywhere": search_global_leaderboard_entries_proto.sync_detailed,
    "attributes": query_attributes_within_project_proto.sync_detailed,
    "floats": get_multiple_float_series_values_proto.sync_detailed,
    "series": partial(get_series_values_proto.sync_detailed, use_deprecated_string_fields=False),
    "sign": signed_url_generic.sync_detailed,
}
"""Requests by the names that messages give them. All are answered with protobuf, except `sign`."""
_EXCHANGE = "/authorization/oauth-token"
"""The end of the path at which the client exchanges the API token for an access token."""
_TRUST = (
    "set SSL_CERT_FILE to the file of its authority, or NEPTUNE_VERIFY_SSL=false for a server that you trust"
)


@dataclass(frozen=True)
class Answer:
    """Any answer of the server, also an error. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True)
class _Body:
    """The body of an operation, as JSON. The client's own classes would convert a request of thousands of
    series into objects and back."""

    content: Mapping[str, Any]

    def to_dict(self) -> Mapping[str, Any]:
        return self.content


class Client:
    """Single requests with an access token that renews itself. Safe to use from several threads."""

    def __init__(self, api_token: Secret, timeout: float) -> None:
        """Make the client. It sends no request yet.

        Raises:
            MissingDependencyError: the client is missing or of a version that is not known.
            AuthenticationError: the token cannot be decoded.
            UsageError: a variable for certificates or a proxy holds something else.
        """
        self.version = checked_version()
        try:
            credentials = Credentials.from_api_key(token_of(api_token))
        except (errors.InvalidApiTokenException, AttributeError, TypeError):
            raise not_a_token() from None
        if not credentials.base_url.startswith(("http://", "https://")):
            raise not_a_token()
        self.address = str(credentials.base_url).rstrip("/")
        self.verifies_certificates = bool(NEPTUNE_VERIFY_SSL.get())
        if self.verifies_certificates:
            check_certificates("SSL_CERT_FILE")
        check_proxies("socksio")
        self._client = create_auth_api_client(credentials=credentials)
        self._http = self._client.get_httpx_client()
        self._refreshing = self._client.get_token_refreshing_client().get_httpx_client()
        if not hasattr(self._http.auth, "_token"):
            raise MissingDependencyError(
                f"neptune-query {self.version} is built differently: install neptune-query>=1.14,<2"
            )
        for http in (self._http, self._refreshing):
            http.timeout = httpx.Timeout(timeout, connect=min(30.0, timeout))
            demand_least_rate(http, timeout)
        self._hidden: object = None
        """The last access token that was made a `Secret`."""

    @property
    def token(self) -> object:
        """The access token in use; None before the first request."""
        return self._http.auth._token

    def forget_token(self, refused: object) -> None:
        """Make the next request get a new access token, unless that has been done since this one was used.

        The client renews a token before it expires, but never one that a server refuses.
        """
        if self._http.auth._token is refused:
            self._http.auth._token = None

    def close(self) -> None:
        self._http.close()
        self._refreshing.close()

    def send(self, kind: str, body: Mapping[str, Any], **arguments: str) -> Answer:
        """One request of a kind in `OPERATIONS`, once. Those of one project take `project_identifier`.

        Raises:
            TransientError: no whole answer came.
            AuthenticationError: the API token was refused.
            SourceError: no request can be made.
        """
        try:
            try:
                answer = OPERATIONS[kind](client=self._client, body=_Body(body), **arguments)
            finally:
                self._hide_token()
        except errors.ApiKeyRejectedError:
            raise refused_token(f"{self.address} rejects it") from None
        except errors.UnableToExchangeApiKeyError as error:
            raise _not_exchanged(self.address, *_status_and_content(error)) from None
        except errors.UnableToParseResponse as error:
            # The answer came; only the client's own reading of it failed.
            response = error.response
            found = Answer(response.status_code, _headers(response.headers), response.content)
            if response.request.url.path.endswith(_EXCHANGE):
                raise _not_exchanged(self.address, found.status, found.content, found.headers) from None
            return found
        except httpx.HTTPError as error:
            raise transport_error(error, TOKEN_OPTION) from None
        except ValueError as error:  # a status that Python has no name for, such as a proxy's 520
            raise AwayError(f"{self.address} gave an odd answer: {one_line(str(error), 200)}") from None
        except SlowError as error:
            raise SlowError(f"{self.address}: {error}") from None
        except NeptuneExporterError:
            raise
        except Exception as error:
            raise not_the_protocol(self.address, "the exchange of the API token", {}, None) from error
        return Answer(int(answer.status_code), _headers(answer.headers), answer.content)

    def _hide_token(self) -> None:
        """Keep a new access token out of logs and messages: a server may quote it."""
        token = self.token
        if token is not self._hidden:
            Secret(str(getattr(token, "access_token", "")))
            Secret(str(getattr(token, "refresh_token", "")))
            self._hidden = token


def checked_version() -> str:
    """Raises MissingDependencyError if the client is of a version that is not known."""
    try:
        found = version("neptune-query")
    except PackageNotFoundError:
        found = "of an unknown version"
    match = re.match(r"(\d+)\.(\d+)", found)
    if match is None or not LOWEST <= (int(match[1]), int(match[2])) < BELOW:
        raise MissingDependencyError(
            f"neptune-query {found} is not known to this exporter: install neptune-query>=1.14,<2"
        )
    return found


def transport_error(error: httpx.HTTPError, address_from: str = "") -> SourceError:
    """What a failure without a whole answer means.

    Args:
        address_from: The option that the address is from, if it is from one.
    """
    server = server_of(_url_of(error))
    if isinstance(error, (httpx.ReadTimeout, httpx.WriteTimeout)):
        return TransientError(f"{server} did not answer in time")
    if isinstance(error, (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)):
        return TransientError(f"the connection to {server} broke in the middle")
    if isinstance(error, httpx.DecodingError):
        return TransientError(f"the answer of {server} cannot be decompressed")
    if isinstance(error, (httpx.UnsupportedProtocol, httpx.TooManyRedirects)):
        return SourceError(f"the request cannot be made: {type(error).__name__}")
    return connection_error(error, _url_of(error), _TRUST, address_from)


def _url_of(error: httpx.HTTPError) -> str:
    try:
        return str(error.request.url)
    except RuntimeError:  # of no request
        return ""


def _status_and_content(error: Exception) -> tuple[int, bytes]:
    """What the client's error says of the answer, in the form of an answer; status 0 if nothing."""
    match = re.search(r"HTTP (\d{3})(?: \((.*)\))?", str(error))
    status, message = (int(match[1]), match[2] or "") if match else (0, "")
    return status, json.dumps({"message": message}).encode()


def _not_exchanged(
    server: str, status: int, content: bytes, headers: Mapping[str, str] = MappingProxyType({})
) -> Exception:
    """The error if the server gave no access token for the API token. The request holds nothing else.

    Servers answer a token of another form with 400 ("Invalid value for: header X-Neptune-Api-Token").
    """
    if is_web_page(headers, content):
        if 200 <= status < 300:
            return WebPageError(web_page_message(server, content))
        kind = AwayError if status in TRANSIENT_STATUSES else SourceError
        return kind(f"HTTP {status}: {web_page_message(server, content)}")
    if status in (400, 401, 403, 422):
        return refused_token(f"{server} answered HTTP {status}{said(content)}")
    if 200 <= status < 300:
        return not_the_protocol(server, "the exchange of the API token", headers, content)
    if 400 <= status < 500 and status not in TRANSIENT_STATUSES:
        return SourceError(f"{server} does not exchange the API token (HTTP {status}{said(content)})")
    return AwayError(f"{server} does not exchange the API token now (HTTP {status})", retry_after(headers))


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}

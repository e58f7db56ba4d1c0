"""Turns what the `neptune` client raises while it authenticates into errors of one line that say what to do.

For a minute, the client itself repeats requests that may succeed later (`with_api_exceptions_handler` in
neptune.common.backends.utils, 1.14). Then it raises an exception with a page of text, or an error of its own
parsing: it takes the body of any answer with status 200 for one of the protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import requests

from neptune_exporter.contract import MissingDependencyError, NeptuneExporterError, SourceError
from neptune_exporter.toolkit import SlowError, one_line
from neptune_exporter.toolkit.http_errors import (
    TOKEN_OPTION,
    connection_error,
    is_web_page,
    not_a_token,
    not_the_protocol,
    refused_token,
    said,
    web_page_message,
)

TRUST = (
    "set REQUESTS_CA_BUNDLE to the file of its authority, or NEPTUNE_ALLOW_SELF_SIGNED_CERTIFICATE=TRUE "
    "for a server that you trust"
)
_REFUSED = frozenset({400, 401, 403, 422})
"""The handshake sends nothing but the token. Servers of 2.x answer one of another form with 400 ("Invalid
value for: header X-Neptune-Api-Token")."""

_T = TypeVar("_T")


def translated(what: str, server: str, call: Callable[[], _T]) -> _T:
    """Call a function of the client that authenticates.

    Args:
        what: What the function does, in words for a person.
        server: The address of the server, without a path.

    Raises:
        AuthenticationError: the token was refused, or is no token.
        MissingDependencyError: the server wants another client.
        SourceError: anything else; a TransientError for what may pass.
        OSError: a file is missing that the environment names.
    """
    from bravado.exception import HTTPError

    try:
        return call()
    except (HTTPError, requests.RequestException) as error:
        raise _of_http(error, what, server) from None
    except SlowError as error:
        raise SlowError(f"{what} failed: {server}: {error}") from None
    except (OSError, NeptuneExporterError, ImportError):
        raise
    except Exception as error:
        raise _of_client(error, what, server) from error


def _of_client(error: Exception, what: str, server: str) -> NeptuneExporterError:
    from neptune.common import exceptions as common
    from neptune.exceptions import CannotResolveHostname, NeptuneClientUpgradeRequiredError
    from oauthlib.oauth2 import InsecureTransportError  # type: ignore[import-untyped]

    if isinstance(error, InsecureTransportError):
        return SourceError(
            f"the API token names a server without TLS ({server}), which Neptune's client refuses: "
            "set OAUTHLIB_INSECURE_TRANSPORT=1 if no other person can read along on the way to it"
        )
    if refusal := _of_refusal(error, what, server):
        return refusal
    if isinstance(error, NeptuneClientUpgradeRequiredError):
        return MissingDependencyError(one_line(f"{what}: the server wants another client: {error}", 500))
    if isinstance(error, CannotResolveHostname):  # which the client looks up itself, also behind a proxy
        return SourceError(
            f"{what} failed: the name of {server} is not known here (it is from {TOKEN_OPTION}); "
            "Neptune's client needs it also where HTTPS_PROXY is set"
        )
    if isinstance(error, common.NeptuneConnectionLostException):
        return _of_http(error.cause or error, what, server)
    if isinstance(error, common.ClientHttpError):
        return _of_status(error.status, str(error.response), what, server)
    if isinstance(error, common.NeptuneException):  # its text is a page with banners
        return SourceError(f"{what} failed: {type(error).__name__}")
    return not_the_protocol(server, what, {}, _content(error))


def _of_refusal(error: Exception, what: str, server: str) -> NeptuneExporterError | None:
    """The error if the token was not taken."""
    from bravado.exception import HTTPError
    from neptune.common import exceptions as common
    from oauthlib.oauth2 import MissingTokenError, OAuth2Error

    said_no, answer = (common.Unauthorized, common.Forbidden), error.__context__
    if isinstance(error, said_no) and isinstance(answer, HTTPError):
        return _of_status(answer.status_code, _text(answer), what, server)
    if isinstance(error, common.NeptuneInvalidApiTokenException) and not server:
        return not_a_token()  # the client also raises it for what a server says of a token
    refused = (common.NeptuneInvalidApiTokenException, *said_no, common.NeptuneAuthTokenExpired)
    is_grant = isinstance(error, OAuth2Error) and not isinstance(error, MissingTokenError)
    return (
        refused_token(f"{what}: {type(error).__name__}") if isinstance(error, refused) or is_grant else None
    )


def _of_http(error: Any, what: str, server: str) -> NeptuneExporterError:
    """An exception of bravado or requests as an error of ours."""
    from bravado.exception import HTTPError

    if isinstance(error, HTTPError):
        return _of_status(error.status_code, _text(error), what, server)
    exceptions = requests.exceptions
    if isinstance(error, exceptions.InvalidJSONError):
        return not_the_protocol(server, what, {}, _content(error))
    if isinstance(error, (exceptions.InvalidURL, exceptions.InvalidSchema, exceptions.MissingSchema)):
        return refused_token(f"{server} is not the address of a server")
    if isinstance(error, exceptions.HTTPError) and error.response is not None:
        return _of_status(error.response.status_code, error.response.text, what, server)
    if isinstance(error, exceptions.TooManyRedirects):
        return SourceError(f"{what} failed: {server} redirects without end; is it the right address?")
    if isinstance(error, exceptions.ReadTimeout):
        return SourceError(f"{what} failed: {server} gave no answer in time")
    return connection_error(error, server, TRUST, TOKEN_OPTION)


def _of_status(status: int, text: str, what: str, server: str) -> NeptuneExporterError:
    content = text.encode("utf-8", "replace")
    if is_web_page({}, content):
        return SourceError(f"{what} failed with HTTP {status}: {web_page_message(server, content)}")
    if status in _REFUSED:
        return refused_token(f"{what}: {server} answered HTTP {status}{said(content)}")
    hint = "; is this a server of Neptune 2.x?" if status == 404 else ""
    return SourceError(f"{what} failed: {server} answered HTTP {status}{said(content)}{hint}")


def _text(error: Any) -> str:
    """The body of the answer that bravado raised."""
    return str(getattr(error.response, "text", "") or "")


def _content(error: BaseException) -> bytes | None:
    """The text that could not be read, if the error has it.

    `doc` of a JSONDecodeError; `obj` of an AttributeError: bravado gives a body of another type as text.
    """
    for name in ("doc", "obj"):
        text = getattr(error, name, None)
        if isinstance(text, str):
            return text.encode("utf-8", "replace")
    return None

"""What an HTTP answer, or the lack of one, means to a source: an error in one line that a person can act on.

Independent of any HTTP library. Errors name only the host of an address, which may be signed.

    if not 200 <= status < 300:
        raise error_of_status(status, headers, content, "https://app.example.com")
    try:
        entries = json.loads(content)["entries"]
    except (KeyError, TypeError, ValueError):
        raise not_the_protocol("https://app.example.com", "the list of runs", headers, content) from None
"""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from neptune_exporter.contract.settings import Secret
from neptune_exporter.errors import AuthenticationError, NeptuneExporterError, SourceError
from neptune_exporter.redaction import one_line
from neptune_exporter.toolkit.retrying import (
    AWAY_STATUSES,
    TRANSIENT_STATUSES,
    AwayError,
    TransientError,
    retry_after,
)

TOKEN_OPTION = "--api-token or NEPTUNE_API_TOKEN"
_PAGE = re.compile(rb"\s*<(!doctype html|html|head|body)\b", re.IGNORECASE)
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


class RequestRefusedError(SourceError):
    """The server refused the request for good. `status`: of HTTP.

    Examples:
        >>> error = error_of_status(404, {}, b'{"message": "no such run"}', "https://acme.example.com")
        >>> isinstance(error, RequestRefusedError), error.status
        (True, 404)
    """

    def __init__(self, message: str, status: int, attempts: int = 1) -> None:
        super().__init__(message)
        self.status = status
        self.attempts = attempts


class StoppedError(SourceError):
    """Not sent, because the export is ending.

    Examples:
        >>> raise StoppedError("acme/vision:RUN-1: train/loss was not read, the export ends")
        Traceback (most recent call last):
        neptune_exporter.toolkit.http_errors.StoppedError: acme/vision:RUN-1: train/loss was not read, ...
    """


class InternalError(TransientError):
    """HTTP 500. It seldom passes, and often means damaged data.

    Examples:
        >>> error = error_of_status(500, {}, b"", "https://acme.example.com")
        >>> isinstance(error, InternalError), str(error)
        (True, 'HTTP 500')
    """

    status = 500


class UnreadableError(InternalError):
    """An answer with status 200 whose body does not follow the protocol.

    Examples:
        >>> error = not_the_protocol("https://acme.example.com", "the list of runs", {}, b"")
        >>> isinstance(error, UnreadableError)
        True
    """

    status = 200


class WebPageError(AwayError):
    """A web page came in place of an answer: a proxy or portal answers for the server.

    Examples:
        >>> error = not_the_protocol("https://acme.example.com", "the list of runs", {}, b"<html>login")
        >>> isinstance(error, WebPageError)
        True
    """


def error_of_status(
    status: int, headers: Mapping[str, str], content: bytes, server: str
) -> NeptuneExporterError:
    """The error for an answer whose status is not a success.

    Args:
        server: The address of the server, without a path.

    Returns:
        AuthenticationError for 401; TransientError, AwayError or InternalError if another attempt may
        succeed; RequestRefusedError for the rest.

    Examples:
        >>> server = "https://acme.example.com"
        >>> error = error_of_status(429, {"Retry-After": "30"}, b'{"message": "too many requests"}', server)
        >>> error, error.wait
        (TransientError('HTTP 429, too many requests'), 30.0)
        >>> raise error_of_status(403, {}, b'{"message": "no access to acme/vision"}', server)
        Traceback (most recent call last):
        neptune_exporter.toolkit.http_errors.RequestRefusedError: HTTP 403, no access to acme/vision
    """
    message = f"HTTP {status}{said(content)}"
    if status == 401:
        return refused_token(f"{server} answered {message}")
    if status in TRANSIENT_STATUSES:
        kind = AwayError if status in AWAY_STATUSES else InternalError if status == 500 else TransientError
        return kind(message, retry_after(headers))
    if 300 <= status < 400:
        place = urlsplit(_header(headers, "location")).hostname or "another address"
        message += (
            f": {server} redirects to {place}, perhaps a login page; is its address right, "
            f"which is from {TOKEN_OPTION}?"
        )
    if status == 407:
        message += ": the proxy that HTTPS_PROXY or HTTP_PROXY names wants a user name and a password"
    return RequestRefusedError(message, status)


def refused_token(why: str) -> AuthenticationError:
    """The server does not take the API token.

    Examples:
        >>> raise refused_token("HTTP 401")
        Traceback (most recent call last):
        neptune_exporter.errors.AuthenticationError: the API token was refused (HTTP 401): ...
    """
    return AuthenticationError(
        f"the API token was refused ({why}): it is wrong, has expired, or is for another server. "
        f"Give a valid one with {TOKEN_OPTION}"
    )


def not_a_token() -> AuthenticationError:
    """What was given as API token is none: a client cannot read it.

    Examples:
        >>> raise not_a_token()
        Traceback (most recent call last):
        neptune_exporter.errors.AuthenticationError: this is not an API token of Neptune ...
    """
    return AuthenticationError(
        "this is not an API token of Neptune (base64 of JSON with its address and a key): "
        f"copy it from Neptune again and give it with {TOKEN_OPTION}"
    )


def token_of(secret: Secret) -> str:
    """The API token as its clients send it: without white space around it.

    Raises:
        AuthenticationError: it is empty, or holds a character that no token has, such as a space.

    Examples:
        >>> token_of(Secret("eyJhcGlfa2V5\\n"))
        'eyJhcGlfa2V5'
    """
    token = secret.as_token()
    if token is None:
        raise AuthenticationError(
            "the API token is empty, or holds a space, a line end or another character that no token has: "
            f"copy it from Neptune again and give it with {TOKEN_OPTION}"
        )
    return token


def said(content: bytes) -> str:
    """What the JSON of a Neptune error says, after a comma; empty if it says nothing.

    Examples:
        >>> "HTTP 404" + said(b'{"title": "Project not found"}')
        'HTTP 404, Project not found'
        >>> "HTTP 404" + said(b"<html>")
        'HTTP 404'
    """
    try:
        body = json.loads(content)
    except ValueError:
        return ""
    for name in ("message", "title", "errorType"):
        text = body.get(name) if isinstance(body, dict) else None
        if isinstance(text, str) and text.strip():
            return ", " + one_line(text, 200)
    return ""


def not_the_protocol(
    server: str, asked: str, headers: Mapping[str, str], content: bytes | None
) -> TransientError:
    """The error for an answer with status 200 whose body is not what a Neptune server sends.

    Args:
        server: Its address, without a path.
        asked: What was requested, in words for a person.
        content: None if it is not known.

    Returns:
        A WebPageError for a page of HTML, such as a portal's, else an UnreadableError.

    Examples:
        >>> print(not_the_protocol("https://acme.example.com", "the list of runs", {}, b"OK"))
        the answer of https://acme.example.com to the list of runs cannot be read (2 bytes ...
    """
    if is_web_page(headers, content or b""):
        return WebPageError(web_page_message(server, content or b""))
    if content is None:
        what = "it is not what a server of Neptune sends"
    elif not content:
        what = "it is empty"
    else:
        begin = one_line(content[:40].decode("ascii", "replace"), 40)
        what = f"{len(content):,} bytes that begin with {begin!r}"
    return UnreadableError(
        f"the answer of {server} to {asked} cannot be read ({what}): "
        "run this again; if that does not help, ask the administrator of the server"
    )


def is_web_page(headers: Mapping[str, str], content: bytes) -> bool:
    """Whether a body is HTML, by its header or its beginning.

    Examples:
        >>> is_web_page({"Content-Type": "text/html"}, b""), is_web_page({}, b'{"entries": []}')
        (True, False)
    """
    return _header(headers, "content-type").lower().startswith("text/html") or bool(_PAGE.match(content))


def web_page_message(server: str, content: bytes) -> str:
    """The text of a `WebPageError`, with the title of the page.

    Examples:
        >>> print(web_page_message("https://acme.example.com", b"<html><title>Sign in</title></html>"))
        https://acme.example.com answered with a web page ("Sign in") and not as ...
    """
    found = _TITLE.search(content)
    title = one_line(found[1].decode("utf-8", "replace"), 80) if found else ""
    named = f' ("{title}")' if title else ""
    return (
        f"{server} answered with a web page{named} and not as Neptune's API does: a login page or a proxy "
        f"is in between, or the API token ({TOKEN_OPTION}) is of another server. Log in to the network, or "
        "set HTTPS_PROXY or NO_PROXY"
    )


def connection_error(error: BaseException, url: str, trust: str, address_from: str = "") -> SourceError:
    """The error for a request that got no answer.

    Args:
        url: The address of the request. The error names only its host and port, because it may be signed.
        trust: What to do where the server's certificate is not trusted.
        address_from: The option that the address is from, if it is from one.

    Returns:
        An AwayError, or a SourceError for a certificate that is not trusted.

    Examples:
        >>> trust = "name its certificate in SSL_CERT_FILE"
        >>> print(connection_error(ConnectionRefusedError(), "http://127.0.0.1:9/api", trust))
        the server 127.0.0.1:9 cannot be reached: the connection was refused
    """
    server = server_of(url)
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return SourceError(
                f"the certificate of {server} is not trusted ({cause.verify_message}): {trust}"
            )
    proxy = _proxy_of(url)
    through = f" through {proxy}" if proxy else ""
    option = f" (its address is from {address_from})" if address_from and not proxy else ""
    return AwayError(f"{server} cannot be reached{through}: {_why(error)}{option}")


def server_of(url: str) -> str:
    """The server of an address, for a person: without its path and query, which may be signed.

    >>> server_of("https://me:key@app.example.com/run?signature=x")
    'the server app.example.com'
    """
    host = urlsplit(url).netloc.rpartition("@")[2]
    return f"the server {host}" if host else "the server"


def _why(error: BaseException) -> str:
    causes = list(_causes(error))
    for kind, why in (
        (socket.gaierror, "its name is not known here"),
        (ConnectionRefusedError, "the connection was refused"),
        (ConnectionResetError, "the connection was reset"),
        (TimeoutError, "no connection came about in time"),
    ):
        if any(isinstance(cause, kind) for cause in causes):
            return why
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed ({cause.reason or type(cause).__name__})"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return f"no answer ({type(error).__name__})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it came from, also where urllib3 puts it: `reason` and `args`."""
    left, seen = [error], set[int]()
    while left:
        each = left.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        found = (each.__cause__, each.__context__, getattr(each, "reason", None), *each.args)
        left.extend(cause for cause in found if isinstance(cause, BaseException))


def _proxy_of(url: str) -> str:
    """The proxy that the environment names for an address, without credentials; empty if none."""
    split = urlsplit(url)
    proxies = getproxies()
    name = split.scheme if split.scheme in proxies else "all"
    if name not in proxies or proxy_bypass(split.netloc):
        return ""
    proxy = urlsplit(proxies[name] if "//" in proxies[name] else f"//{proxies[name]}")
    return f"the proxy {proxy.netloc.rpartition('@')[2]} ({name.upper()}_PROXY)"


def _header(headers: Mapping[str, str], wanted: str) -> str:
    return next((value for name, value in headers.items() if name.lower() == wanted), "")

"""Uses internals of the `neptune` client for its handshake and its authenticated session.

Only this module and `client_errors` import the client.

The public API of the client loses instants at clock changes, steps and times of
images, and every run that has both `x` and `x/y`. So this module uses these internals of
neptune-client 1.14 (tests/test_client.py checks each):

- `neptune.version.version`
- `neptune.internal.credentials.Credentials.from_token(token)`
- `neptune.internal.backends.hosted_neptune_backend.HostedNeptuneBackend(credentials)`: the handshake;
  `._client_config.api_url`, `.display_url`; `._http_client`, which is a bravado `RequestsClient`:
  - `.session`, a `requests.Session`; `.ssl_verify`, `.ssl_cert`
  - `.authenticator.apply(request)`: puts in the access token, renewed when it is about to expire
  - `.authenticator.auth`, which as the `auth` of a request puts in the access token;
    `.token_expires_at`: seconds since 1970, 0 makes it renew the token; `.session`, a `requests.Session` that
    renews it, whose `.token` is the one in use; `.session_factory()` makes another session where it cannot
- `neptune.internal.backends.hosted_client._set_pool_size(http_client)`, called for every client that is made,
  before its first request; neptune's own experimental package replaces it
- exceptions of `neptune.common.exceptions` and `neptune.exceptions` (`client_errors`)
- the loggers `neptune` and `neptune_no_prefix`, which write to standard output
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import requests

from neptune_exporter.contract import MissingDependencyError, Secret
from neptune_exporter.toolkit import check_certificates, check_proxies
from neptune_exporter.toolkit.http_errors import token_of
from neptune_exporter_neptune2.adapter import PacedAdapter, mount
from neptune_exporter_neptune2.client_errors import translated

LOWEST, BELOW = "1.14", "2"
"""The versions of the client that this module was written for."""

_FRESH = 60.0
"""With more seconds of life than this, an access token needs no look by the client, which renews it with 30
left."""
_PLAIN = re.compile(r"[A-Za-z0-9:/._~-]+")
"""An address in which nothing has to be quoted."""
_LEGACY_HEADER = {"X-Neptune-LegacyClient": "false"}


class Connection:
    """An authenticated session with one server. Safe to use from several threads."""

    def __init__(self, api_token: Secret, connections: int, timeout: float) -> None:
        """Carry out the handshake.

        Args:
            connections: How many are kept open for reuse.
            timeout: Seconds to wait for bytes of an answer.

        Raises:
            MissingDependencyError: the client is missing or of a version that is not known.
            AuthenticationError: the server refused the token.
            SourceError: the server cannot be reached.
            UsageError: a variable for certificates or a proxy holds something else.
        """
        self.client_version = _checked_version()
        _keep_off_standard_output()
        from neptune.internal.backends import hosted_client
        from neptune.internal.backends.hosted_neptune_backend import HostedNeptuneBackend
        from neptune.internal.credentials import Credentials

        self._adapter = PacedAdapter(timeout, connections)
        hosted_client._set_pool_size = lambda http_client: mount(http_client.session, self._adapter)
        check_certificates("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
        check_proxies("socks")
        token = token_of(api_token)
        credentials = translated("reading the API token", "", lambda: Credentials.from_token(token))
        self.server = _origin(str(credentials.api_url_opt or credentials.token_origin_address))
        backend = translated("the handshake", self.server, lambda: HostedNeptuneBackend(credentials))
        try:
            self._http: Any = backend._http_client
            self._session: requests.Session = self._http.session
            self._authenticator: Any = self._http.authenticator
            self._auth: Any = self._authenticator.auth
            _ = self._auth.token_expires_at, self._auth.session.token, self._auth.session_factory
            self._hide_token()
            self._api_url = str(backend._client_config.api_url).rstrip("/") + "/"
            self.server = _origin(self._api_url)
            """The address of the API, without a path."""
            self.address = str(backend._client_config.display_url).rstrip("/")
            """The address of the web application."""
        except AttributeError as error:
            raise MissingDependencyError(
                f"neptune-client {self.client_version} is built differently ({error}): "
                f"install neptune-client>={LOWEST},<{BELOW}"
            ) from None
        self._renewing = threading.Lock()
        self._first: requests.PreparedRequest | None = None
        """What a plain GET is copied from, as long as the access token is the same."""
        self._used: object = None
        """That access token."""
        self._environment = cache(self._environment_of)
        mount(self._session, self._adapter)  # which the client shares between backends of one token
        self._pace_renewals()

    def send(
        self,
        method: str,
        url: str,
        params: Mapping[str, str | int] | None = None,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """One request, once; the body of its answer was not read yet.

        The access token goes to the server of the API only.

        Args:
            url: A path below the server's address, or an address that the server gave.

        Raises:
            requests.RequestException: as `requests` raises it.
            AuthenticationError: the token cannot be renewed.
            SourceError: the server could not be reached to renew it.
        """
        address, server = _absolute(self._api_url, url)
        is_api = server == _absolute(self._api_url, "")[1]
        is_plain = is_api and method == "GET" and headers is None and body is None
        settings = self._environment(server)
        # `Session.send` would double the time, and only downloads need the redirections that it follows.
        if is_plain and not self._session.cookies and self._is_fresh and _PLAIN.fullmatch(address):
            prepared = self._prepared(address, params or {})
            response = self._adapter.fetch(prepared, **settings)
        else:
            request = requests.Request(
                method, address, params=params, json=body, headers={**_LEGACY_HEADER, **(headers or {})}
            )
            prepared = self._session.prepare_request(self._authorised(request) if is_api else request)
            response = self._adapter.send(prepared, stream=True, **settings)
        if response.is_redirect:
            response.close()
            return self._session.send(prepared, stream=True, **settings)
        if response.cookies:
            self._session.cookies.update(response.cookies)
        return response

    def _prepared(self, address: str, params: Mapping[str, str | int]) -> requests.PreparedRequest:
        """A GET as the session would prepare it, which takes a third of the time of a small request."""
        token = self._auth.session.token
        if self._first is None or token is not self._used:
            request = requests.Request("GET", self._api_url, headers=_LEGACY_HEADER, auth=self._auth)
            self._first, self._used = self._session.prepare_request(request), token
        prepared = copy(self._first)
        prepared.url = f"{address}?{'&'.join(map(_query, params.items()))}" if params else address
        return prepared

    @property
    def _is_fresh(self) -> bool:
        """Whether the access token need not be renewed yet."""
        return bool(self._auth.token_expires_at - time.time() > _FRESH)

    def _authorised(self, request: requests.Request) -> requests.Request:
        if self._is_fresh:
            request.auth = self._auth  # all that `apply` does then, and no thread waits for another
            return request
        with self._renewing:  # without it, every thread would renew an expired token
            applied: requests.Request = translated(
                "renewing the access token", self.server, lambda: self._authenticator.apply(request)
            )
            self._hide_token()
        return applied

    def _pace_renewals(self) -> None:
        """Mount the adapter in the sessions that renew the access token: the client makes them elsewhere."""
        make = self._auth.session_factory

        def made() -> Any:
            session = make()
            mount(session, self._adapter)
            return session

        self._auth.session_factory = made
        mount(self._auth.session, self._adapter)

    def _hide_token(self) -> None:
        """Keep the access token out of logs and messages: a server may quote it."""
        for name in ("access_token", "refresh_token"):
            Secret(str((self._auth.session.token or {}).get(name) or ""))

    def _environment_of(self, server: str) -> dict[str, Any]:
        """Proxies and CAs of the environment for a server, which `Session.send` ignores.

        bravado's RequestsFutureAdapter reads them for each request, which takes as long as all other
        preparation; here they are read once for each server.
        """
        found = self._session.merge_environment_settings(
            server, {}, None, self._http.ssl_verify, self._http.ssl_cert
        )
        return {name: value for name, value in found.items() if name != "stream"}

    def renew_token(self, refused: requests.Response) -> None:
        """Make the next request renew the access token, unless that was done since this one was refused."""
        used = str(refused.request.headers.get("Authorization", ""))
        with self._renewing:
            token = self._auth.session.token or {}
            if used.endswith(str(token.get("access_token"))):
                self._auth.token_expires_at = 0

    def close(self) -> None:
        """Let go of the connections. (The client shares its session between backends of one token.)"""
        self._session.close()


@lru_cache(maxsize=64)
def _absolute(api_url: str, url: str) -> tuple[str, str]:
    """The address of a path below that of the API (or an address), and that of its server."""
    address = urljoin(api_url, url)
    return address, "{}://{}/".format(*urlsplit(address))


@lru_cache(maxsize=64)
def _query(parameter: tuple[str, str | int]) -> str:
    """A parameter of a request. Those of one run are nearly the same in all of its requests."""
    return urlencode([parameter])


def _checked_version() -> str:
    """Raises MissingDependencyError if there is no client, or none of a known version."""
    wanted = f"install neptune-client>={LOWEST},<{BELOW}"
    try:
        # In a thread, whose stack is short: the client imports a grammar of jsonschema, which deep recursion
        # builds. At an unlucky depth, Python 3.11 maps and unmaps memory at each of those calls, and every
        # command took 5 s of processor time instead of 3.
        with ThreadPoolExecutor(1) as alone:
            version = alone.submit(_imported_version).result()
        from packaging.version import Version
    except RuntimeError:  # the client's own check, when it is imported
        raise MissingDependencyError(
            "neptune and neptune-client are both installed, and the client refuses to work then: "
            "uninstall both, and install neptune alone"
        ) from None
    except ImportError as error:
        message = f"the client of Neptune 2.x cannot be imported ({error}): {wanted}"
        raise MissingDependencyError(message) from None
    if not Version(LOWEST) <= Version(version) < Version(BELOW):
        raise MissingDependencyError(f"neptune-client {version} is not known to this exporter: {wanted}")
    return version


def _imported_version() -> str:
    """Imports the client without its advice to install it under its other name, at every command."""
    with warnings.catch_warnings(record=True) as caught:
        from neptune.version import version
    for each in caught:
        if each.category.__name__ != "NeptuneDeprecationWarning":
            warnings.showwarning(
                each.message, each.category, each.filename, each.lineno, each.file, each.line
            )
    return str(version)


def _keep_off_standard_output() -> None:
    """Send what the client logs to the log: standard output is for results."""
    for name in ("neptune", "neptune_no_prefix"):
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
                logger.removeHandler(handler)
        logger.propagate = True


def _origin(address: str) -> str:
    """The address of a server without a path, with the scheme that the client would add."""
    split = urlsplit(address if "//" in address else f"https://{address}")
    return f"{split.scheme}://{split.netloc.rpartition('@')[2]}"

"""Where the API key comes from, and the addresses of Pluto's services."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from urllib.parse import urlsplit

import httpx

from neptune_exporter.contract import Secret, UsageError
from neptune_exporter_pluto.settings import PlutoSettings

_KEYRING_NAME = "pluto"
"""Service and user name under which `pluto login` stores the key (pluto-ml 0.0.29, `pluto.auth.login`)."""


@dataclass(frozen=True)
class Endpoints:
    """Base addresses of the services, without a slash at the end."""

    api: str
    ingest: str
    option: str = field(default="", compare=False)
    """Where the API's address is from, for messages: an option, or a variable."""

    @property
    def host(self) -> str:
        """Identifies this Pluto."""
        return urlsplit(self.api).netloc


_DEFAULT = "the default; another is --pluto-host, or PLUTO_URL_API and PLUTO_URL_INGEST"
_WEB_PAGE = "pluto.trainy.ai"
_HOSTED = Endpoints("https://pluto-api.trainy.ai", "https://pluto-ingest.trainy.ai")


def find_endpoints(settings: PlutoSettings) -> Endpoints:
    """The addresses: `PLUTO_URL_*` over the host over the hosted service. Raises UsageError if the host is
    not valid."""
    base = _HOSTED if settings.host is None else _of_host(settings.host)
    api, ingest = settings.url_api or base.api, settings.url_ingest or base.ingest
    option = "PLUTO_URL_API" if settings.url_api else "--pluto-host" if settings.host else _DEFAULT
    return Endpoints(_checked("PLUTO_URL_API", api), _checked("PLUTO_URL_INGEST", ingest), option)


def _of_host(host: str) -> Endpoints:
    if "://" not in host:
        if any(c in host for c in "/?#@ ") or not host:
            raise UsageError(f"--pluto-host takes a host name such as pluto.example.org, not {host!r}")
        if ":" in host.removesuffix("]") and not host.startswith("["):
            raise UsageError(
                f"--pluto-host takes a host name without a port, not {host!r}: where the ports are not 3001 "
                "and 3003, set PLUTO_URL_API and PLUTO_URL_INGEST"
            )
        return Endpoints(f"http://{host}:3001", f"http://{host}:3003")
    return _HOSTED if urlsplit(host).netloc == _WEB_PAGE else Endpoints(host, host)


def _checked(variable: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):  # an impossible port, IPv6 address or name
        raise UsageError(f"{variable}: this is not the address of a Pluto service") from None
    if parts.username or parts.password:
        raise UsageError(
            f"the address of {parts.hostname} holds a user name or password: leave it out, "
            "the key of Pluto goes into PLUTO_API_KEY"
        )
    if not is_address or parts.query:
        shown = parts._replace(query="", fragment="").geturl()
        raise UsageError(f"{variable}: {shown!r} is not the address of a Pluto service")
    return url.rstrip("/")


def find_api_key(settings: PlutoSettings) -> Secret:
    """The given key, or the one that `pluto login` stored. Raises UsageError if there is no key."""
    key = settings.api_key or _stored_key()
    if key is None or not key.reveal().strip():
        login = ", or run `pluto login <key>` once" if _has_login() else ""
        raise UsageError(f"no API key of Pluto: set PLUTO_API_KEY, or give --pluto-api-key @FILE{login}")
    token = key.as_token()
    if token is None:
        raise UsageError(
            "the API key of Pluto holds a space, a line end or another character that no key has: "
            "copy it again"
        )
    return Secret(token)


def _has_login() -> bool:
    """Whether the command `pluto login` is installed: it is in the SDK, which this loader does not need."""
    return find_spec("pluto") is not None


def _stored_key() -> Secret | None:
    """The key that `pluto login` stored: in the keychain on macOS, in the plain file of keyrings.alt
    elsewhere.

    Does not import the SDK: that takes over a second and starts services that a loader does not need.
    """
    if sys.platform == "darwin":
        import keyring
        from keyring.errors import KeyringError

        try:
            stored = keyring.get_password(_KEYRING_NAME, _KEYRING_NAME)
        except KeyringError:
            return None
    else:
        from keyrings.alt.file import PlaintextKeyring  # type: ignore[import-untyped]

        stored = PlaintextKeyring().get_password(_KEYRING_NAME, _KEYRING_NAME)
    return Secret(stored) if stored else None

"""Variables that HTTP clients take from the environment: checked first, for their own errors name neither
the variable nor what is wrong with it."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from neptune_exporter.errors import UsageError

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_SOCKS = {
    "socks": ("PySocks", ("socks4", "socks4a", "socks5", "socks5h")),
    "socksio": ("socksio", ("socks5", "socks5h")),
}
"""What installs each module, and the schemes that its client accepts (requests 2, httpx 0.28)."""


def check_certificates(*variables: str) -> None:
    """Check that the first set variable names certificates: a file of PEM, or a folder.

    Raises:
        UsageError: there is no such file, it cannot be read, or it holds no certificate.
    """
    for variable in variables:
        if path := os.environ.get(variable):
            _check_certificates(f"the variable {variable}", Path(path))
            return


def _check_certificates(variable: str, path: Path) -> None:
    import ssl  # only where a variable is set: it takes as long as the rest of a small command

    if not path.exists():
        raise UsageError(f"{variable}: there is no file {path} with certificates")
    if path.is_dir():
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        raise UsageError(f"{variable}: {path} holds no certificates in PEM form") from None
    except OSError as error:
        raise UsageError(f"{variable}: {path} cannot be read: {error.strerror}") from None


def check_proxies(socks: str) -> None:
    """Check that the variables for proxies hold addresses of proxies, as clients understand them.

    The value is not shown, for it may hold a password.

    Args:
        socks: The module that the client needs for SOCKS proxies: `socks` of requests, `socksio` of httpx.

    Raises:
        UsageError: one does not, or is of a SOCKS proxy and the module is not installed.
    """
    for variable, value in os.environ.items():
        name = variable.lower()
        if name in _PROXIES and value.strip():
            _check_proxy(f"the variable {variable}", value.strip(), socks)
        elif name == "no_proxy" and "[" in value:  # httpx fails on them, and no client needs them
            raise UsageError(f"the variable {variable}: write addresses of IPv6 without brackets")


def _check_proxy(variable: str, value: str, socks: str) -> None:
    distribution, socks_schemes = _SOCKS[socks]
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        is_address = parts.scheme in ("http", "https", *socks_schemes) and _is_host(parts.hostname)
        is_address = is_address and parts.port != 0
    except ValueError:  # of brackets or of the port
        is_address = False
    if not is_address:
        raise UsageError(f"{variable} does not hold the address of a proxy, such as http://HOST:PORT")
    if parts.scheme in socks_schemes and find_spec(socks) is None:
        raise UsageError(f"{variable} names a SOCKS proxy, which needs: pip install {distribution}")


def _is_host(host: str | None) -> bool:
    """Whether it can be one: an address of IPv6, or a name that IDNA takes."""
    if not host or any(char.isspace() for char in host):
        return False
    if ":" in host:
        return True
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True

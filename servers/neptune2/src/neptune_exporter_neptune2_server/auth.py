"""Tokens: the API token of a user, and the access and refresh tokens exchanged for it.

The forms are those that `neptune.common.oauth` reads: a JWT with `exp`, `azp` and
`iss`, refreshed with a form post to `{iss}/protocol/openid-connect/token`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from dataclasses import dataclass

from neptune_exporter_neptune2_server.errors import ApiError

CLIENT_ID = "neptune-cli"
REALM = "/auth/realms/neptune"


@dataclass(frozen=True)
class Grant:
    access_token: str
    refresh_token: str
    seconds: float


class Tokens:
    """What the server has issued, and until when it holds.

    The client refreshes when fewer than 30 seconds are left, so a lifetime below
    that makes it refresh before every request.
    """

    def __init__(self, base_url: str) -> None:
        self.lifetime: float = 3600.0
        """Seconds that an access token issued from now on is good for."""
        self.issued = 0
        """How many access tokens were issued, the first of each session included."""
        self._issuer = base_url + REALM
        self._secret = secrets.token_bytes(32)
        self._access: dict[str, float] = {}
        self._refresh: set[str] = set()
        self._doomed: set[str] = set()
        self._doomed_after = 0
        self._lock = threading.Lock()
        key = {"api_address": base_url, "api_url": base_url, "api_key": secrets.token_hex(16)}
        self.api_token = base64.b64encode(json.dumps(key).encode()).decode()
        """What a user would put into NEPTUNE_API_TOKEN; different for every server."""

    def check_api_token(self, token: str | None) -> None:
        if token is None or not hmac.compare_digest(token.encode(), self.api_token.encode()):
            raise ApiError(401, "the API token is not valid")

    def check_access(self, authorization: str | None) -> None:
        """401 unless the header holds an access token that is still good."""
        scheme, _, token = (authorization or "").partition(" ")
        with self._lock:
            if self._doomed and self._doomed_after == 0:
                self._access.update(dict.fromkeys(self._doomed, 0.0))
                self._doomed.clear()
            self._doomed_after = max(0, self._doomed_after - 1)
            until = self._access.get(token) if scheme == "Bearer" else None
        if until is None:
            raise ApiError(401, "no valid access token")
        if until < time.time():
            raise ApiError(401, "the access token has expired", "AUTHORIZATION_TOKEN_EXPIRED")

    def issue(self) -> Grant:
        now = time.time()
        payload = {
            "iss": self._issuer,
            "azp": CLIENT_ID,
            "iat": int(now),
            "exp": now + self.lifetime,
            "jti": secrets.token_hex(8),
        }
        text = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(payload)}"
        signature = hmac.new(self._secret, text.encode(), hashlib.sha256).digest()
        grant = Grant(f"{text}.{_encode(signature)}", secrets.token_hex(16), self.lifetime)
        with self._lock:
            self._access[grant.access_token] = now + self.lifetime
            self._refresh.add(grant.refresh_token)
            self.issued += 1
        return grant

    def refresh(self, form: dict[str, str]) -> Grant | None:
        """A new grant for a refresh token; None if the token or the form is not good."""
        with self._lock:
            known = form.get("refresh_token") in self._refresh
        good = known and form.get("grant_type") == "refresh_token" and form.get("client_id") == CLIENT_ID
        return self.issue() if good else None

    def expire(self, after_requests: int = 0) -> None:
        """Refuse all access tokens issued so far, after this many more requests.

        The real server does this when its clock is ahead of the client's, or a
        session was ended by an administrator.
        """
        with self._lock:
            self._doomed = set(self._access)
            self._doomed_after = after_requests

    def expire_refresh(self) -> None:
        """Refuse all refresh tokens issued so far: the client then exchanges its API token again."""
        with self._lock:
            self._refresh.clear()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _part(value: dict[str, object]) -> str:
    return _encode(json.dumps(value).encode())

"""Tokens: the API key that users hold, the short-lived access tokens, their refresh.

Access tokens are JWTs, as the client reads `exp`, `azp` and `iss` from them
(`OAuthToken.from_tokens`); it renews one that has less than 30 seconds left.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from typing import Any
from urllib.parse import parse_qs

from neptune_exporter.testing.loopback import Request, Response

from .errors import ApiError

REALM = "/auth/realms/neptune"
TOKEN_PATH = f"{REALM}/protocol/openid-connect/token"
EXCHANGE_PATH = "/api/backend/v1/authorization/oauth-token"


class Tokens:
    """What a server has issued. `lifetime`: seconds that an access token is good for."""

    def __init__(self, lifetime: float) -> None:
        self.lifetime = lifetime
        self.refuse_refresh = False
        """Answer the next refreshes as if the session had ended; the client then starts again."""
        self.api_key = secrets.token_hex(16)
        self._secret = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._access: dict[str, float] = {}
        self._refresh: set[str] = set()
        self._accepted_key: str | None = self.api_key
        self._expire_after: int | None = None

    def api_token(self, url: str) -> str:
        """What a user puts into NEPTUNE_API_TOKEN."""
        return _b64(json.dumps({"api_address": url, "api_url": url, "api_key": self.api_key}).encode())

    def revoke_api_token(self) -> None:
        """The API token is rejected from now on, and every access token with it."""
        with self._lock:
            self._accepted_key = None
            self._access.clear()
            self._refresh.clear()

    def expire(self, after_requests: int = 0) -> None:
        """Access tokens issued so far are refused with 401, at once or after a number of further requests."""
        with self._lock:
            if after_requests:
                self._expire_after = after_requests
            else:
                self._access.clear()

    def exchange(self, request: Request, url: str) -> Response:
        try:
            given = json.loads(base64.b64decode(request.headers.get("x-neptune-api-token", "")))["api_key"]
        except (ValueError, KeyError, TypeError) as error:
            raise ApiError(401, "the API token cannot be read") from error
        if self._accepted_key is None or not hmac.compare_digest(str(given), self._accepted_key):
            raise ApiError(401, "the API token is unknown or expired")
        pair = self._issue(url)
        return Response.of_json({"accessToken": pair[0], "refreshToken": pair[1], "username": "tester"})

    def refresh(self, request: Request, url: str) -> Response:
        form = parse_qs(request.body().decode())
        token = form.get("refresh_token", [""])[0]
        with self._lock:
            known = token in self._refresh
        if form.get("grant_type") != ["refresh_token"] or not known or self.refuse_refresh:
            return Response.of_json({"error": "invalid_grant"}, 400)
        access, refresh = self._issue(url)
        return Response.of_json(
            {
                "access_token": access,
                "refresh_token": refresh,
                "expires_in": self.lifetime,
                "token_type": "Bearer",
            }
        )

    def check(self, request: Request) -> None:
        """Raises ApiError 401 unless the request carries an access token that is good now."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        with self._lock:
            if self._expire_after is not None:
                self._expire_after -= 1
                if self._expire_after < 0:
                    self._expire_after = None
                    self._access.clear()
            good = scheme == "Bearer" and self._access.get(token, 0.0) > time.time()
        if not good:
            raise ApiError(401, "the access token is missing, unknown or expired", "UNAUTHORIZED")

    def _issue(self, url: str) -> tuple[str, str]:
        expires = time.time() + self.lifetime
        access = self._jwt(
            {"exp": expires, "azp": "neptune-cli", "iss": url + REALM, "jti": secrets.token_hex(8)}
        )
        refresh = secrets.token_hex(24)
        with self._lock:
            self._access[access] = expires
            self._refresh.add(refresh)
        return access, refresh

    def _jwt(self, claims: dict[str, Any]) -> str:
        head = _b64url({"alg": "HS256", "typ": "JWT"}) + "." + _b64url(claims)
        signature = hmac.new(self._secret, head.encode(), hashlib.sha256).digest()
        return head + "." + base64.urlsafe_b64encode(signature).rstrip(b"=").decode()


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _b64url(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

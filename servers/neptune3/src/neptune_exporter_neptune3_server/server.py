"""The local Neptune 3 server.

    with Neptune3Server([FakeProject("acme/vision", [FakeRun("run-1", {"lr": 0.1})])]) as server:
        neptune_query.set_api_token(server.api_token)
        neptune_query.runs.list_runs(project="acme/vision")

It answers what neptune-query 1.14 asks: the paths and messages are those of its
generated client (`neptune_query.generated.neptune_api`). To make it misbehave, add a
`Fault` (`server.fail`) or use `tokens` and `objects`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from neptune_exporter.testing.loopback import Fault, LoopbackServer, Request, Response

from .attributes import Attributes
from .auth import EXCHANGE_PATH, TOKEN_PATH, Tokens
from .errors import ApiError, BadRequestError
from .files import STORAGE_PATH, ObjectStore, Provider
from .limits import Limits
from .model import FakeProject
from .search import Search
from .series import Series
from .store import Store

_LEADERBOARD = "/api/leaderboard/v1"
SEARCH_PATH = f"{_LEADERBOARD}/proto/leaderboard/entries/search/"
GLOBAL_SEARCH_PATH = f"{_LEADERBOARD}/proto/leaderboard/entries/global/search/"
DEFINITIONS_PATH = f"{_LEADERBOARD}/leaderboard/attributes/definitions/query"
VALUES_PATH = f"{_LEADERBOARD}/proto/leaderboard/attributes/query"
FLOATS_PATH = f"{_LEADERBOARD}/proto/attributes/series/float"
SERIES_PATH = f"{_LEADERBOARD}/proto/attributes/series"
SIGN_PATH = "/api/storagebridge/v1/signedUrl"


class Neptune3Server(LoopbackServer):
    """Holds `projects`, which may be changed while it runs.

    token_lifetime: seconds that an access token is good for; the client renews it
    30 seconds earlier. provider: whose object store the signed URLs belong to.
    list_inherited: whether a fork's attributes include the series that it inherits.
    cache_bytes: encoded metric pages that are kept for requests that come again.
    """

    def __init__(
        self,
        projects: Iterable[FakeProject] = (),
        *,
        limits: Limits | None = None,
        port: int = 0,
        token_lifetime: float = 300.0,
        provider: Provider = "gcp",
        list_inherited: bool = False,
        cache_bytes: int = 256 << 20,
    ) -> None:
        super().__init__(port)
        limits = limits or Limits()
        store = Store(list(projects), list_inherited)
        self.projects = store.projects
        self.tokens = Tokens(token_lifetime)
        self.objects = ObjectStore(store, limits, provider)
        search = Search(store, limits, self.objects)
        attributes = Attributes(store, limits, self.objects)
        series = Series(store, limits, self.objects, cache_bytes)
        self._open("GET", EXCHANGE_PATH, lambda request: self.tokens.exchange(request, self.url))
        self._open("POST", TOKEN_PATH, lambda request: self.tokens.refresh(request, self.url))
        self._open("GET", f"{STORAGE_PATH}(?P<name>.+)", self.objects.download)
        self._open("HEAD", f"{STORAGE_PATH}(?P<name>.+)", self.objects.download)
        self._protected(SEARCH_PATH, search.in_project)
        self._protected(GLOBAL_SEARCH_PATH, search.everywhere)
        self._protected(DEFINITIONS_PATH, attributes.definitions)
        self._protected(VALUES_PATH, attributes.values)
        self._protected(FLOATS_PATH, series.floats)
        self._protected(SERIES_PATH, series.objects)
        self._protected(SIGN_PATH, lambda request: self.objects.sign(request, self.url))

    @property
    def api_token(self) -> str:
        """For NEPTUNE_API_TOKEN or `neptune_query.set_api_token`."""
        return self.tokens.api_token(self.url)

    def _open(self, method: str, pattern: str, handler: Callable[[Request], Response]) -> None:
        self.route(method, pattern, _answering(handler))

    def _protected(self, pattern: str, handler: Callable[[Request], Response]) -> None:
        def checked(request: Request) -> Response:
            self.tokens.check(request)
            return handler(request)

        self._open("POST", pattern, checked)


def token_malformed(times: int = 1000) -> Fault:
    """The 400 with which a real server answers an API token of another form."""
    body = b'{"code":400,"errorType":"BAD_REQUEST","message":"Invalid value for: header X-Neptune-Api-Token"}'
    return Fault(path=EXCHANGE_PATH, status=400, body=body, times=times)


def _answering(handler: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """A malformed body is the client's fault; as 500 the client would repeat it for half an hour."""

    def answer(request: Request) -> Response:
        try:
            return handler(request)
        except ApiError as error:
            return error.response()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return BadRequestError(f"the request cannot be read: {type(error).__name__}: {error}").response()

    return answer

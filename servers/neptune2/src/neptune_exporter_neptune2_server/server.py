"""The server: what the client's requests are answered with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import parse_qsl

from neptune_exporter.testing.loopback import Fault, LoopbackServer, Request, Response
from neptune_exporter_neptune2_server import swagger
from neptune_exporter_neptune2_server.attribute_routes import attribute_routes
from neptune_exporter_neptune2_server.auth import REALM, Tokens
from neptune_exporter_neptune2_server.errors import ApiError, bad_request
from neptune_exporter_neptune2_server.file_routes import file_routes
from neptune_exporter_neptune2_server.project import FakeProject
from neptune_exporter_neptune2_server.search import search_attributes, search_entries
from neptune_exporter_neptune2_server.store import Options, Routes, Store, integer

_ROLES = {"viewerOrHigher": ("viewer", "member", "manager"), "memberOrHigher": ("member", "manager")}


class Neptune2Server(LoopbackServer):
    """Serves projects as a self-hosted Neptune 2 does, for the unmodified `neptune` client.

    The projects may be changed while it runs. Every request but the handshake
    needs an access token that this server issued.
    """

    def __init__(
        self, projects: Sequence[FakeProject], options: Options | None = None, port: int = 0
    ) -> None:
        super().__init__(port)
        self.options = options or Options()
        self.store = Store(projects, self.options)
        self.tokens = Tokens(self.url)
        for method, pattern, handler in self._open_routes():
            self.route(method, pattern, _answering(handler))
        protected = [*self._backend_routes(), *self._table_routes(), *attribute_routes(self.store)]
        for method, pattern, handler in [*protected, *file_routes(self.store, self.url)]:
            self.route(method, pattern, _answering(self._authorised(handler)))

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to use the client against this server."""
        return {
            "NEPTUNE_API_TOKEN": self.tokens.api_token,
            "OAUTHLIB_INSECURE_TRANSPORT": "1",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def _open_routes(self) -> Routes:
        return [
            ("GET", "/api/backend/swagger.json", lambda _: Response.of_json(swagger.backend(self.url))),
            (
                "GET",
                "/api/leaderboard/swagger.json",
                lambda _: Response.of_json(self._leaderboard_document()),
            ),
            ("GET", "/api/artifacts/swagger.json", lambda _: Response.of_json(swagger.artifacts(self.url))),
            ("GET", "/api/backend/v1/clients/config", self._client_config),
            ("GET", "/api/backend/v1/authorization/oauth-token", self._exchange),
            ("POST", f"{REALM}/protocol/openid-connect/token", self._refresh),
        ]

    def _backend_routes(self) -> Routes:
        return [
            ("GET", "/api/backend/v1/projects", self._list_projects),
            ("GET", "/api/backend/v1/projects/get", self._get_project),
            ("GET", "/api/backend/v1/myOrganizations", self._list_workspaces),
        ]

    def _table_routes(self) -> Routes:
        path = f"{swagger.LEADERBOARD}/leaderboard"
        return [
            ("POST", f"{path}/entries/search", self._search_entries),
            ("POST", f"{path}/attributes/search", self._search_attributes),
        ]

    def _leaderboard_document(self) -> swagger.Document:
        return swagger.leaderboard(self.url, self.options.channels)

    def _authorised(self, handler: Callable[[Request], Response]) -> Callable[[Request], Response]:
        def checked(request: Request) -> Response:
            self.tokens.check_access(request.headers.get("authorization"))
            return handler(request)

        return checked

    def _client_config(self, request: Request) -> Response:
        self.tokens.check_api_token(request.headers.get("x-neptune-api-token"))
        return Response.of_json(
            {
                "apiUrl": self.url,
                "applicationUrl": self.url,
                "pyLibVersions": {},
                "artifacts": {"enabled": self.options.artifacts, "apiVersion": 2},
                "multiPartUpload": {
                    "enabled": True,
                    "minChunkSize": 5 << 20,
                    "maxChunkSize": 1 << 30,
                    "maxChunkCount": 1000,
                    "maxSinglePartSize": 5 << 20,
                },
            }
        )

    def _exchange(self, request: Request) -> Response:
        self.tokens.check_api_token(request.headers.get("x-neptune-api-token"))
        grant = self.tokens.issue()
        return Response.of_json(
            {"accessToken": grant.access_token, "refreshToken": grant.refresh_token, "username": "ada"}
        )

    def _refresh(self, request: Request) -> Response:
        grant = self.tokens.refresh(dict(parse_qsl(request.body().decode())))
        if grant is None:
            return Response.of_json({"error": "invalid_grant", "error_description": "not valid"}, 400)
        return Response.of_json(
            {
                "access_token": grant.access_token,
                "refresh_token": grant.refresh_token,
                "expires_in": int(grant.seconds),
                "token_type": "Bearer",
            }
        )

    def _list_projects(self, request: Request) -> Response:
        workspace, text = request.param("organizationIdentifier"), (request.param("searchTerm") or "").lower()
        roles = _ROLES.get(request.param("userRelation") or "viewerOrHigher", ())
        matching = [
            project
            for project in self.store.projects
            if workspace in (None, project.workspace, project.workspace_id)
            and text in project.name.lower()
            and project.role in roles
        ]
        offset, limit = integer(request, "offset", 0), integer(request, "limit", len(matching))
        page = matching[offset : offset + limit]
        return Response.of_json(
            {
                "entries": [_project_json(project) for project in page],
                "matchingItemCount": len(matching),
                "totalItemCount": len(matching),
            }
        )

    def _get_project(self, request: Request) -> Response:
        return Response.of_json(_project_json(self.store.project(request.param("projectIdentifier"))))

    def _list_workspaces(self, request: Request) -> Response:
        names = {project.workspace: project.workspace_id for project in self.store.projects}
        return Response.of_json([{"id": identifier, "name": name} for name, identifier in names.items()])

    def _search_entries(self, request: Request) -> Response:
        body = request.json()
        if not isinstance(body, dict):
            raise bad_request("the body is no object")
        project = self.store.project(request.param("projectIdentifier"))
        kinds = request.query.get("type", [])
        return Response.of_json(search_entries(project, kinds, body, self.options.non_finite))

    def _search_attributes(self, request: Request) -> Response:
        project = self.store.project(request.param("projectIdentifier"))
        limit = integer(request, "limit", -1)
        kinds, text = request.query.get("type", []), request.param("search") or ""
        return Response.of_json(search_attributes(project, kinds, text, None if limit < 0 else limit))


def on_attribute(path: str) -> Callable[[Request], bool]:
    """For `Fault.where`: requests about this attribute, which the protocol names in the query."""
    return lambda request: request.param("attribute") == path


def token_expired(times: int = 1) -> Fault:
    """A 401 as for an expired access token, from all of the leaderboard, although the token is good."""
    body = b'{"code":401,"title":"expired","errorType":"AUTHORIZATION_TOKEN_EXPIRED"}'
    return Fault(path="/api/leaderboard/v1", status=401, body=body, times=times)


def token_malformed(times: int = 1000) -> Fault:
    """The 400 with which a real server answers an API token of another form, at both places that take it."""
    body = b'{"code":400,"errorType":"BAD_REQUEST","message":"Invalid value for: header X-Neptune-Api-Token"}'
    return Fault(path="/oauth-token|/clients/config", status=400, body=body, times=times)


@contextmanager
def serving(*projects: FakeProject, options: Options | None = None) -> Iterator[Neptune2Server]:
    """A started server that ends with the block."""
    server = Neptune2Server(projects, options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _answering(handler: Callable[[Request], Response]) -> Callable[[Request], Response]:
    def answered(request: Request) -> Response:
        try:
            return handler(request)
        except ApiError as error:
            return error.response()

    return answered


def _project_json(project: FakeProject) -> dict[str, object]:
    return {
        "id": project.id,
        "name": project.name,
        "organizationId": project.workspace_id,
        "organizationName": project.workspace,
        "projectKey": project.key,
        "version": project.version,
        "archived": project.archived,
        "userRoleInProject": project.role,
        "visibility": "priv",
    }

"""The pages themselves: files of this package."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_STATIC = Path(__file__).with_name("static")
_SCRIPTS = "js/*.js", "uplot/*.js"
_TYPES = mimetypes.MimeTypes()
"""As this Python knows them, whatever the machine has configured."""


def routes() -> list[Route]:
    """The page and what it consists of.

    Files are read in the event loop: there are few, all small, and each thread costs more than reading one.
    """
    files = {path.relative_to(_STATIC).as_posix(): path for path in _STATIC.rglob("*") if path.is_file()}
    page = _page()

    async def index(request: Request) -> Response:
        return Response(page, media_type="text/html")

    async def static(request: Request) -> Response:
        path = files.get(request.path_params["path"])
        if path is None:
            raise HTTPException(404)
        kind, _ = _TYPES.guess_type(path.name)
        return Response(path.read_bytes(), media_type=kind)

    return [Route("/", index), Route("/static/{path:path}", static)]


def _page() -> str:
    """The page, which names all scripts, so that the browser asks for them at once.

    Otherwise it would find each only in another one that imports it.
    """
    paths = sorted(path for pattern in _SCRIPTS for path in _STATIC.glob(pattern))
    names = (path.relative_to(_STATIC).as_posix() for path in paths)
    links = "\n".join(f'<link rel="modulepreload" href="/static/{name}">' for name in names)
    return (_STATIC / "index.html").read_text(encoding="utf-8").replace("<script", f"{links}\n<script", 1)

"""The page's files, read once at the start: no path of a request reaches the file system. They contain no figures."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from projections.server.http.problems import Refusal

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class _PageFile:
    body: bytes
    media_type: str
    etag: str


def _read(folder: Traversable, prefix: str = "") -> dict[str, _PageFile]:
    """Return every file of the page, by its path below `page/`."""
    found: dict[str, _PageFile] = {}
    for entry in folder.iterdir():
        name = prefix + entry.name
        if entry.is_dir():
            found |= _read(entry, f"{name}/")
        elif (media_type := _TYPES.get(name.rpartition(".")[2])) is not None:
            body = entry.read_bytes()
            found[name] = _PageFile(body, media_type, f'"{sha256(body).hexdigest()[:32]}"')
    return found


_FILES: Final = _read(files("projections.server") / "page")


@router.get("/")
async def index(request: Request) -> Response:
    """Return the page."""
    return _answer(request, "index.html")


@router.get("/page/{name:path}")
async def asset(request: Request, name: str) -> Response:
    """Return a file of the page."""
    return _answer(request, name)


def _answer(request: Request, name: str) -> Response:
    """Return a file; the browser asks each time, so that after an upgrade no old module is mixed with a new one."""
    file = _FILES.get(name)
    if file is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "not-found", f"the page has no file {name[:100]!r}")
    headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(file.body, headers=headers, media_type=file.media_type)

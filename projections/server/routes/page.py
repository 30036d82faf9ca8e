"""The page's files; they contain no figures."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

_FILES: Final = StaticFiles(directory=Path(__file__).parents[1] / "page")


@router.get("/")
async def index(request: Request) -> Response:
    """Return the page."""
    return await asset(request, "index.html")


@router.get("/page/{name:path}")
async def asset(request: Request, name: str) -> Response:
    """Return a file of the page; the browser asks each time, so that no old module is mixed with a new one."""
    response = await _FILES.get_response(name, request.scope)
    response.headers["Cache-Control"] = "no-cache"
    return response

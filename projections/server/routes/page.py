"""The page's files; they contain no figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

__all__ = ["PageFiles", "router"]

router = APIRouter(include_in_schema=False)

_FOLDER: Final = Path(__file__).parents[1] / "page"
_CACHE: Final = {"Cache-Control": "no-cache"}
"""The browser asks each time, so that after an upgrade no old module is mixed with a new one."""


class PageFiles(StaticFiles):
    """The files below `page/`."""

    def __init__(self) -> None:
        super().__init__(directory=_FOLDER)

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Return a file, or that it is unchanged."""
        response = super().file_response(*args, **kwargs)
        response.headers.update(_CACHE)
        return response


@router.get("/")
async def index() -> Response:
    """Return the page."""
    return FileResponse(_FOLDER / "index.html", headers=_CACHE)

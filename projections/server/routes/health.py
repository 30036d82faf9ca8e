"""`/healthz`, `/readyz`, `/metrics` and `/api/health`: for those who run it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from http import HTTPStatus

from fastapi import APIRouter, Depends, Request
from starlette.responses import PlainTextResponse, Response

from ledger import clock
from projections.server import shapes
from projections.server.access import needs
from projections.server.answers import answer
from projections.server.keeper import Keeper
from projections.server.problems import Refusal, documented

__all__ = ["router"]

router = APIRouter(tags=["operations"])

_READY_SECONDS = 60.0
"""A keeper that has not looked at the ledgers for so long is stuck."""


@router.get("/healthz", response_class=PlainTextResponse, summary="The process answers")
async def healthz() -> str:
    return "ok\n"


@router.get("/readyz", response_class=PlainTextResponse, responses=documented(), summary="Rows follow the ledgers")
async def readyz(request: Request) -> str:
    if not _ready(request.app.state.keeper):
        detail = "rows do not follow their ledgers; the log says why"
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "not-ready", detail, {"Retry-After": "5"})
    return "ready\n"


@router.get(
    "/api/health",
    dependencies=[Depends(needs("read"))],
    response_model=shapes.Health,
    responses=documented(),
    summary="What may be wrong with the server and the ledgers",
)
async def health(request: Request) -> Response:
    keeper: Keeper = request.app.state.keeper
    at = keeper.kept.refreshed_at
    return answer(
        {
            "ready": _ready(keeper),
            "refreshed_at": clock.to_wire(datetime.fromtimestamp(at, UTC)) if at else None,
            "refresh_lag_seconds": round(keeper.kept.lag_seconds, 6),
            "streams": len(request.app.state.feed),
            "problems": {name: str(problem.error) for name, problem in sorted(keeper.kept.problems.items())},
        }
    )


def _ready(keeper: Keeper) -> bool:
    return time.time() - keeper.kept.refreshed_at < _READY_SECONDS

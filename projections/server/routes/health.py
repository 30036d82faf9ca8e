"""`/healthz`, `/readyz`, `/metrics` and `/api/health`: for those who run it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import PlainTextResponse, Response

from ledger import clock
from projections.server import shapes
from projections.server.access import needs
from projections.server.answers import answer
from projections.server.figures import Overall
from projections.server.keeper import Keeper
from projections.server.problems import Refusal, documented
from projections.server.proving import Proving, Verification

__all__ = ["router"]

router = APIRouter(tags=["operations"])

_READY_SECONDS: Final = 60.0
"""A keeper that has not looked at the ledgers for so long is stuck."""

_NAMES_MAX: Final = 100


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
def health(request: Request) -> Response:
    state = request.app.state
    keeper: Keeper = state.keeper
    at = keeper.kept.refreshed_at
    overall: Overall = state.figures.overall()
    return answer(
        {
            "ready": _ready(keeper),
            "refreshed_at": clock.to_wire(datetime.fromtimestamp(at, UTC)) if at else None,
            "refresh_lag_seconds": round(keeper.kept.lag_seconds, 6),
            "streams": len(state.feed),
            "problems": {name: str(problem.error) for name, problem in sorted(keeper.kept.problems.items())},
            "unpriced": {n: {"events": events, "tokens": tokens} for n, (events, tokens) in overall.unpriced.items()},
            "beside": {kind: _named(names) for kind, names in asdict(overall.beside).items()},
            "misplaced": overall.misplaced,
            "verification": _verification(state.proving.last),
            "sources": state.follower.followed(),
            "webhooks": [],
        }
    )


@router.post(
    "/api/verify",
    dependencies=[Depends(needs("admin"))],
    status_code=202,
    response_model=shapes.VerificationBegun,
    responses=documented(),
    summary="Prove every chain, checkpoint and row; `GET /api/health` has what it found",
)
def verify(request: Request) -> Response:
    proving: Proving = request.app.state.proving
    begun = proving.start()
    return answer({"begun": begun, "verification": _verification(proving.last)}, HTTPStatus.ACCEPTED)


def _verification(last: Verification | None) -> dict[str, Any] | None:
    if last is None:
        return None
    return {
        "started_at": last.started_at,
        "finished_at": last.finished_at,
        "ledgers": last.proof.ledgers,
        "events": last.proof.events,
        "rows": last.proof.rows,
        "findings_count": last.proof.findings,
        "findings": [asdict(finding) for finding in list(last.findings)],
        "error": last.error,
    }


def _named(names: Sequence[str]) -> dict[str, Any]:
    return {"count": len(names), "names": names[:_NAMES_MAX]}


def _ready(keeper: Keeper) -> bool:
    return time.time() - keeper.kept.refreshed_at < _READY_SECONDS

"""`/api/webhooks`: the deliveries of each receiver, the messages that were given up, and sending these again."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from projections.documents.webhooks import WebhooksDocument
from projections.server.http import schemas
from projections.server.http.auth import needs
from projections.server.http.json_response import answer
from projections.server.http.problems import Refusal, documented
from projections.server.webhooks.dispatcher import WebhookDispatcher

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["operations"])


@router.get(
    "/webhooks",
    dependencies=[Depends(needs("read"))],
    response_model=WebhooksDocument,
    summary="The deliveries of each receiver of webhooks, and the messages that were given up",
)
def webhooks(request: Request) -> Response:
    """Of the messages that were given up, the newest thousand."""
    found: WebhookDispatcher = request.app.state.webhooks
    return answer({"endpoints": found.state(), "dead_letters": found.dead_letters()})


@router.post(
    "/webhooks/{id}/resend",
    dependencies=[Depends(needs("admin"))],
    status_code=202,
    response_model=schemas.Resent,
    responses=documented(404),
    summary="Send a message that was given up once more",
)
def resend(
    request: Request,
    id: Annotated[
        str, Path(description="its webhook-id", examples=["msg_2b0c8a7de1f34b3e9c5d7a6b1f2e3d4c"], max_length=64)
    ],
) -> Response:
    """It is sent to the endpoints at which it was given up."""
    endpoints = request.app.state.webhooks.resend(id)
    if not endpoints:
        detail = "no message by that id was given up; GET /api/webhooks lists those that were"
        raise Refusal(HTTPStatus.NOT_FOUND, "unknown-message", detail)
    return answer({"id": id, "endpoints": endpoints}, HTTPStatus.ACCEPTED)

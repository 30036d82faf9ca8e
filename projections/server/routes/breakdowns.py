"""`/api/workflow-history/…/receipt` and `…/tree`: what one workflow cost, by agent, session, model and message."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ledger.errors import UnknownWorkflow
from projections.documents.cost_receipt import CostReceiptDocument, receipt_document
from projections.documents.cost_tree import CostTreeDocument, cost_tree_document
from projections.folding.cost_tree import cost_tree
from projections.server.http.auth import needs, service_of
from projections.server.http.json_response import answer
from projections.server.http.parameters import AdwId
from projections.server.http.problems import documented

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["workflows"])


@router.get(
    "/workflow-history/{adw_id}/receipt",
    dependencies=[Depends(needs("read"))],
    response_model=CostReceiptDocument,
    responses=documented(404),
    summary="What a workflow cost, for a pull request",
)
def receipt(request: Request, adw_id: AdwId) -> Response:
    """By agent and model, with the head of the ledger; `costledger receipt` prints it as Markdown."""
    service = service_of(request)
    row = service.history.row(adw_id)
    if row is None:
        raise UnknownWorkflow(adw_id, "the history")
    return answer(receipt_document(service.row_document(row), service.history.spend(adw_id)))


@router.get(
    "/workflow-history/{adw_id}/tree",
    dependencies=[Depends(needs("read"))],
    response_model=CostTreeDocument,
    responses=documented(404, 409),
    summary="What a workflow cost by agent, session, model and message, and when",
)
async def tree(
    request: Request,
    adw_id: AdwId,
    messages: Annotated[int, Query(ge=0, le=5_000, description="the dearest so many")] = 500,
) -> Response:
    """The figures of agents, sessions and models add up to what the workflow spent."""
    service = service_of(request)

    def made() -> Response:
        spent = service.history.spend(adw_id)
        found = cost_tree(service.lines(adw_id), spent, messages_max=messages)
        return answer(cost_tree_document(adw_id, found))

    async with service.replay_turn(adw_id):
        return await run_in_threadpool(made)

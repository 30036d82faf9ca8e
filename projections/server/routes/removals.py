"""Removing a workflow, and putting it back. Erasing is left to the command line, on the machine that has the bytes."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from ledger.maintenance.removal import put_back
from projections.documents.removals import PutBackDocument, RemovalDocument, put_back_document, removal_document
from projections.replay.refresh import refresh
from projections.replay.removal import remove
from projections.server.http.auth import needs, service_of
from projections.server.http.json_response import answer
from projections.server.http.parameters import AdwId
from projections.server.http.problems import documented

__all__ = ["router"]

router = APIRouter(prefix="/api/workflow-history", tags=["workflows"], dependencies=[Depends(needs("admin"))])


@router.delete(
    "/{adw_id}",
    response_model=RemovalDocument,
    responses=documented(404, 409),
    summary="Remove a workflow: its row and sums go, and no import brings it back",
)
def remove_workflow(request: Request, adw_id: AdwId) -> Response:
    """Its ledger is set aside, and `put-back` undoes it. Erasing, which nothing undoes, has no route."""
    service = service_of(request)
    return answer(removal_document(adw_id, remove(service.ledgers, service.history, adw_id, purge=False)))


@router.post(
    "/{adw_id}/put-back",
    response_model=PutBackDocument,
    responses=documented(404, 409),
    summary="Put back a workflow that was removed and not erased",
)
def put_workflow_back(request: Request, adw_id: AdwId) -> Response:
    """Its row is made of its ledger again, and so are those of workflows that it was moved to."""
    service = service_of(request)
    put_back(service.ledgers, adw_id)
    if not service.history.shared:
        refresh(service.ledgers, service.history, workflow_ids=[adw_id], reason="put back")
    return answer(put_back_document(adw_id, service.history.row(adw_id)))

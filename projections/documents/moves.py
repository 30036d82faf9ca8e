"""A move of a workflow, or of one of its sessions, to another workflow."""

from __future__ import annotations

from typing import Annotated

from ledger.storage.append import Receipt
from projections.documents.types import About, AdwIdText, TypedDict, document

__all__ = ["MoveDocument", "move_document"]


@document
class MoveDocument(TypedDict):
    """The event by which a workflow was moved."""

    adw_id: AdwIdText
    to: Annotated[AdwIdText, About("the workflow whose row it counts in")]
    session_id: Annotated[str | None, About("null: all of it, but for sessions that were moved by themselves")]
    agent: Annotated[str | None, About("the agent's name there; null: as it is")]
    id: Annotated[str | None, About("null: it counted there already, and nothing was appended")]
    seq: int | None


def move_document(
    adw_id: str, to: str, session_id: str | None, agent: str | None, receipt: Receipt | None
) -> MoveDocument:
    """Return the event by which a workflow was moved; without a receipt none was needed."""
    return {
        "adw_id": adw_id,
        "to": to,
        "session_id": session_id,
        "agent": agent,
        "id": None if receipt is None else receipt.id,
        "seq": None if receipt is None else receipt.seq,
    }

"""The changes of a row's cost."""

from __future__ import annotations

from typing import Annotated

from ledger.events import money
from projections.documents.types import About, AdwIdText, Moment, TypedDict, Usd, document, usd
from projections.history.store import AuditEntry, visible_cost

__all__ = ["AuditDocument", "AuditEntryDocument", "audit_entry_document"]


@document
class AuditEntryDocument(TypedDict):
    """A change of a row's cost."""

    id: int
    adw_id: AdwIdText
    old_cost: Annotated[Usd | None, About("null when no cost was known")]
    new_cost: Usd
    reason: Annotated[str, About(examples=["resync --force"])]
    timestamp: Moment


@document
class AuditDocument(TypedDict):
    """A page of the audit log of a workflow."""

    entries: list[AuditEntryDocument]
    application: Annotated[list[AuditEntryDocument], About("the newest entries of the application's own audit log")]
    next: Annotated[int | None, About("`after` of the next page; null on the last one")]


def audit_entry_document(entry: AuditEntry) -> AuditEntryDocument:
    """Return an entry of the audit log."""
    return {
        "id": entry.id,
        "adw_id": entry.adw_id,
        "old_cost": None if entry.old_cost is None else usd(visible_cost(entry.old_cost)),
        "new_cost": money.to_wire(visible_cost(entry.new_cost)),
        "reason": entry.reason,
        "timestamp": entry.timestamp,
    }

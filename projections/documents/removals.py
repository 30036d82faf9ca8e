"""The removal of a workflow."""

from __future__ import annotations

from typing import Annotated

from projections.documents.types import About, AdwIdText, Moment, TypedDict, Usd, document, usd
from projections.folding.row import Row
from projections.replay.removal import Removal

__all__ = ["PutBackDocument", "RemovalDocument", "put_back_document", "removal_document"]


@document
class RemovalDocument(TypedDict):
    """What was removed, and where lines of it remain."""

    adw_id: AdwIdText
    purged: Annotated[bool, About("its bytes were erased; else its ledger is set aside")]
    event_count: int
    ledger_hash: str
    removed_at: Moment
    replicas: Annotated[list[str], About("shared engines that keep its lines")]
    still_named_in: Annotated[list[str], About("files of the data directory that name it or a session of it")]


@document
class PutBackDocument(TypedDict):
    """A workflow that was removed, and counts again."""

    adw_id: AdwIdText
    actual_cost_total: Annotated[Usd | None, About("null: no row yet, since projectors make it")]


def put_back_document(adw_id: str, row: Row | None) -> PutBackDocument:
    """Return a workflow that counts again, by its row."""
    return {"adw_id": adw_id, "actual_cost_total": None if row is None else usd(row.actual_cost_nanousd)}


def removal_document(adw_id: str, done: Removal) -> RemovalDocument:
    """Return the removal of a workflow."""
    return {
        "adw_id": adw_id,
        "purged": done.tombstone.purged,
        "event_count": done.tombstone.events,
        "ledger_hash": done.tombstone.hash,
        "removed_at": done.tombstone.removed_at,
        "replicas": done.replicas,
        "still_named_in": [str(path) for path in done.still_named_in],
    }

"""The removal of a workflow."""

from __future__ import annotations

from typing import Annotated

from projections.documents.types import About, AdwIdText, Moment, TypedDict, document
from projections.replay.removal import Removal

__all__ = ["RemovalDocument", "removal_document"]


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

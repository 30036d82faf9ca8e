"""The receipts of appended events."""

from __future__ import annotations

from typing import Annotated

from ledger.storage.append import Receipt
from projections.documents.types import About, AdwIdText, TypedDict, document

__all__ = ["IndexedReceiptDocument", "ReceiptDocument", "receipt_document"]


@document
class ReceiptDocument(TypedDict):
    """The event is in its ledger, and on the disk."""

    workflow_id: AdwIdText
    id: str
    seq: int
    hash: str
    duplicate: Annotated[bool, About("it was there before; this is the first receipt")]
    durability: Annotated[str, About("always: it was synced before this receipt")]


@document
class IndexedReceiptDocument(ReceiptDocument):
    """The receipt of one event of a request."""

    index: Annotated[int, About("position in the request, from 0")]


def receipt_document(receipt: Receipt) -> ReceiptDocument:
    """Return a receipt."""
    return {
        "workflow_id": receipt.workflow_id,
        "id": receipt.id,
        "seq": receipt.seq,
        "hash": receipt.hash,
        "duplicate": receipt.duplicate,
        "durability": receipt.durability,
    }

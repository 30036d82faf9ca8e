"""What needs attention."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Annotated

from ledger.storage.append import Receipt
from projections.documents.types import About, AdwIdText, TypedDict, Usd, document, usd
from projections.folding.cost_words import known_row_cost
from projections.history.suspects import Suspect

__all__ = [
    "AcceptanceDocument",
    "FindingDocument",
    "FindingsDocument",
    "acceptance_document",
    "finding_document",
    "findings_document",
]


@document
class FindingDocument(TypedDict):
    """Why a workflow needs attention, and the step that ends it."""

    adw_id: AdwIdText
    status: str
    cost_usd: Annotated[Usd | None, About("null: unknown, or with `unpriced_events` unpriced", examples=["2.37"])]
    cost_basis: Annotated[str | None, About("null: there is no reading", examples=["reported"])]
    unpriced_events: Annotated[int, About("meters whose tokens have no price")]
    kind: Annotated[str, About(examples=["low_cost"])]
    why: str
    next_step: str


@document
class FindingsDocument(TypedDict):
    """What needs attention."""

    findings: Annotated[list[FindingDocument], About("of the rows that changed last")]
    more: Annotated[bool, About("there may be findings about older rows, too")]


@document
class AcceptanceDocument(TypedDict):
    """The event by which findings were accepted."""

    adw_id: AdwIdText
    accepted: Annotated[list[str], About("the kinds of the findings", examples=[["low_cost"]])]
    id: str
    seq: int


def findings_document(found: Iterable[Suspect], *, more: bool = False) -> FindingsDocument:
    """Return what needs attention."""
    return {"findings": [finding_document(one) for one in found], "more": more}


def finding_document(found: Suspect) -> FindingDocument:
    """Return a finding."""
    return {
        "adw_id": found.adw_id,
        "status": found.row.status,
        "cost_usd": usd(known_row_cost(found.row)),
        "cost_basis": found.row.cost_basis,
        "unpriced_events": found.row.unpriced_events,
        "kind": found.kind,
        "why": found.why,
        "next_step": found.next_step,
    }


def acceptance_document(adw_id: str, kinds: Collection[str], receipt: Receipt) -> AcceptanceDocument:
    """Return the event by which findings of these kinds were accepted."""
    return {"adw_id": adw_id, "accepted": list(kinds), "id": receipt.id, "seq": receipt.seq}

"""What a verification proved."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from projections.documents.types import About, Moment, TypedDict, document
from projections.replay.verify import Finding, Proof

__all__ = ["VerificationDocument", "VerificationFindingDocument", "verification_document"]


@document
class VerificationFindingDocument(TypedDict):
    """What does not fit, and what to do."""

    workflow_id: str
    problem: str
    next_step: str


@document
class VerificationDocument(TypedDict):
    """A verification, as far as it has come."""

    started_at: Moment
    finished_at: Annotated[Moment | None, About("null: it is running")]
    ledgers: int
    events: int
    size_bytes: int
    rows: int
    findings_count: int
    findings: Annotated[list[VerificationFindingDocument], About("over HTTP the first two hundred")]
    error: Annotated[str | None, About("why it could not be finished")]


def verification_document(
    proof: Proof,
    findings: Iterable[Finding],
    *,
    started_at: str,
    finished_at: str | None,
    error: str | None = None,
) -> VerificationDocument:
    """Return a verification.

    Args:
        findings: those that are listed; `proof` has counted all.
    """
    return {
        "started_at": started_at,
        "finished_at": finished_at,
        "ledgers": proof.ledgers,
        "events": proof.events,
        "size_bytes": proof.size_bytes,
        "rows": proof.rows,
        "findings_count": proof.findings,
        "findings": [
            {"workflow_id": one.workflow_id, "problem": one.problem, "next_step": one.next_step} for one in findings
        ],
        "error": error,
    }

"""What a workflow cost as a tree."""

from __future__ import annotations

from typing import Annotated

from projections.documents.types import About, AdwIdText, Moment, TypedDict, Usd, document, usd
from projections.folding.cost_tree import Branch, CostTree, MessageCost, RunSpan

__all__ = ["BranchDocument", "CostTreeDocument", "MessageDocument", "RunDocument", "cost_tree_document"]


@document
class BranchDocument(TypedDict):
    """What was spent under one agent, session and model."""

    agent: Annotated[str | None, About("null where no event names one, as in the next two")]
    session_id: str | None
    model: Annotated[str | None, About("null: calls that only a session's total shows")]
    cost_usd: Usd
    total_tokens: int
    unpriced_events: Annotated[int, About("meters whose tokens have no price")]
    at_least: Annotated[bool, About("more was spent: some usage has no price or is incomplete")]
    readings: int
    first_at: Annotated[Moment | None, About("of its readings; null when it has none of its own")]
    last_at: Moment | None


@document
class MessageDocument(TypedDict):
    """One response of a provider, by its last reading."""

    agent: str | None
    session_id: str | None
    model: str | None
    message_id: str
    seq: int
    at: Moment
    cost_usd: Annotated[Usd | None, About("null: no price is known")]
    total_tokens: int


@document
class RunDocument(TypedDict):
    """A run of a workflow."""

    run: int
    status: str
    started_at: Moment | None
    ended_at: Moment | None


@document
class CostTreeDocument(TypedDict):
    """What a workflow cost by agent, session, model and message; `branches` add up to what it spent."""

    adw_id: AdwIdText
    runs: list[RunDocument]
    branches: list[BranchDocument]
    messages: Annotated[list[MessageDocument], About("the dearest, in the order of the ledger")]
    message_count: int


def cost_tree_document(adw_id: str, tree: CostTree) -> CostTreeDocument:
    """Return a workflow's tree."""
    return {
        "adw_id": adw_id,
        "runs": [_run(one) for one in tree.runs],
        "branches": [_branch(one) for one in tree.branches],
        "messages": [_message(one) for one in tree.messages],
        "message_count": tree.message_count,
    }


def _branch(one: Branch) -> BranchDocument:
    agent, session_id, model = one.key
    return {
        "agent": agent,
        "session_id": session_id,
        "model": model,
        "cost_usd": usd(one.cost_nanousd) or "0.00",
        "total_tokens": one.total_tokens,
        "unpriced_events": one.unpriced_events,
        "at_least": one.at_least,
        "readings": one.readings,
        "first_at": one.first_at,
        "last_at": one.last_at,
    }


def _message(one: MessageCost) -> MessageDocument:
    agent, session_id, model = one.key
    return {
        "agent": agent,
        "session_id": session_id,
        "model": model,
        "message_id": one.message_id,
        "seq": one.seq,
        "at": one.at,
        "cost_usd": usd(one.cost_nanousd),
        "total_tokens": one.total_tokens,
    }


def _run(one: RunSpan) -> RunDocument:
    return {"run": one.run, "status": one.status, "started_at": one.started_at, "ended_at": one.ended_at}

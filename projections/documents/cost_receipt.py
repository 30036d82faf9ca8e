"""A receipt: what a workflow cost, for a pull request or a report; as a document or as Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from ledger.events import money
from ledger.text import counted
from projections.documents.rows import RowDocument
from projections.documents.types import About, AdwIdText, Moment, TypedDict, Usd, document
from projections.folding.cost_words import row_cost
from projections.folding.moves import moved_from, moved_to
from projections.folding.row import Row
from projections.folding.spend import Spend
from projections.history.idle import is_moved

__all__ = ["CostReceiptDocument", "CostReceiptLine", "receipt_document", "receipt_markdown"]

_HASH_SHOWN = 12
_NAMELESS = "(unattributed)"
_BASIS = {
    "reported": "Every dollar was reported by a provider or a tool.",
    "priced": "Some of it was priced from tokens.",
    "partial": "The true cost is at least this.",
    None: "No cost was read.",
}


@document
class CostReceiptLine(TypedDict):
    """What was spent under one agent and model."""

    agent: Annotated[str | None, About("null where none is named, as in model")]
    model: str | None
    cost_usd: Usd
    total_tokens: int


@document
class CostReceiptDocument(TypedDict):
    """What a workflow cost, and the head of the ledger that proves it; `lines` add up to the replayed cost."""

    adw_id: AdwIdText
    issue_number: int | None
    workflow_template: str | None
    project: str | None
    branch: str | None
    status: str
    start_time: Moment | None
    end_time: Moment | None
    duration_seconds: int | None
    cost_usd: Annotated[Usd | None, About("null: unknown or unpriced")]
    at_least: bool
    cost_basis: str | None
    unpriced_events: int
    total_tokens: int
    cache_efficiency_percent: float
    lines: list[CostReceiptLine]
    ledger_seq: Annotated[int, About("events of the ledger up to here")]
    ledger_hash: Annotated[str, About("of the last of them: `costledger verify` proves it")]


def receipt_document(row: RowDocument, spent: Iterable[Spend]) -> CostReceiptDocument:
    """Return the receipt of a workflow.

    Args:
        spent: of this workflow.
    """
    lines: dict[tuple[str | None, str | None], list[int]] = {}
    for one in spent:
        figures = lines.setdefault((one.agent, one.model), [0, 0])
        figures[0] += one.cost_nanousd
        figures[1] += one.input_tokens + one.cache_write_tokens + one.cache_read_tokens + one.output_tokens
    ordered = sorted(lines.items(), key=lambda both: (-both[1][0], both[0][0] or "", both[0][1] or ""))
    return {
        "adw_id": row["adw_id"],
        "issue_number": row["issue_number"],
        "workflow_template": row["workflow_template"],
        "project": row["project"],
        "branch": row["branch"],
        "status": row["status"],
        "start_time": row["start_time"],
        "end_time": row["end_time"],
        "duration_seconds": row["duration_seconds"],
        "cost_usd": row["actual_cost_total"],
        "at_least": row["cost_basis"] == "partial",
        "cost_basis": row["cost_basis"],
        "unpriced_events": row["unpriced_events"],
        "total_tokens": row["total_tokens"],
        "cache_efficiency_percent": row["cache_efficiency_percent"],
        "lines": [
            {"agent": agent, "model": model, "cost_usd": money.to_wire(nanousd), "total_tokens": tokens}
            for (agent, model), (nanousd, tokens) in ordered
            if nanousd or tokens
        ],
        "ledger_seq": row["ledger_seq"],
        "ledger_hash": row["ledger_hash"],
    }


def receipt_markdown(receipt: CostReceiptDocument, row: Row, took: str) -> str:
    """Return a receipt as Markdown of GitHub.

    Args:
        row: the same workflow's, for how its cost is said.
        took: its duration for people; "" when it is unknown.
    """
    issue = "" if receipt["issue_number"] is None else f", issue #{receipt['issue_number']}"
    time = f" in {took}" if took else ""
    moved = is_moved(row)
    status, basis = ("moved", "") if moved else (receipt["status"] + time, f" {_BASIS[receipt['cost_basis']]}")
    about = f"Workflow `{receipt['adw_id']}`{issue}, {status}.{basis}"
    table = [f"| {_cell(one['agent'])} | {_cell(one['model'])} | {_amount(one)} |" for one in receipt["lines"]]
    head = ["| agent | model | cost | tokens |", "|---|---|---:|---:|"]
    proof = f"Ledger: {counted(receipt['ledger_seq'], 'event')}, hash `{receipt['ledger_hash'][:_HASH_SHOWN]}…`"
    parts = [f"### Cost: {row_cost(row)}", about, "\n".join([*head, *table]) if table else "", _moves(row), proof]
    return "\n\n".join(part for part in parts if part) + "\n"


def _moves(row: Row) -> str:
    """Say what of the cost is in other ledgers, and what of this ledger counts elsewhere."""
    arrived = [f"{money.shown(nanousd)} from the ledger of `{name}`" for name, nanousd in moved_from(row).items()]
    left = [f"{money.shown(nanousd)} to `{name}`, where it counts" for name, nanousd in moved_to(row).items()]
    return f"Moved: {'; '.join([*arrived, *left])}." if arrived or left else ""


def _amount(line: CostReceiptLine) -> str:
    cost = line["cost_usd"]
    nanousd = -money.from_wire(cost[1:]) if cost.startswith("-") else money.from_wire(cost)
    return f"{money.shown(nanousd)} | {line['total_tokens']:,}"


def _cell(name: str | None) -> str:
    """Return a name that ends no cell and makes no markup."""
    if name is None:
        return _NAMELESS
    shown = "".join(one if one.isprintable() else " " for one in name).replace("`", "'").replace("|", "\\|")
    return f"`{shown}`"

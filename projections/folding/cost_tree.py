"""What a workflow cost as a tree: agent, session, model and message, each with its cost and the time it took; pure.

The figures of agents, sessions and models are those of the workflow's spend, so they add up to its cost. A message has
the figure of its last reading.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import nlargest
from typing import Final

from ledger.errors import NOT_OURS, OddLine
from ledger.events import money
from ledger.events.event import COST_OBSERVED, END_TYPES, FORMAT_VERSION, LIFECYCLE_TYPES, Line
from ledger.events.fields import USAGE_FIELDS
from projections.folding.spend import AMOUNTS, Key, Spend, amounts_of

__all__ = ["Branch", "CostTree", "MessageCost", "RunSpan", "cost_tree"]

_TOKENS: Final = [AMOUNTS.index(name) for name in USAGE_FIELDS if name.endswith("_tokens") and "1h" not in name]


@dataclass(slots=True)
class Branch:
    """What was spent under one agent, session and model; None where no event names one.

    Attributes:
        unpriced_events: meters whose usage has no price.
        at_least: some usage has no price or is incomplete, so the cost is a lower bound.
        first_at, last_at: of its readings; None when it has none of its own.
    """

    key: Key
    cost_nanousd: int = 0
    total_tokens: int = 0
    unpriced_events: int = 0
    at_least: bool = False
    readings: int = 0
    first_at: str | None = None
    last_at: str | None = None


@dataclass(slots=True)
class MessageCost:
    """One response of a provider, by its last reading.

    Attributes:
        cost_nanousd: None when it has no price.
        at: when it was observed.
    """

    key: Key
    message_id: str
    seq: int
    at: str
    cost_nanousd: int | None
    total_tokens: int


@dataclass(slots=True)
class RunSpan:
    """A run: its number, and when it started and ended; None when no event says so."""

    run: int
    started_at: str | None = None
    ended_at: str | None = None
    status: str = "running"


@dataclass(slots=True)
class CostTree:
    """A workflow's branches, runs and dearest messages.

    Attributes:
        message_count: of all messages; `messages` has the dearest of them, in the order of the ledger.
    """

    branches: list[Branch] = field(default_factory=list)
    runs: list[RunSpan] = field(default_factory=list)
    messages: list[MessageCost] = field(default_factory=list)
    message_count: int = 0


def cost_tree(lines: Iterable[Line], spent: Iterable[Spend], *, messages_max: int) -> CostTree:
    """Return the tree of a workflow.

    Args:
        spent: the workflow's spend, with what was moved to it.

    Raises:
        DamagedLedger: as the lines are read.
    """
    branches: dict[Key, Branch] = {}
    runs: dict[int, RunSpan] = {}
    messages: dict[tuple[Key, str], MessageCost] = {}
    for line in lines:
        try:
            if line["v"] > FORMAT_VERSION:
                continue
            moment = line.get("observed_at") or line.get("spent_at") or line["recorded_at"]
            if line["type"] == COST_OBSERVED:
                _read(line, moment, branches, messages)
            elif line["type"] in LIFECYCLE_TYPES:
                _run(line, moment, runs)
        except NOT_OURS:
            raise OddLine(line) from None
    for one in spent:
        branch = branches.setdefault(key := (one.agent, one.session_id, one.model), Branch(key))
        amounts = amounts_of(one)
        branch.cost_nanousd += one.cost_nanousd
        branch.total_tokens += sum(amounts[at] for at in _TOKENS)
        branch.unpriced_events += one.unpriced_events
        branch.at_least = branch.at_least or one.partial > 0
    for branch in branches.values():
        branch.at_least = branch.at_least or branch.unpriced_events > 0
    dearest = nlargest(messages_max, messages.values(), key=lambda one: (one.cost_nanousd or 0, -one.seq))
    return CostTree(
        [one for one in branches.values() if one.readings or one.cost_nanousd or one.total_tokens or one.at_least],
        sorted(runs.values(), key=lambda one: one.run),
        sorted(dearest, key=lambda one: one.seq),
        len(messages),
    )


def _read(line: Line, moment: str, branches: dict[Key, Branch], messages: dict[tuple[Key, str], MessageCost]) -> None:
    key: Key = (line.get("agent"), line.get("session_id"), line.get("model"))
    branch = branches.setdefault(key, Branch(key))
    branch.readings += 1
    branch.first_at = moment if branch.first_at is None else min(branch.first_at, moment)
    branch.last_at = moment if branch.last_at is None else max(branch.last_at, moment)
    if (message := line.get("message_id")) is not None:
        cost, usage = line.get("cost_usd"), line.get("usage") or {}
        tokens = sum(usage.get(name, 0) for name in USAGE_FIELDS if name.endswith("_tokens") and "1h" not in name)
        nanousd = None if cost is None else money.from_wire(cost)
        messages[key, message] = MessageCost(key, message, line["seq"], moment, nanousd, tokens)


def _run(line: Line, moment: str, runs: dict[int, RunSpan]) -> None:
    run = runs.setdefault(line["run"], RunSpan(line["run"]))
    if line["type"] in END_TYPES:
        run.ended_at, run.status = moment, line["type"].removeprefix("workflow_")
    elif run.started_at is None or moment < run.started_at:
        run.started_at = moment

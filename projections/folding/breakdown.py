"""The breakdown of a workflow: the sources of its cost and tokens, and the parts that need attention.

It is the sum of the spend over all quarter hours, so it agrees with every report. Money is integer nanodollars.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from operator import add
from typing import Final

from projections.folding.attribution import bring_up_to_date, lacking, levels_below
from projections.folding.basis import PARTIAL, PRICED, REPORTED
from projections.folding.meters import MESSAGE, MODEL, Path
from projections.folding.readings import Tokens
from projections.folding.spend import AMOUNTS, TOKENS, Amounts, Spend, amounts_of
from projections.folding.tree import Tree

__all__ = [
    "UNATTRIBUTED",
    "Summary",
    "basis_of",
    "name_of",
    "possible_double_counting",
    "retries_without_counter",
    "subagents",
    "summarise",
    "summary_of_spend",
]

UNATTRIBUTED: Final = "(unattributed)"

_EVENTS: Final = AMOUNTS.index("unpriced_events")
_TOKENS: Final = AMOUNTS.index("unpriced_tokens")
_LEVELS: Final = ("workflow", "agent", "session", "model", "message")
_MODELS_AND_MESSAGES: Final = 1 << MODEL | 1 << MESSAGE


@dataclass(frozen=True, slots=True)
class Summary:
    """The sums of a tree.

    Attributes:
        basis: bits of the readings that the total was taken from; `basis_of` names them.
        cost_by_agent, cost_by_model: nanodollars by name, no zeros.
        tokens_by_agent, tokens_by_model: counts by name, no all-zero ones.
        unpriced_by_model: the number of meters with usage that no priced reading covers, and those tokens, by name.
    """

    tokens: Tokens
    basis: int
    cost_by_agent: dict[str, int]
    cost_by_model: dict[str, int]
    tokens_by_agent: dict[str, Tokens]
    tokens_by_model: dict[str, Tokens]
    unpriced_by_model: dict[str, tuple[int, int]]

    @property
    def unpriced(self) -> int:
        """The number of meters with usage that no priced reading covers."""
        return sum(events for events, _ in self.unpriced_by_model.values())


def summarise(tree: Tree) -> Summary:
    """Return the tokens, the basis and the breakdown of a tree."""
    bring_up_to_date(tree)
    by_agent: dict[str, Amounts] = {}
    by_model: dict[str, Amounts] = {}
    for spent in tree.spend.values():
        for (agent, _, model), amounts in spent.items():
            for name, sums in ((agent or UNATTRIBUTED, by_agent), (model or UNATTRIBUTED, by_model)):
                sums[name] = list(map(add, sums[name], amounts)) if name in sums else amounts
    return _summary(by_agent, by_model, tree.root.tokens, tree.root.basis)


def summary_of_spend(spend: Iterable[Spend]) -> Summary:
    """Return the tokens and the breakdown of spend, which says nothing about the basis."""
    by_agent: dict[str, Amounts] = {}
    by_model: dict[str, Amounts] = {}
    total: Amounts = [0] * len(AMOUNTS)
    for one in spend:
        amounts = amounts_of(one)
        total = list(map(add, total, amounts))
        for name, sums in ((one.agent or UNATTRIBUTED, by_agent), (one.model or UNATTRIBUTED, by_model)):
            sums[name] = list(map(add, sums[name], amounts)) if name in sums else amounts
    return _summary(by_agent, by_model, tuple(total[TOKENS]), 0)


def _summary(by_agent: dict[str, Amounts], by_model: dict[str, Amounts], tokens: Tokens, basis: int) -> Summary:
    unpriced = {name: (amounts[_EVENTS], amounts[_TOKENS]) for name, amounts in by_model.items()}
    return Summary(
        tokens,
        basis,
        _costs(by_agent),
        _costs(by_model),
        _tokens(by_agent),
        _tokens(by_model),
        {name: both for name, both in unpriced.items() if any(both)},
    )


def _costs(sums: dict[str, Amounts]) -> dict[str, int]:
    return {name: amounts[0] for name, amounts in sums.items() if amounts[0]}


def _tokens(sums: dict[str, Amounts]) -> dict[str, Tokens]:
    return {name: tuple(amounts[TOKENS]) for name, amounts in sums.items() if any(amounts[TOKENS])}


def basis_of(summary: Summary, unread_events: int) -> str | None:
    """Return the `cost_basis`: "partial", "priced", "reported", or None without a reading."""
    if summary.basis & PARTIAL or summary.unpriced or unread_events:
        return "partial"
    if summary.basis & PRICED:
        return "priced"
    return "reported" if summary.basis & REPORTED else None


def possible_double_counting(tree: Tree) -> list[str]:
    """Return the meters whose figures may cover the same calls, sorted as text; their costs are counted all the same.

    These are siblings of different levels under one parent whose own reading does not decide, and one message under two
    paths. Messages without a model are not suspicious next to models that are nothing but the sum of their messages.
    """
    found: list[str] = []
    with_models_that_read = {meter.parent for meter in tree.meters.values() if meter.level == MODEL and meter.reads}
    for meter, bits in levels_below(tree).items():
        if bits == _MODELS_AND_MESSAGES and meter not in with_models_that_read:
            continue
        if bits & bits - 1:  # more than one
            names = " and ".join(name for level, name in enumerate(_LEVELS) if bits & 1 << level)
            found.append(f"{name_of(meter.path)}: {names} meters side by side")
    found += [f"message {message} under {count} meters" for message, count in _repeated(tree).items()]
    return sorted(found)


def _repeated(tree: Tree) -> dict[str, int]:
    """Return the messages that are below several meters, and below how many."""
    below = [meter.below for meter in tree.meters.values() if meter.below is not None]
    groups = [one for each in below for calls in each.calls.values() for one in (calls.highest, calls.settled)]
    named: list[Collection[str]] = [*filter(None, groups), *(each.messages for each in below if each.messages)]
    seen, again = set[str](), set[str]()
    for messages in named:
        again.update(seen.intersection(messages))
        seen.update(messages)
    return {message: sum(message in messages for messages in named) for message in again}


def retries_without_counter(tree: Tree) -> list[str]:
    """Return the meters with a retry that read less than they had cost before, sorted: its cost is unknown."""
    return sorted([name_of(meter.path) for meter in lacking(tree)])


def subagents(tree: Tree) -> dict[str, list[str]]:
    """Return the agents whose sub-agents are in the breakdown by agent, by the sub-agent's name."""
    found: dict[str, set[str]] = {}
    for meter in tree.meters.values():
        if meter.subagent is not None:
            found.setdefault(meter.subagent, set()).add(meter.path[0] or UNATTRIBUTED)
        for subagent, calls in ({} if meter.below is None else meter.below.calls).items():
            if subagent is not None and calls:
                found.setdefault(subagent, set()).add(meter.path[0] or UNATTRIBUTED)
    return {name: sorted(agents) for name, agents in found.items()}


def name_of(path: Path) -> str:
    """Return a meter's name for people, by its path: "agent plan, session s-1"; "workflow" for the root."""
    named = zip(_LEVELS[1:], path, strict=True)
    return ", ".join([f"{level} {part}" for level, part in named if part is not None]) or "workflow"

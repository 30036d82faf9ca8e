"""A walk over the tree of meters: where its cost and its tokens came from, and how far they can be trusted.

Each meter contributes its figure minus its children's, signed, to its path's agent and model; so the parts always
sum to the total. Money is integer nanodollars.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import add, sub
from typing import Final, NamedTuple

from projections.meters import NO_TOKENS, Meter, Reading, Tokens, Tree

__all__ = ["UNATTRIBUTED", "Summary", "basis_of", "name_of", "possible_double_counting", "settle", "summarise"]

UNATTRIBUTED: Final = "(unattributed)"

_REPORTED, _PRICED, _PARTIAL = 1, 2, 4
_LEVELS: Final = ("agent", "session", "model", "message")


class Summary:
    """What the walk found.

    Attributes:
        basis: bits of the readings that the total was taken from; `basis_of` names them.
        unpriced: meters with usage that nothing priced covers.
        cost_by_agent, cost_by_model: nanodollars by name, no zeros.
        tokens_by_agent, tokens_by_model: counts by name, no all-zero ones.
    """

    __slots__ = ("basis", "cost_by_agent", "cost_by_model", "tokens", "tokens_by_agent", "tokens_by_model", "unpriced")

    def __init__(self) -> None:
        self.tokens = NO_TOKENS
        self.basis = 0
        self.unpriced = 0
        self.cost_by_agent: dict[str, int] = {}
        self.cost_by_model: dict[str, int] = {}
        self.tokens_by_agent: dict[str, Tokens] = {}
        self.tokens_by_model: dict[str, Tokens] = {}


def summarise(tree: Tree) -> Summary:
    """Tokens, basis and breakdown of a tree as it stands."""
    summary = Summary()

    def visit(meter: Meter, stand: Stand, below: Tokens) -> None:
        summary.unpriced += stand.unpriced
        own = stand.tokens if below is NO_TOKENS else tuple(map(sub, stand.tokens, below))
        if meter.children or meter.cost_nanousd or any(own):
            _contribute(summary, meter, own)
        if meter.parent is None:
            summary.tokens, summary.basis = stand.tokens, stand.basis

    _walk(tree.root, visit, ended=tree.ended, covered=False)
    summary.cost_by_agent = {name: cost for name, cost in summary.cost_by_agent.items() if cost}
    summary.cost_by_model = {name: cost for name, cost in summary.cost_by_model.items() if cost}
    summary.tokens_by_agent = {name: tokens for name, tokens in summary.tokens_by_agent.items() if any(tokens)}
    summary.tokens_by_model = {name: tokens for name, tokens in summary.tokens_by_model.items() if any(tokens)}
    return summary


def settle(tree: Tree) -> None:
    """A new run begins: every meter keeps what it stood at, and forgets the unpriced usage that was covered."""
    stood: list[tuple[Meter, Stand]] = []

    def visit(meter: Meter, stand: Stand, below: Tokens) -> None:  # noqa: ARG001
        stood.append((meter, stand))

    _walk(tree.root, visit, ended=tree.ended, covered=False)
    for meter, stand in stood:  # only now: a parent's figures come from what its children had settled at
        meter.settled_tokens = stand.tokens
        meter.settled_levels = _levels(meter, ended=True)
        meter.settled_basis = stand.basis if stand.decided else 0
        meter.unpriced = meter.unpriced if stand.unpriced else None
    tree.settle()


class Stand(NamedTuple):
    """What a meter stands at.

    Attributes:
        basis: bits of the readings that its cost was taken from, in all runs.
        news: the same, of this run's readings alone.
        decided: the meter's own reading decides its cost, or did when an earlier run settled.
        unpriced: it has usage that nothing priced covers.
    """

    tokens: Tokens
    basis: int
    news: int
    decided: bool
    unpriced: bool


Visit = Callable[[Meter, Stand, Tokens], None]
"""`(meter, what it stands at, its children's tokens)`, children first."""


def _walk(meter: Meter, visit: Visit, *, ended: bool, covered: bool) -> Stand:
    """Visit a meter and all below it; `covered`: a reading above decides the cost of this one too."""
    chosen = meter.chosen(ended=ended)
    news = 0 if chosen is None else _basis(chosen)
    decided = chosen is not None or meter.settled_basis != 0
    if not meter.children and meter.unpriced is None and meter.settled_tokens is NO_TOKENS:
        tokens = NO_TOKENS if chosen is None else chosen.usage or NO_TOKENS  # most meters: one message, read once
        stand = Stand(tokens, news or meter.settled_basis, news, decided, unpriced=False)
        visit(meter, stand, NO_TOKENS)
        return stand
    below, grown, below_basis, below_news = NO_TOKENS, NO_TOKENS, 0, 0
    for child in meter.children:
        stood = _walk(child, visit, ended=ended, covered=covered or chosen is not None)
        below = tuple(map(add, below, stood.tokens))
        grown = tuple(map(add, grown, map(sub, stood.tokens, child.settled_tokens)))
        below_basis |= stood.basis
        below_news |= stood.news
    tokens = tuple([max(0, settled + more) for settled, more in zip(meter.settled_tokens, grown, strict=True)])
    if chosen is None:
        news = below_news
        basis = meter.settled_basis | below_news if decided else below_basis
    else:
        basis = news
        below_decides_tokens = any(tokens) and chosen.cost_nanousd == meter.below_nanousd
        if chosen.usage and not below_decides_tokens:
            tokens = chosen.usage
    unpriced = meter.unpriced is not None and not covered and not _covers(chosen, meter.unpriced)
    if meter.unpriced is not None and unpriced:
        tokens = tuple(map(max, tokens, meter.unpriced))
    stand = Stand(tokens, basis, news, decided, unpriced)
    visit(meter, stand, below)
    return stand


def _basis(reading: Reading) -> int:
    return (_REPORTED if reading.reported else _PRICED) | (0 if reading.complete else _PARTIAL)


def _covers(chosen: Reading | None, unpriced: Tokens) -> bool:
    """Whether a priced reading of the same meter speaks for its unpriced usage too."""
    if chosen is None:
        return False
    return chosen.final or (bool(chosen.usage) and all(map(int.__ge__, chosen.usage, unpriced)))


def _contribute(summary: Summary, meter: Meter, tokens: Tokens) -> None:
    cost = meter.cost_nanousd - sum([child.cost_nanousd for child in meter.children])
    agent, _, model, _ = meter.path
    for name, costs, counts in (
        (agent or UNATTRIBUTED, summary.cost_by_agent, summary.tokens_by_agent),
        (model or UNATTRIBUTED, summary.cost_by_model, summary.tokens_by_model),
    ):
        costs[name] = costs.get(name, 0) + cost
        counts[name] = tuple(map(add, counts.get(name, NO_TOKENS), tokens))


def basis_of(summary: Summary, unread_events: int) -> str | None:
    """`cost_basis`: "partial", "priced", "reported", or None without a reading."""
    if summary.basis & _PARTIAL or summary.unpriced or unread_events:
        return "partial"
    if summary.basis & _PRICED:
        return "priced"
    return "reported" if summary.basis & _REPORTED else None


def possible_double_counting(tree: Tree) -> list[str]:
    """Meters whose figures may speak of the same calls, sorted; they are counted, and this says so.

    Siblings of different levels under one parent whose own reading does not decide, and one message under two paths.
    """
    found: list[str] = []
    messages: dict[str, int] = {}
    for meter in tree.meters.values():
        if meter.path[3] is not None:
            messages[meter.path[3]] = messages.get(meter.path[3], 0) + 1
        levels = _levels(meter, ended=tree.ended)
        if len(levels) > 1:
            names = " and ".join(name for name in _LEVELS if name in levels)
            found.append(f"{name_of(meter)}: {names} meters side by side")
    found += [f"message {message} under {count} meters" for message, count in messages.items() if count > 1]
    return sorted(found)


def _levels(meter: Meter, *, ended: bool) -> frozenset[str]:
    """The kinds of meters below that its figure was added up from; none when its own reading decides."""
    if meter.chosen(ended=ended) is not None:
        return frozenset()
    grown = [_level(child) for child in meter.children if child.cost_nanousd != child.settled_nanousd]
    return meter.settled_levels.union(grown)


def _level(meter: Meter) -> str:
    return _LEVELS[max(index for index, part in enumerate(meter.path) if part is not None)]


def name_of(meter: Meter) -> str:
    """A meter for people: "agent plan, session s-1"; "workflow" for the root."""
    return ", ".join(_named(meter)) or "workflow"


def _named(meter: Meter) -> Iterator[str]:
    for level, part in zip(_LEVELS, meter.path, strict=True):
        if part is not None:
            yield f"{level} {part}"

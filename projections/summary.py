"""A walk over the tree of meters: where its cost and its tokens came from, and how far they can be trusted.

Each meter contributes its figure minus its children's, signed, to its path's agent and model; so the parts always
sum to the total. Money is integer nanodollars.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import add, sub
from typing import Final, Protocol

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

    def visit(meter: Meter, tokens: Tokens, below: Tokens, basis: int, *, open_: bool) -> None:
        summary.unpriced += open_
        own = tokens if below is NO_TOKENS else tuple(map(sub, tokens, below))
        if meter.children or meter.cost_nanousd or any(own):
            _contribute(summary, meter, own)
        if meter.parent is None:
            summary.tokens, summary.basis = tokens, basis

    _walk(tree.root, visit, ended=tree.ended, covered=False)
    summary.cost_by_agent = {name: cost for name, cost in summary.cost_by_agent.items() if cost}
    summary.cost_by_model = {name: cost for name, cost in summary.cost_by_model.items() if cost}
    summary.tokens_by_agent = {name: tokens for name, tokens in summary.tokens_by_agent.items() if any(tokens)}
    summary.tokens_by_model = {name: tokens for name, tokens in summary.tokens_by_model.items() if any(tokens)}
    return summary


def settle(tree: Tree) -> None:
    """A new run begins: every meter keeps what it stood at, and forgets the unpriced usage that was covered."""

    def visit(meter: Meter, tokens: Tokens, below: Tokens, basis: int, *, open_: bool) -> None:  # noqa: ARG001
        meter.settled_tokens, meter.settled_basis = tokens, basis
        if not open_:
            meter.unpriced = None

    _walk(tree.root, visit, ended=tree.ended, covered=False)
    tree.settle()


class Visit(Protocol):
    """Called for each meter, children first."""

    def __call__(self, meter: Meter, tokens: Tokens, below: Tokens, basis: int, *, open_: bool) -> None:
        """Take one meter in.

        Args:
            below: its children's tokens.
            basis: bits of the readings its cost was taken from.
            open_: it has usage that nothing priced covers.
        """
        ...


def _walk(meter: Meter, visit: Visit, *, ended: bool, covered: bool) -> tuple[Tokens, int]:
    """Visit a meter and all below it; `covered`: a reading above decides the cost of this one too."""
    chosen = meter.chosen(ended=ended)
    if not meter.children and meter.unpriced is None and meter.settled_tokens is NO_TOKENS:
        tokens = NO_TOKENS if chosen is None else chosen.usage or NO_TOKENS  # most meters: one message, read once
        basis = meter.settled_basis if chosen is None else _basis(chosen)
        visit(meter, tokens, NO_TOKENS, basis, open_=False)
        return tokens, basis
    sums, grown, basis = NO_TOKENS, NO_TOKENS, meter.settled_basis
    for child in meter.children:
        tokens, child_basis = _walk(child, visit, ended=ended, covered=covered or chosen is not None)
        sums = tuple(map(add, sums, tokens))
        grown = tuple(map(add, grown, map(sub, tokens, child.settled_tokens)))
        basis |= child_basis
    tokens = tuple([max(0, settled + more) for settled, more in zip(meter.settled_tokens, grown, strict=True)])
    if chosen is not None:
        basis = _basis(chosen)
        below_decides_tokens = any(tokens) and chosen.cost_nanousd == meter.below_nanousd
        if chosen.usage and not below_decides_tokens:
            tokens = chosen.usage
    open_ = meter.unpriced is not None and not covered and not _covers(chosen, meter.unpriced)
    if meter.unpriced is not None and open_:
        tokens = tuple(map(max, tokens, meter.unpriced))
    visit(meter, tokens, sums, basis, open_=open_)
    return tokens, basis


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
        levels = {_level(child) for child in meter.children if child.cost_nanousd}
        if len(levels) > 1 and meter.chosen(ended=tree.ended) is None:
            names = " and ".join(name for name in _LEVELS if name in levels)
            found.append(f"{name_of(meter)}: {names} meters side by side")
    found += [f"message {message} under {count} meters" for message, count in messages.items() if count > 1]
    return sorted(found)


def _level(meter: Meter) -> str:
    return _LEVELS[max(index for index, part in enumerate(meter.path) if part is not None)]


def name_of(meter: Meter) -> str:
    """A meter for people: "agent plan, session s-1"; "workflow" for the root."""
    return ", ".join(_named(meter)) or "workflow"


def _named(meter: Meter) -> Iterator[str]:
    for level, part in zip(_LEVELS, meter.path, strict=True):
        if part is not None:
            yield f"{level} {part}"

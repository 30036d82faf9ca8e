"""What each meter stands at: its tokens, and how far its cost can be trusted; only what moved is looked at again.

Tokens follow the reading that was chosen for the cost; a total that equals its parts leaves them to the parts. Like the
cost, each meter contributes its tokens minus its children's; `bring_up_to_date` books how that changed since it was
last called, under the quarter hour that the tree is in. So it is called before the tree goes to another one.
"""

from __future__ import annotations

from enum import Enum
from operator import add, sub
from typing import Final

from projections.folding.meters import MESSAGE, Meter, Tree
from projections.folding.readings import NO_TOKENS, Reading, Summed, Tokens
from projections.folding.spend import AMOUNTS, TOKENS, Key, Spent

__all__ = [
    "PARTIAL",
    "PRICED",
    "REPORTED",
    "bring_up_to_date",
    "lacking",
    "levels_below",
    "partial_keys",
    "settle",
    "uncovered_usage",
]

REPORTED, PRICED, PARTIAL = 1, 2, 4
"""Bits of a basis: what the readings behind a cost were."""

_UNPRICED_EVENTS: Final = AMOUNTS.index("unpriced_events")
_UNPRICED_TOKENS: Final = AMOUNTS.index("unpriced_tokens")

_COUNT_BITS: Final = 40
"""Room for the children of one meter that have a bit of a basis; three such counts share an integer."""
_COUNT: Final = (1 << _COUNT_BITS) - 1
_COUNTED: Final = tuple([sum(1 << _COUNT_BITS * at for at in range(3) if bits & 1 << at) for bits in range(8)])


def bring_up_to_date(tree: Tree) -> None:
    """Look again at every meter that moved and at those above it, and book how their tokens changed."""
    if not tree.moved:
        return
    layers, ended = _layers(tree), tree.ended
    for layer in reversed(layers):
        for meter in layer:
            _look(meter, tree.spent, ended=ended)
    tree.moved.clear()


def _layers(tree: Tree) -> list[list[Meter]]:
    """The meters that moved and all above them, by level."""
    layers: list[list[Meter]] = [[] for _ in range(MESSAGE + 1)]
    seen: set[Meter] = set()

    def add_with_those_above(meters: set[Meter]) -> None:
        for meter in meters:
            above: Meter | None = meter
            while above is not None and above not in seen:
                seen.add(above)
                layers[above.level].append(above)
                above = above.parent

    add_with_those_above(tree.moved)
    if tree.unpriced and any(_turned(meter, ended=tree.ended) for meter in seen):
        add_with_those_above(tree.unpriced)  # what decides above a meter covers its unpriced usage, or no longer does
    return layers


def _turned(meter: Meter, *, ended: bool) -> bool:
    """Whether its own reading decides for those below, or no longer does, since it was last looked at."""
    return meter.below is not None and _says(meter.chosen(ended=ended)) != meter.decides


def _look(meter: Meter, spent: Spent, *, ended: bool) -> None:
    """Bring one meter up to date, its children being so, and tell its parent."""
    chosen, below = meter.chosen(ended=ended), meter.below
    meter.decides = _says(chosen)
    tokens, unpriced_tokens = meter.settled_tokens, 0
    if below is not None:
        unpriced_tokens = below.unpriced_tokens
        if below.settled_tokens is tokens:
            tokens = below.tokens
        else:
            grown = map(sub, below.tokens, below.settled_tokens)
            tokens = tuple([max(0, settled + more) for settled, more in zip(tokens, grown, strict=True)])
    if chosen is not None:
        basis = news = _basis(chosen)
        if meter.decides == _SUMMED:
            basis |= meter.settled_bits
        if chosen.usage and not (chosen.cost_nanousd == meter.below_nanousd and any(tokens)):
            tokens = chosen.usage
    else:
        news = 0 if below is None else _bits(below.news)
        basis = meter.settled_basis | news if meter.settled_basis or below is None else _bits(below.basis)
    if (meter.lacks_counter or meter.settled_lacks_counter) and not _is_whole(chosen):
        basis |= PARTIAL
        news |= PARTIAL if meter.lacks_counter else 0
    unpriced = uncovered_usage(meter, chosen, ended=ended)
    uncovered = unpriced is not None
    if unpriced is not None:
        tokens = tuple(map(max, tokens, unpriced))
        unpriced_tokens = max(unpriced_tokens, total(unpriced))
    if tokens != meter.tokens:
        _book_tokens(meter, tokens, spent)
    if (uncovered, unpriced_tokens) != (meter.uncovered, meter.unpriced_tokens):
        _book_unpriced(meter, unpriced_tokens, spent, uncovered=uncovered)
    if basis != meter.basis or news != meter.news:
        above = None if meter.parent is None else meter.parent.below
        if above is not None:
            above.basis += _COUNTED[basis] - _COUNTED[meter.basis]
            above.news += _COUNTED[news] - _COUNTED[meter.news]
        meter.basis, meter.news = basis, news


def _book_tokens(meter: Meter, tokens: Tokens, spent: Spent) -> None:
    change = tuple(map(sub, tokens, meter.tokens))
    meter.tokens = tokens
    parent = meter.parent
    if parent is not None and parent.below is not None:
        parent.below.tokens = tuple(map(add, parent.below.tokens, change))
    if parent is not None and meter.key is parent.key:
        return  # booked under its parent's key, and taken from there
    gained, taken = spent[meter.key], None if parent is None else spent[parent.key]
    for at, more in enumerate(change, TOKENS.start):
        gained[at] += more
        if taken is not None:
            taken[at] -= more


def _book_unpriced(meter: Meter, unpriced_tokens: int, spent: Spent, *, uncovered: bool) -> None:
    change, parent = unpriced_tokens - meter.unpriced_tokens, meter.parent
    spent[meter.key][_UNPRICED_EVENTS] += uncovered - meter.uncovered
    spent[meter.key][_UNPRICED_TOKENS] += change
    meter.uncovered, meter.unpriced_tokens = uncovered, unpriced_tokens
    if parent is not None and parent.below is not None:
        parent.below.unpriced_tokens += change
        spent[parent.key][_UNPRICED_TOKENS] -= change


def settle(tree: Tree) -> None:
    """A new run begins: every meter keeps what it stood at, and forgets the unpriced usage that was covered."""
    bring_up_to_date(tree)
    levels = levels_below(tree)
    without_counter = set(lacking(tree))
    left = {meter: uncovered_usage(meter, meter.chosen(ended=True), ended=True) for meter in tree.unpriced}
    for meter, usage in left.items():
        meter.unpriced = meter.settled_unpriced = usage
    tree.unpriced = {meter for meter in tree.unpriced if meter.uncovered}
    for meter in tree.meters.values():
        decided = meter.decides or meter.settled_basis or meter.lacks_counter or meter.settled_lacks_counter
        meter.settled_tokens = meter.tokens
        meter.settled_levels = levels.get(meter, 0)
        meter.settled_basis, meter.settled_bits = meter.basis if decided else 0, meter.basis
        meter.decides = 0
        meter.news = 0
        if meter.below is not None:
            meter.below.settled_tokens, meter.below.news = meter.below.tokens, 0
    for meter in tree.lacking:
        meter.lacks_counter, meter.settled_lacks_counter = False, meter in without_counter
    tree.lacking = without_counter
    tree.settle()


def levels_below(tree: Tree) -> dict[Meter, int]:
    """Bits of the levels below that a meter's figure was added up from, where its own reading does not decide."""
    found = {meter: meter.settled_levels for meter in tree.meters.values() if meter.settled_levels}
    for meter in tree.meters.values():
        if meter.parent is not None and meter.cost_nanousd != meter.settled_nanousd:
            found[meter.parent] = found.get(meter.parent, 0) | 1 << meter.level
    return {meter: bits for meter, bits in found.items() if meter.chosen(ended=tree.ended) is None}


def partial_keys(tree: Tree) -> set[Key]:
    """What the incomplete readings behind the total are booked under, and all below those; the tree is up to date.

    A meter's own reading speaks for all below it; what it had settled at speaks for all below but what is new.
    """
    found: set[Key] = set()
    if not tree.root.basis & PARTIAL:
        return found
    asked: dict[Meter | None, _Asked] = {None: _Asked.ALL}
    for meter in tree.meters.values():  # parents are made before their children
        asked_here = below = asked[meter.parent]
        if asked_here in (_Asked.ALL, _Asked.NEW):
            doubtful = meter.lacks_counter or (meter.settled_lacks_counter and asked_here is _Asked.ALL)
            if doubtful and not _is_whole(meter.chosen(ended=tree.ended)):
                below = _Asked.PARTIAL
            elif meter.decides:
                bits = meter.basis if asked_here is _Asked.ALL else meter.news
                below = _Asked.PARTIAL if bits & PARTIAL else _Asked.NOTHING
            elif asked_here is _Asked.ALL and (meter.settled_basis or meter.below is None):
                below = _Asked.PARTIAL if meter.settled_basis & PARTIAL else _Asked.NEW
        asked[meter] = below
        if below is _Asked.PARTIAL:
            found.add(meter.key)
    return found


class _Asked(Enum):
    """What of a meter's basis is part of the total's: all, what is new in this run, nothing, or it is partial."""

    ALL, NEW, NOTHING, PARTIAL = range(4)


def total(tokens: Tokens) -> int:
    """Tokens of all kinds together; what is part of another bucket, or no token, is left out."""
    uncached, writes, _, reads, output, _ = tokens
    return uncached + writes + reads + output


def _basis(reading: Reading) -> int:
    return (REPORTED if reading.reported else PRICED) | (0 if reading.complete else PARTIAL)


def _bits(counts: int) -> int:
    """Which of the three counts are not 0."""
    reported, priced, partial = counts & _COUNT, counts >> _COUNT_BITS & _COUNT, counts >> 2 * _COUNT_BITS
    return (REPORTED if reported else 0) | (PRICED if priced else 0) | (PARTIAL if partial else 0)


_OWN, _SUMMED = 1, 2


def _says(chosen: Reading | None) -> int:
    """What decides a meter's cost: 0 the meters below, else its own reading, or the sum of its counters."""
    return 0 if chosen is None else _SUMMED if type(chosen) is Summed else _OWN


def _is_whole(chosen: Reading | None) -> bool:
    """Whether a meter's own reading is the whole cost, also after readings that lacked a counter."""
    return chosen is not None and _says(chosen) == _OWN and chosen.final and chosen.complete


def lacking(tree: Tree) -> list[Meter]:
    """The meters that lack a counter, and whose figures nothing replaces: no whole cost of theirs, no total above.

    A sum of counters above replaces the figures of this run only, as it does with usage without a price.
    """
    ended = tree.ended
    return [
        meter
        for meter in tree.lacking
        if not _is_whole(meter.chosen(ended=ended))
        and _OWN not in (above := _above(meter, ended=ended))
        and (meter.settled_lacks_counter or _SUMMED not in above)
    ]


def uncovered_usage(meter: Meter, chosen: Reading | None, *, ended: bool) -> Tokens | None:
    """Its usage without a price that no priced reading speaks for: its own, or one above that decides.

    A sum of counters speaks for this run; usage that earlier runs left without a price stays without.
    """
    unpriced = _unpriced(meter)
    if unpriced is None:
        return None
    says = {_says(chosen)} if chosen is not None and _speaks_for(meter, chosen, unpriced) else set()
    says |= _above(meter, ended=ended)
    if _OWN in says:
        return None
    return meter.settled_unpriced if _SUMMED in says else unpriced


def _unpriced(meter: Meter) -> Tokens | None:
    counted = None if meter.counters is None else meter.counters.unpriced_usage()
    if counted is None:
        return meter.unpriced
    total_usage = map(add, meter.settled_unpriced or NO_TOKENS, counted)
    return tuple(map(max, meter.unpriced or NO_TOKENS, total_usage))


def _speaks_for(meter: Meter, chosen: Reading, unpriced: Tokens) -> bool:
    """Whether its own reading covers its usage without a price; a sum of counters, that of this run."""
    if chosen.final:
        return True
    usage = chosen.usage
    if type(chosen) is Summed:
        usage = chosen.usage and chosen.grown
        unpriced = tuple(map(sub, unpriced, meter.settled_unpriced or NO_TOKENS))
    return bool(usage) and all(map(int.__ge__, usage, unpriced))


def _above(meter: Meter, *, ended: bool) -> set[int]:
    """What decides the costs of the meters above."""
    found: set[int] = set()
    above = meter.parent
    while above is not None:
        found.add(_says(above.chosen(ended=ended)))
        above = above.parent
    return found

"""The tokens of each meter, and how complete its cost is; only meters that changed are computed again.

Tokens follow the reading that was chosen for the cost; a total that equals its parts leaves them to the parts. Like the
cost, each meter contributes its tokens minus its children's. `bring_up_to_date` books the changes since its last call
under the tree's current quarter hour, so it is called before the tree moves to another one.
"""

from __future__ import annotations

from enum import Enum
from operator import add, sub
from typing import Final

from projections.folding.basis import COUNTED, PARTIAL, bits_of
from projections.folding.calls import Calls, basis_bits
from projections.folding.meters import MESSAGE, OWN, SUMMED, Meter
from projections.folding.readings import NO_TOKENS, Reading, Summed, Tokens
from projections.folding.spend import AMOUNTS, Amounts, Key, Spent
from projections.folding.tree import Tree

__all__ = [
    "bring_up_to_date",
    "lacking",
    "levels_below",
    "partial_keys",
    "settle",
    "uncovered_usage",
]

_NOTHING: Final[Amounts] = [0] * len(AMOUNTS)


def bring_up_to_date(tree: Tree) -> None:
    """Update every meter that changed and those above it, and book the changes of their tokens."""
    tree.settle_costs()
    if not tree.moved:
        return
    layers, ended = _layers(tree), tree.ended
    for layer in reversed(layers):
        for meter in layer:
            _update(meter, tree.spent, ended=ended)
    tree.moved.clear()


def _layers(tree: Tree) -> list[list[Meter]]:
    """Return the meters that changed and all above them, by level."""
    layers: list[list[Meter]] = [[] for _ in range(MESSAGE + 1)]
    found: set[Meter] = set()

    def add_with_those_above(meters: set[Meter]) -> None:
        for meter in meters:
            above: Meter | None = meter
            while above is not None and above not in found:
                found.add(above)
                layers[above.level].append(above)
                above = above.parent

    add_with_those_above(tree.moved)
    if tree.unpriced and any(_turned(meter, ended=tree.ended) for meter in found):
        add_with_those_above(tree.unpriced)  # a decision above a meter covers its unpriced usage, or no longer does
    return layers


def _turned(meter: Meter, *, ended: bool) -> bool:
    """Return whether it changed since the last update whether its own reading decides for the meters below."""
    return meter.below is not None and _decider(meter.chosen(ended=ended)) != meter.decides


def _update(meter: Meter, spent: Spent, *, ended: bool) -> None:
    """Update one meter, after its children, and the sums of its parent."""
    chosen, below = meter.chosen(ended=ended), meter.below
    meter.decides = _decider(chosen)
    for calls in meter.calls:
        _take_in(meter, calls, spent)
    tokens, unpriced_tokens = meter.settled_tokens, 0
    if below is not None:
        unpriced_tokens = below.unpriced_tokens
        if below.settled_tokens is tokens:
            tokens = below.tokens
        else:
            grown = map(sub, below.tokens, below.settled_tokens)
            tokens = tuple([max(0, settled + more) for settled, more in zip(tokens, grown, strict=True)])
    if chosen is not None:
        basis = new_basis = _basis(chosen)
        if meter.decides == SUMMED:
            basis |= meter.settled_bits
        if chosen.usage and not (chosen.cost_nanousd == meter.below_nanousd and any(tokens)):
            tokens = chosen.usage
    else:
        new_basis = 0 if below is None else bits_of(below.new_basis)
        basis = meter.settled_basis | new_basis if meter.settled_basis or below is None else bits_of(below.basis)
    if (meter.lacks_counter or meter.settled_lacks_counter) and not _is_whole(chosen):
        basis |= PARTIAL
        new_basis |= PARTIAL if meter.lacks_counter else 0
    unpriced = uncovered_usage(meter, chosen, ended=ended)
    if unpriced is not None:
        tokens = tuple(map(max, tokens, unpriced))
        unpriced_tokens = max(unpriced_tokens, total(unpriced))
    _report(meter, tokens, unpriced_tokens, basis, new_basis)
    meter.uncovered = unpriced is not None
    _book(meter, spent)


def _report(meter: Meter, tokens: Tokens, unpriced_tokens: int, basis: int, new_basis: int) -> None:
    """Store a meter's figures, and add their changes to the sums of its parent."""
    above = None if meter.parent is None else meter.parent.below
    if above is not None:
        if tokens != meter.tokens:
            above.tokens = tuple(map(add, above.tokens, map(sub, tokens, meter.tokens)))
        above.unpriced_tokens += unpriced_tokens - meter.unpriced_tokens
        above.basis += COUNTED[basis] - COUNTED[meter.basis]
        above.new_basis += COUNTED[new_basis] - COUNTED[meter.new_basis]
    meter.tokens, meter.unpriced_tokens, meter.basis, meter.new_basis = tokens, unpriced_tokens, basis, new_basis


def _take_in(meter: Meter, calls: Calls, spent: Spent) -> None:
    """Add the changes of calls to the sums of their meter, and book them."""
    below, (counts, *tokens) = meter.below, calls.update()
    if below is not None:
        below.tokens = tuple(map(add, below.tokens, tokens))
        below.basis += counts
        below.new_basis += counts
    calls.booked = _booked(spent, calls.key, calls.contribution, calls.booked)


def _book(meter: Meter, spent: Spent) -> None:
    """Book the change of what a meter contributes."""
    contribution = meter.contribution
    if meter.key != meter.booked_key and meter.booked_key is not None:
        _booked(spent, meter.booked_key, _NOTHING, meter.booked)
        meter.booked = None
    meter.booked, meter.booked_key = _booked(spent, meter.key, contribution, meter.booked), meter.key


def _booked(spent: Spent, key: Key, amounts: Amounts, before: Amounts | None) -> Amounts:
    before = before or _NOTHING
    if amounts != before:
        spent[key] = list(map(add, spent[key], map(sub, amounts, before)))
    return amounts


def settle(tree: Tree) -> None:
    """Start a new run: settle every meter at its figures, and drop the unpriced usage that is covered."""
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
        meter.new_basis = 0
        if meter.below is not None:
            meter.below.settled_tokens, meter.below.new_basis = meter.below.tokens, 0
    for meter in tree.lacking:
        meter.lacks_counter, meter.settled_lacks_counter, meter.floor = False, meter in without_counter, None
    tree.lacking = without_counter
    tree.settle()


def levels_below(tree: Tree) -> dict[Meter, int]:
    """Return the bits of the levels that a meter's figure was added up from, where its own reading does not decide."""
    tree.settle_costs()
    found = {meter: meter.settled_levels for meter in tree.meters.values() if meter.settled_levels}
    for meter in tree.meters.values():
        if meter.parent is not None and meter.cost_nanousd != meter.settled_nanousd:
            found[meter.parent] = found.get(meter.parent, 0) | 1 << meter.level
        for calls in meter.calls:
            if calls.grown_nanousd:
                found[meter] = found.get(meter, 0) | 1 << MESSAGE
    return {meter: bits for meter, bits in found.items() if meter.chosen(ended=tree.ended) is None}


def partial_keys(tree: Tree) -> set[Key]:
    """Return the keys of the total's incomplete readings, and of all meters below those; the tree is up to date.

    A meter's own reading covers all below it; its settled figure covers all below but the growth of this run.
    """
    found: set[Key] = set()
    if not tree.root.basis & PARTIAL:
        return found
    parts: dict[Meter | None, _Part] = {None: _Part.ALL}
    for meter in tree.meters.values():  # parents are made before their children
        part = below = parts[meter.parent]
        if part in (_Part.ALL, _Part.NEW):
            lacks = meter.lacks_counter or (meter.settled_lacks_counter and part is _Part.ALL)
            if lacks and not _is_whole(meter.chosen(ended=tree.ended)):
                below = _Part.PARTIAL
            elif meter.decides:
                bits = meter.basis if part is _Part.ALL else meter.new_basis
                below = _Part.PARTIAL if bits & PARTIAL else _Part.NOTHING
            elif part is _Part.ALL and (meter.settled_basis or meter.below is None):
                below = _Part.PARTIAL if meter.settled_basis & PARTIAL else _Part.NEW
        parts[meter] = below
        if below is _Part.PARTIAL:
            found.add(meter.key)
        if below is not _Part.NOTHING:
            found |= {
                calls.key
                for calls in meter.calls
                if (len(calls) if below is _Part.PARTIAL else calls.is_partial(new=below is _Part.NEW))
            }
    return found


class _Part(Enum):
    """The part of a meter's basis that counts in the total's: all, that of this run, nothing, or it is partial."""

    ALL, NEW, NOTHING, PARTIAL = range(4)


def total(tokens: Tokens) -> int:
    """Return the sum of all tokens, without the buckets that are part of another one or count no tokens."""
    uncached, writes, _, reads, output, _ = tokens
    return uncached + writes + reads + output


def _basis(reading: Reading) -> int:
    return basis_bits(reported=reading.reported, complete=reading.complete)


def _decider(chosen: Reading | None) -> int:
    """Return what decides a meter's cost: 0 for the meters below, else its own reading or the sum of its counters."""
    return 0 if chosen is None else SUMMED if type(chosen) is Summed else OWN


def _is_whole(chosen: Reading | None) -> bool:
    """Return whether a meter's own reading is its whole cost, also after readings that lacked a counter."""
    return chosen is not None and _decider(chosen) == OWN and chosen.final and chosen.complete


def lacking(tree: Tree) -> list[Meter]:
    """Return the meters that lack a counter and whose figure no whole cost of their own and no total above replaces.

    A sum of counters above replaces the figures of this run only, as it does with usage without a price.
    """
    tree.settle_costs()
    ended = tree.ended
    return [
        meter
        for meter in tree.lacking
        if not _is_whole(meter.chosen(ended=ended))
        and OWN not in (above := _above(meter, ended=ended))
        and (meter.settled_lacks_counter or SUMMED not in above)
    ]


def uncovered_usage(meter: Meter, chosen: Reading | None, *, ended: bool) -> Tokens | None:
    """Return its usage without a price that no priced reading covers: its own, or one above that decides.

    A sum of counters covers this run only; usage that earlier runs left without a price stays without one.
    """
    unpriced = _unpriced(meter)
    if unpriced is None:
        return None
    deciders = {_decider(chosen)} if chosen is not None and _covers(meter, chosen, unpriced) else set()
    deciders |= _above(meter, ended=ended)
    if OWN in deciders:
        return None
    return meter.settled_unpriced if SUMMED in deciders else unpriced


def _unpriced(meter: Meter) -> Tokens | None:
    counted = None if meter.counters is None else meter.counters.unpriced_usage()
    if counted is None:
        return meter.unpriced
    total_usage = map(add, meter.settled_unpriced or NO_TOKENS, counted)
    return tuple(map(max, meter.unpriced or NO_TOKENS, total_usage))


def _covers(meter: Meter, chosen: Reading, unpriced: Tokens) -> bool:
    """Return whether its own reading covers its usage without a price; a sum of counters, only that of this run."""
    if chosen.final:
        return True
    usage = chosen.usage
    if type(chosen) is Summed:
        usage = chosen.usage and chosen.grown
        unpriced = tuple(map(sub, unpriced, meter.settled_unpriced or NO_TOKENS))
    return bool(usage) and all(map(int.__ge__, usage, unpriced))


def _above(meter: Meter, *, ended: bool) -> set[int]:
    """Return what decides the costs of the meters above."""
    found: set[int] = set()
    above = meter.parent
    while above is not None:
        found.add(_decider(above.chosen(ended=ended)))
        above = above.parent
    return found

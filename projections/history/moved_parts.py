"""The workflows that moves connect: what each ledger comes to by itself, and the rows that follow from all of them.

A history stores the part of every ledger that a move names, next to the rows. When one of them is written, the rows of
all that are connected with it are made again, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import astuple
from typing import Protocol

import orjson

from projections.folding.moves import CountedRow, LedgerPart, composed
from projections.folding.projection import Move, Projected
from projections.folding.row import Row
from projections.folding.spend import Spend

__all__ = ["PartStore", "composed_again", "connected", "part_of_text", "recomposed", "text_of_part"]


class PartStore(Protocol):
    """The stored parts and moves of a history, within a transaction."""

    def edges(self, workflow_ids: Collection[str]) -> set[tuple[str, str]]:
        """Return the moves from or to these workflows, each as (from, to)."""
        ...

    def stored(self, workflow_ids: Collection[str]) -> dict[str, LedgerPart]:
        """Return the stored parts of these workflows."""
        ...

    def from_rows(self, workflow_ids: Collection[str]) -> dict[str, LedgerPart]:
        """Return the parts of these workflows by their rows, which no move has changed; those without are left out."""
        ...

    def save(self, parts: Mapping[str, LedgerPart]) -> None:
        """Store parts and their moves in place of those stored before."""
        ...

    def drop(self, workflow_ids: Collection[str]) -> None:
        """Delete the parts of these workflows, and their moves to others."""
        ...


def connected(store: PartStore, workflow_ids: Iterable[str]) -> set[str]:
    """Return these workflows and all that stored moves connect with them."""
    found = set(workflow_ids)
    new = set(found)
    while new:
        new = {name for edge in store.edges(new) for name in edge} - found
        found |= new
    return found


def recomposed(store: PartStore, fresh: Iterable[Projected], *, removed: Collection[str] = ()) -> dict[str, CountedRow]:
    """Store the parts of ledgers, and return the rows that follow from them, also of other workflows.

    Args:
        fresh: ledgers that were folded; of one that no move names, nothing is stored or returned.
        removed: workflows whose rows are removed.
    """
    parts = {one.row.adw_id: LedgerPart(one.row, one.spend, one.moves) for one in fresh}
    named = {name for edge in store.edges({*parts, *removed}) for name in edge}
    first = {name for name, part in parts.items() if part.moves or name in named} | (named & {*removed})
    if not first:
        return {}
    stored = store.stored(first)
    as_before = not removed and all(name in stored and stored[name].moves == parts[name].moves for name in first)
    before = connected(store, first)
    store.drop(removed)
    store.save({name: parts[name] for name in first & parts.keys()})
    members = connected(store, before | first) - {*removed}
    store.save({name: parts[name] for name in members & parts.keys()})
    return composed_again(store, members, first if as_before else None)


def composed_again(
    store: PartStore, workflow_ids: Collection[str], changed: Collection[str] | None = None
) -> dict[str, CountedRow]:
    """Return the rows of these workflows, all that moves connect, and store the parts of those that a move names.

    Args:
        changed: only these have changed, and not by a move: only rows that depend on them are returned; None: any.
    """
    stored = store.stored(workflow_ids)
    parts = stored | store.from_rows(set(workflow_ids) - stored.keys())
    named = {name for edge in store.edges(parts) for name in edge}
    store.save({name: part for name, part in parts.items() if name in named and name not in stored})
    store.drop(stored.keys() - named)
    return composed(parts, changed)


def text_of_part(part: LedgerPart) -> str:
    """Return a part as JSON."""
    return orjson.dumps([astuple(part.row), list(map(tuple, part.spend)), list(map(tuple, part.moves))]).decode()


def part_of_text(text: str) -> LedgerPart:
    """Return the part of `text_of_part`."""
    row, spend, moves = orjson.loads(text)
    return LedgerPart(Row(*row), tuple(Spend(*one) for one in spend), tuple(Move(*one) for one in moves))

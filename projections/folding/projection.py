"""The result of folding a ledger: its row, its spend, what of it was moved, and its head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ledger.storage.line import Head
from projections.folding.fold import State
from projections.folding.row import Row, row, spend
from projections.folding.spend import Spend

__all__ = ["Move", "Projected", "is_covered", "moves_of", "projected"]

_SESSION = 2


class Move(NamedTuple):
    """A move in effect: of one session, or of all else where that is None.

    Attributes:
        to: the workflow it was moved to; its own ends an earlier move.
        agent: the agent's name there; None: as it is.
    """

    session_id: str | None
    to: str
    agent: str | None


@dataclass(frozen=True, slots=True)
class Projected:
    """A row and the spend by pure replay of one ledger, and the head up to which it was folded for both.

    Attributes:
        moves: what of it counts in the rows of other workflows; `row` and `spend` are as if nothing were moved.
    """

    row: Row
    spend: tuple[Spend, ...]
    head: Head
    moves: tuple[Move, ...] = ()


def projected(state: State, head: Head) -> Projected:
    """Return the row, the spend and the moves of a state.

    Args:
        head: up to which the ledger was folded.

    Raises:
        UnstorableRow: a figure is above what a history can store.
    """
    return Projected(row(state, head), spend(state), head, moves_of(state))


def moves_of(state: State) -> tuple[Move, ...]:
    """Return the moves in effect, in the order of their sessions.

    One home counts for a session that is left behind, and to find an empty workflow again, which has no row.
    """
    home = state.workflow_id
    away = state.moves.get(None, (home, None))[0] != home
    moves = [Move(session_id, *move) for session_id, move in state.moves.items() if not is_covered(state, session_id)]
    counted = [move for move in moves if move.to != home or (away and move.session_id is not None) or state.is_empty]
    return tuple(sorted(counted, key=lambda move: move.session_id or ""))


def is_covered(state: State, session_id: str | None) -> bool:
    """Return whether a meter above a session has a reading, which covers it: then the session cannot be moved alone."""
    if session_id is None:
        return False
    above = [
        meter.parent
        for meter in state.tree.meters.values()
        if meter.level == _SESSION and meter.path[_SESSION - 1] == session_id
    ]
    return any(meter.reads or (meter.parent is not None and meter.parent.reads) for meter in above if meter)

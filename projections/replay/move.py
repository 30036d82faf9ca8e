"""Moves: what a workflow costs, or one of its sessions, counts in another workflow from now on."""

from __future__ import annotations

from typing import Final, TypedDict, Unpack

from ledger.errors import CostledgerError, UnknownWorkflow
from ledger.events.annotations import workflow_moved
from ledger.events.event import Event
from ledger.events.ids import digest
from ledger.storage.append import Receipt
from ledger.storage.store import LedgerStore
from projections.folding.fold import State, fold, initial
from projections.folding.projection import is_covered

__all__ = ["MoveFields", "MoveRefused", "move", "planned_move"]

_OPENED: Final = "opened by a move"
"""The reason of the event that tells a ledger that was opened for a move from one with a workflow of its own."""


class MoveRefused(CostledgerError):
    """A move that is not possible."""

    http_status = 409


class MoveFields(TypedDict, total=False):
    """The fields of a move besides the workflow that it is to.

    Attributes:
        session_id: only this session is moved.
        agent: the agent's name in the other workflow; None leaves the names as they are.
    """

    session_id: str | None
    agent: str | None
    reason: str | None


def move(ledgers: LedgerStore, workflow_id: str, *, to: str, **fields: Unpack[MoveFields]) -> Receipt | None:
    """Append the move of a workflow, or of one of its sessions, to another workflow; nothing is copied.

    Returns:
        The receipt; None when it counts there already.

    Raises:
        CostledgerError: see `planned_move`; nothing was moved.
    """
    made = planned_move(ledgers, workflow_id, to=to, **fields)
    return None if made is None else ledgers.append([made])[0]


def planned_move(ledgers: LedgerStore, workflow_id: str, *, to: str, **fields: Unpack[MoveFields]) -> Event | None:
    """Return the event that moves a workflow, or one of its sessions; None when it counts there already.

    The other workflow is opened if it does not exist. The last move counts; one to the workflow itself ends another.

    Raises:
        MoveRefused: it would be a circle, or the session cannot be moved alone.
        UnknownWorkflow, InvalidEvent, InvalidWorkflowId, DamagedLedger, LedgerUnavailable: it cannot be moved.
    """
    made, session_id = workflow_moved(workflow_id, to=to, **fields), fields.get("session_id")
    state = _folded(ledgers, workflow_id)
    rest = state.moves.get(None, (workflow_id, None))
    if (to, fields.get("agent")) == state.moves.get(session_id, rest if to == workflow_id else (workflow_id, None)):
        return None
    _check_circle(ledgers, workflow_id, to)
    _check_session(state, session_id)
    if ledgers.size(to) is None:
        ledgers.append([workflow_moved(to, to=to, reason=_OPENED, id=digest(_OPENED, to))])
    return made


def _folded(ledgers: LedgerStore, workflow_id: str) -> State:
    state = initial(workflow_id)
    for line in ledgers.read(workflow_id):
        fold(state, line)
    return state


def _check_circle(ledgers: LedgerStore, workflow_id: str, to: str) -> None:
    path, at = [workflow_id], to
    while at not in path:
        path.append(at)
        try:
            moved = _folded(ledgers, at).moves.get(None)
        except UnknownWorkflow:
            return
        at = at if moved is None else moved[0]
    if at == workflow_id and to != workflow_id:
        way = " → ".join([*path[1:], workflow_id])
        raise MoveRefused(
            f"{workflow_id} cannot be moved to {to}, which was moved to it ({way}); end that move first: "
            f"costledger move --to {path[-1]} -- {path[-1]}"
        )


def _check_session(state: State, session_id: str | None) -> None:
    if session_id is None:
        return
    name = state.workflow_id
    sessions = {path[1] for path in state.tree.meters if path[1] is not None}
    if session_id not in sessions:
        known = ", ".join(sorted(sessions)[:5]) or "none"
        raise MoveRefused(f"{name} has no session {session_id!r}; its sessions: {known}")
    if is_covered(state, session_id):
        raise MoveRefused(
            f"session {session_id} of {name} cannot be moved alone: a reading of its agent or of the workflow covers "
            f"it; move all of it: costledger move --to OTHER -- {name}"
        )

"""The state of a workflow after some of its lines, and what every line of a reading changes in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ledger.errors import shown
from ledger.events.runs import Runs
from ledger.events.typed_line import LineSource, TypedLine
from ledger.events.worktrees import without_worktree
from projections.folding.attribution import bring_up_to_date
from projections.folding.line_values import evidence_of, impossible
from projections.folding.spend import Dated, Spent, quarter_of
from projections.folding.tree import Tree

__all__ = ["RUNNING", "Acceptance", "State", "active", "book_under", "initial", "take_source", "take_time"]

RUNNING: Final = "running"
_AGENT_LOG: Final = "claude_stream"
"""The kind of source whose logs are in a project's `agents` folder."""


class Acceptance(NamedTuple):
    """The facts that an accepted finding covers, and the reason for the acceptance."""

    covers: str
    reason: str


@dataclass(slots=True, eq=False)
class State:
    """The state of a workflow after some of its lines.

    Attributes:
        accepted: the accepted findings, by their kind; the last acceptance of a kind counts.
        moves: by session, None for all else, the workflow that it was moved to last and the agent's name there.
        opened_for_move: its first move is to itself: the ledger was opened so that another one could be moved to it.
        unread_events: the number of lines of a type or version that this version cannot read.
        error_message, end_time: of the end that decides.
        start_time: of the earliest start.
        run_start: when the current run started; "" in the first.
        started: a program has started the current run, and not only an import.
        restarted_at: when a program last started the current run again without an end before.
        kinds: of the sources of its readings; "" for those that name none.
        folder: the project whose `agents` folder its logs were read from, by their paths; None without such a log.
        last_activity: the latest moment of its readings, starts and ends; None without any.
        ended_late: the end that decides has no time of its own, and was recorded long after all activity before it.
        minute: the current minute of the spend, "YYYY-MM-DDTHH:MM", and `evidence` that for it; `booked` is its
            quarter hour with that evidence and the run.
    """

    workflow_id: str
    status: str = RUNNING
    runs: Runs = field(default_factory=Runs)
    tree: Tree = field(default_factory=Tree)
    event_count: int = 0
    readings: int = 0
    unread_events: int = 0
    created_at: str = ""
    updated_at: str = ""
    start_time: str | None = None
    end_time: str | None = None
    issue_number: int | None = None
    workflow_template: str | None = None
    project: str | None = None
    branch: str | None = None
    folder: str | None = None
    kinds: set[str] = field(default_factory=set)
    estimated_nanousd: int | None = None
    budget_nanousd: int | None = None
    error_message: str | None = None
    run_start: str = ""
    started: bool = False
    restarted_at: str = ""
    last_activity: str | None = None
    ended_late: bool = False
    accepted: dict[str, Acceptance] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    moves: dict[str | None, tuple[str, str | None]] = field(default_factory=dict)
    opened_for_move: bool = False
    minute: str = ""
    evidence: str | None = None
    booked: Dated | None = None

    @property
    def cost_nanousd(self) -> int:
        """The cost of the workflow."""
        return self.tree.cost_nanousd

    @property
    def is_empty(self) -> bool:
        """Whether it was only opened so that another one could be moved to it, and no event says anything of it."""
        own = self.readings or self.runs.run or self.accepted or self.unread_events
        return self.opened_for_move and not own

    @property
    def ended(self) -> bool:
        """Whether its current run has ended."""
        return self.runs.ended


def initial(workflow_id: str) -> State:
    """Return the state before the first line."""
    return State(workflow_id)


def take_time(state: State, moment: str, line: TypedLine) -> None:
    """Record the activity of a reading, and book it under the quarter hour in which it was spent."""
    spent_at, spent_at_from = (moment, None) if line.spent_at is None else evidence_of(line)
    if line.reason is None:
        active(state, spent_at, line)
    if spent_at[:16] != state.minute or spent_at_from != state.evidence:
        book_under(state, spent_at, spent_at_from, line)


def take_source(state: State, source: LineSource | None) -> None:
    """Record the kind of source of a reading, and which project's `agents` folder it was read from."""
    if source is None:
        state.kinds.add("")
        return
    kind, file = source.kind, source.file
    if not isinstance(kind, str):
        return
    state.kinds.add(kind)
    if kind == _AGENT_LOG and isinstance(file, str):
        folder, agents, _ = file.replace("\\", "/").partition(f"/agents/{state.workflow_id}/")
        if agents and folder and "\0" not in folder:
            project = without_worktree(folder, state.workflow_id)
            state.folder = project if state.folder is None else min(state.folder, project)


def active(state: State, moment: str, line: TypedLine) -> str:
    """Record the moment of a reading, a start or an end; no activity is later than its record. Return the latest."""
    moment = min(moment, line.recorded_at)
    if state.last_activity is None or moment > state.last_activity:
        state.last_activity = moment
    return state.last_activity


def book_under(state: State, moment: str, spent_at_from: str | None, line: TypedLine) -> None:
    """Book all changes from now on under the quarter hour of this moment."""
    try:
        booked = (quarter_of(moment), spent_at_from, state.runs.run or 1)
    except ValueError:
        name = next((name for name in ("spent_at", "observed_at") if getattr(line, name) is not None), "recorded_at")
        raise impossible(line, name, f"expected a time, not {shown(moment)}") from None
    if booked != state.booked:
        bring_up_to_date(state.tree)
        state.tree.spent = state.tree.spend.setdefault(booked, Spent())
    state.minute, state.evidence, state.booked = moment[:16], spent_at_from, booked

"""The fold: `(state, line) -> state`, from which every row, explanation and report follows.

No clock, no file, no network, no randomness: the lines alone decide the state. For speed `fold` changes the state it is
given and returns it; for an earlier state, fold again from the first line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, NamedTuple

from ledger.errors import NOT_OURS, InvalidEvent, InvalidMoney, OddLine, shown
from ledger.events import money, timestamps
from ledger.events.event import (
    COST_OBSERVED,
    END_TYPES,
    FINDING_ACCEPTED,
    FORMAT_VERSION,
    LEDGER_OPENED,
    LIFECYCLE_TYPES,
    WORKFLOW_MOVED,
    WORKFLOW_STARTED,
    WORKFLOW_TAGGED,
    Line,
)
from ledger.events.fields import USAGE_FIELDS
from ledger.events.runs import Runs
from ledger.events.workflow_ids import is_workflow_id
from ledger.events.worktrees import without_worktree
from projections.folding.attribution import bring_up_to_date, settle
from projections.folding.meters import Meter, Path, Tree
from projections.folding.readings import NO_TOKENS, Reading, Tokens
from projections.folding.spend import Dated, Spent, quarter_of

__all__ = ["RUNNING", "Acceptance", "State", "fold", "initial"]

RUNNING: Final = "running"
_INPUT, _WRITE, _WRITE_1H, _READ, _OUTPUT, _SEARCH = USAGE_FIELDS
_AGENT_LOG: Final = "claude_stream"
"""The kind of source whose logs are in a project's `agents` folder."""
_INTEGERS: Final = frozenset({int})
_LONG: Final = timedelta(days=1)
"""After so long without activity, an end without a time of its own does not show how long the workflow lasted."""


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
        minute: the current minute of the spend, "YYYY-MM-DDTHH:MM", and the evidence for it; `booked` is its quarter
            hour with that evidence and the run.
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
    minute: tuple[str, str | None] = ("", None)
    booked: Dated | None = None

    @property
    def cost_nanousd(self) -> int:
        """The cost of the workflow."""
        return self.tree.root.cost_nanousd

    @property
    def ended(self) -> bool:
        """Whether its current run has ended."""
        return self.runs.ended


def initial(workflow_id: str) -> State:
    """Return the state before the first line."""
    return State(workflow_id)


def fold(state: State, line: Line) -> State:
    """Return the state after one more line.

    Raises:
        InvalidEvent: a field of the line has a value that its type does not allow; the message names seq and field.
    """
    state.event_count += 1
    state.updated_at = line["recorded_at"]
    state.created_at = state.created_at or line["recorded_at"]
    kind = line["type"]
    try:
        if line["v"] > FORMAT_VERSION:
            state.unread_events += 1
        elif kind == COST_OBSERVED:
            _cost_observed(state, line)
        elif kind in LIFECYCLE_TYPES:
            _lifecycle(state, line)
        elif kind == FINDING_ACCEPTED:
            _finding_accepted(state, line)
        elif kind == WORKFLOW_TAGGED:
            _tagged(state, line)
        elif kind == WORKFLOW_MOVED:
            _workflow_moved(state, line)
        elif kind != LEDGER_OPENED:
            state.unread_events += 1
    except InvalidMoney as error:
        raise _impossible(line, "cost_usd", str(error)) from None
    except NOT_OURS:
        raise OddLine(line) from None
    return state


def _cost_observed(state: State, line: Line) -> None:
    get = line.get
    path: Path = (get("agent"), get("session_id"), get("model"), get("message_id"))
    try:
        meter = state.tree.meters.get(path)
    except TypeError:
        meter = None
    if meter is None:
        meter = _new_meter(state.tree, path, line)
    state.readings += 1
    cost = get("cost_usd")
    usage = _usage(line)
    moment = _moment(line)
    spent_at, spent_at_from = (moment, None) if get("spent_at") is None else _evidence(line)
    if "reason" not in line:
        _active(state, spent_at, line)
    if (spent_at[:16], spent_at_from) != state.minute:
        _book_under(state, spent_at, spent_at_from, line)
    _take_source(state, get("source"))
    if (subagent := get("subagent")) is not None:
        state.tree.label(meter, _name(line, "subagent", subagent))
    if cost is None:
        if usage != NO_TOKENS:  # no tokens need no price; unknown tokens do
            state.tree.use(meter, usage or NO_TOKENS, _counter(line))
        return
    if not isinstance(cost, str):
        raise _impossible(line, "cost_usd", f"expected text, not {shown(cost)}")
    reported, complete = get("cost_source") != "priced", get("partial") is not True
    nanousd, final, at = money.from_wire(cost), get("final") is True, (moment, line["seq"])
    if get("counter") is not None:
        state.tree.count(
            meter, _name(line, "counter", line["counter"]), Reading(nanousd, reported, complete, final, usage), at
        )
        return
    if (nanousd < meter.settled_nanousd or state.tree.restarted) and _lacks_counter(
        state, meter, nanousd, line, moment
    ):
        complete = False
        state.tree.miss_counter(meter)
    state.tree.read(meter, Reading(nanousd, reported, complete, final, usage), at)


def _take_source(state: State, source: object) -> None:
    """Record the kind of source of a reading, and which project's `agents` folder it was read from."""
    if not isinstance(source, dict):
        state.kinds.add("")
        return
    kind, file = source.get("kind"), source.get("file")
    if not isinstance(kind, str):
        return
    state.kinds.add(kind)
    if kind == _AGENT_LOG and isinstance(file, str):
        folder, agents, _ = file.replace("\\", "/").partition(f"/agents/{state.workflow_id}/")
        if agents and folder and "\0" not in folder:
            project = without_worktree(folder, state.workflow_id)
            state.folder = project if state.folder is None else min(state.folder, project)


def _counter(line: Line) -> str | None:
    value = line.get("counter")
    return None if value is None else _name(line, "counter", value)


def _lacks_counter(state: State, meter: Meter, nanousd: int, line: Line, moment: str) -> bool:
    """Return whether a reading is of a counter that restarted at zero, without its name.

    It is below what its meter had cost when the run started, or had read when the program last started in it. A call is
    not a cumulative total, a reading observed before that start is only late, and a correction is absolute.
    """
    if line.get("message_id") is not None or (line.get("final") is True and line.get("reason") is not None):
        return False
    read = state.tree.restarted.get(meter)
    restarted = read is not None and nanousd < read.cost_nanousd and moment >= state.restarted_at
    return restarted or (nanousd < meter.settled_nanousd and moment >= state.run_start)


def _evidence(line: Line) -> tuple[str, str]:
    """Return the moment of a reading without a time, not after its record, and the evidence for it."""
    return min(str(_text(line, "spent_at")), line["recorded_at"]), _named_evidence(line) or "unknown"


def _named_evidence(line: Line) -> str | None:
    """Return the evidence for the time of a reading or an end whose source has no time for it."""
    source = line.get("source")
    named = source.get("spent_at_from") if isinstance(source, dict) else None
    return named if isinstance(named, str) and "\0" not in named else None


def _active(state: State, moment: str, line: Line) -> None:
    """Record the moment of a reading, a start or an end; no activity is later than its record."""
    moment = min(moment, line["recorded_at"])
    if state.last_activity is None or moment > state.last_activity:
        state.last_activity = moment


def _book_under(state: State, moment: str, spent_at_from: str | None, line: Line) -> None:
    """Book all changes from now on under the quarter hour of this moment."""
    try:
        booked = (quarter_of(moment), spent_at_from, state.runs.run or 1)
    except ValueError:
        name = next((name for name in ("spent_at", "observed_at") if name in line), "recorded_at")
        raise _impossible(line, name, f"expected a time, not {shown(moment)}") from None
    if booked != state.booked:
        bring_up_to_date(state.tree)
        state.tree.spent = state.tree.spend.setdefault(booked, Spent())
    state.minute, state.booked = (moment[:16], spent_at_from), booked


def _new_meter(tree: Tree, path: Path, line: Line) -> Meter:
    for name, part in zip(("agent", "session_id", "model", "message_id"), path, strict=True):
        if part is not None:
            _name(line, name, part)
    return tree.meter(path)


def _name(line: Line, name: str, value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise _impossible(line, name, f"expected text, not {shown(value)}")
    return value


def _usage(line: Line) -> Tokens:
    usage = line.get("usage")
    if usage is None:
        return ()
    if isinstance(usage, dict):
        get = usage.get
        counts = (get(_INPUT, 0), get(_WRITE, 0), get(_WRITE_1H, 0), get(_READ, 0), get(_OUTPUT, 0), get(_SEARCH, 0))
        if _INTEGERS.issuperset(map(type, counts)) and min(counts) >= 0:
            return counts
    raise _impossible(line, "usage", f"expected token counts, not {shown(usage)}")


def _lifecycle(state: State, line: Line) -> None:
    kind, run = line["type"], line.get("run")
    if not isinstance(run, int) or run < 1:
        raise _impossible(line, "run", f"expected a whole number from 1, not {shown(run)}")
    before, state.runs = state.runs, state.runs.after(kind, run)
    if state.runs.run != before.run:
        state.minute = ("", None)  # the next change is booked under the new run
    if kind == WORKFLOW_STARTED:
        _take_metadata(state, line)
        if before.ended and not state.runs.ended:
            settle(state.tree)
            state.run_start, state.started = _moment(line), False
            state.status, state.end_time, state.error_message = RUNNING, None, None
        if "source" not in line and run >= before.run and not state.runs.ended:
            if state.started:
                state.tree.restart()
                state.restarted_at = _moment(line)
            state.started = True
    elif kind in END_TYPES:
        moment, active_at = _moment(line), state.last_activity
        _active(state, moment, line)
        if run < before.run:
            return
        state.status, state.end_time = kind.removeprefix("workflow_"), moment
        state.ended_late = "observed_at" not in line and _is_long_after(moment, active_at)
        _book_under(state, moment, _named_evidence(line), line)
        state.error_message = _text(line, "error_message")
        state.tree.end()


def _finding_accepted(state: State, line: Line) -> None:
    findings, reason = line.get("findings"), _text(line, "reason")
    if not isinstance(findings, dict) or not all(isinstance(covers, str) for covers in findings.values()):
        raise _impossible(line, "findings", f"expected an object of texts, not {shown(findings)}")
    for kind, covers in findings.items():
        state.accepted[_name(line, "findings", kind)] = Acceptance(covers, (reason or "").replace("\0", "␀"))


def _tagged(state: State, line: Line) -> None:
    tags = line.get("tags")
    if not isinstance(tags, dict):
        raise _impossible(line, "tags", f"expected an object of texts, not {shown(tags)}")
    for key, value in tags.items():
        if _name(line, "tags", value):
            state.tags[_name(line, "tags", key)] = value
        else:
            state.tags.pop(key, None)


def _workflow_moved(state: State, line: Line) -> None:
    to, session_id, agent = (_text(line, name) for name in ("to", "session_id", "agent"))
    if to is None or not is_workflow_id(to):
        raise _impossible(line, "to", f"expected the id of a workflow, not {shown(to)}")
    for name, value in (("session_id", session_id), ("agent", agent)):
        if value is not None:
            _name(line, name, value)
    state.moves[session_id] = (to, agent)


def _take_metadata(state: State, line: Line) -> None:
    """Take the metadata of a start; the last start that names a field counts."""
    if "observed_at" in line or "source" not in line:  # an import without a time happened at an unknown moment
        moment = _moment(line)
        _active(state, moment, line)
        state.start_time = moment if state.start_time is None else min(state.start_time, moment)
    issue = line.get("issue_number")
    if issue is not None:
        if not isinstance(issue, int):
            raise _impossible(line, "issue_number", f"expected a whole number, not {shown(issue)}")
        state.issue_number = issue
    if (estimate := _text(line, "estimated_cost_usd")) is not None:
        state.estimated_nanousd = money.from_wire(estimate)
    if (budget := _text(line, "budget_usd")) is not None:
        state.budget_nanousd = money.from_wire(budget)
    state.workflow_template = _text(line, "workflow_template") or state.workflow_template
    if project := _text(line, "project"):
        state.project = without_worktree(project, state.workflow_id)
    if isinstance(branch := line.get("branch"), str) and branch:  # older versions accepted any value
        state.branch = branch


def _moment(line: Line) -> str:
    return (_text(line, "observed_at") if "observed_at" in line else None) or str(line["recorded_at"])


def _is_long_after(moment: str, activity: str | None) -> bool:
    return activity is not None and activity < timestamps.to_wire(timestamps.from_wire(moment) - _LONG)


def _text(line: Line, name: str) -> str | None:
    value: Any = line.get(name)
    if value is not None and not isinstance(value, str):
        raise _impossible(line, name, f"expected text, not {shown(value)}")
    return value


def _impossible(line: Line, name: str, problem: str) -> InvalidEvent:
    return InvalidEvent(name, f"at seq {line.get('seq')} of ledger {line.get('workflow_id')!r}: {problem}")

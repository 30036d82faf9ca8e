"""The fold: `(state, line) -> state`, from which every row, explanation and report follows.

No clock, no file, no network, no randomness: the lines alone decide the state. For speed `fold` changes the state it is
given and returns it; for an earlier state, fold again from the first line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from ledger.errors import NOT_OURS, InvalidMoney, OddLine, shown
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
from ledger.events.typed_line import TypedLine, as_mapping, typed
from ledger.events.workflow_ids import is_workflow_id
from ledger.events.worktrees import without_worktree
from projections.folding.attribution import settle
from projections.folding.call_readings import read_calls
from projections.folding.calls import reading_of
from projections.folding.line_values import (
    counter_of,
    impossible,
    moment_of,
    name_in,
    named_evidence,
    nanousd_of,
    rank_in,
    text_in,
    usage_of,
)
from projections.folding.meters import Meter, Path
from projections.folding.readings import NO_TOKENS, Reading
from projections.folding.state import (
    RUNNING,
    Acceptance,
    State,
    active,
    book_under,
    initial,
    take_source,
    take_time,
)
from projections.folding.tree import Tree, calls_for

__all__ = ["RUNNING", "Acceptance", "State", "fold", "fold_lines", "initial"]

_LONG: Final = timedelta(days=1)
"""After so long without activity, an end without a time of its own does not show how long the workflow lasted."""


def fold(state: State, line: Line) -> State:
    """Return the state after one more line.

    Raises:
        InvalidEvent: a field of the line has a value that its type does not allow; the message names seq and field.
    """
    return fold_lines(state, (typed(line),))


def fold_lines(state: State, lines: Sequence[TypedLine]) -> State:
    """Return the state after some more lines, as `fold` does.

    Raises:
        InvalidEvent: see `fold`.
    """
    before, rest = state.event_count, iter(lines)
    line = next(rest, None)
    try:
        while line is not None:
            if line.type == COST_OBSERVED and line.v <= FORMAT_VERSION:
                line = _cost_observed(state, line, rest)
            else:
                _take(state, line)
                state.event_count += 1
                line = next(rest, None)
    except InvalidMoney as error:
        raise impossible(lines[state.event_count - before], "cost_usd", str(error)) from None
    except NOT_OURS:
        raise OddLine(as_mapping(lines[state.event_count - before])) from None
    if lines:
        state.created_at = state.created_at or lines[0].recorded_at
        state.updated_at = lines[-1].recorded_at
    return state


def _take(state: State, line: TypedLine) -> None:
    """Take in a line that is no reading."""
    kind = line.type
    if line.v > FORMAT_VERSION:
        state.unread_events += 1
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


def _cost_observed(state: State, line: TypedLine, rest: Iterator[TypedLine]) -> TypedLine | None:
    """Take in a reading, and where it is of a call, those of calls that follow it.

    Returns:
        The first line that was not taken in; None when no line is left.
    """
    tree, message, subagent, cost = state.tree, line.message_id, line.subagent, line.cost_usd
    above: Path = (line.agent, line.session_id, line.model, None)
    try:
        parent = tree.meters.get(above)
    except TypeError:
        parent = None
    if parent is None:
        parent = _new_meter(tree, above, line)
    if message is not None and (type(message) is not str or "\0" in message):
        name_in(line, "message_id", message)
    if subagent is not None:
        name_in(line, "subagent", subagent)
    is_call = type(cost) is str and message is not None and line.counter is None
    if is_call and (calls := calls_for(parent, message, subagent)) is not None:
        return read_calls(state, line, rest, parent, calls)
    moment = line.recorded_at if line.observed_at is None else moment_of(line)
    take_time(state, moment, line)
    take_source(state, line.source)
    usage = usage_of(line)
    meter = parent if message is None else tree.meter((*above[:3], message))
    if subagent is not None:
        tree.label(meter, subagent)
    if cost is not None:
        _take_reading(state, line, meter, reading_of((nanousd_of(line), rank_in(line), usage, moment)), moment)
    elif usage != NO_TOKENS:  # no tokens need no price; unknown tokens do
        tree.use(meter, usage or NO_TOKENS, counter_of(line))
    state.readings += 1
    state.event_count += 1
    return next(rest, None)


def _take_reading(state: State, line: TypedLine, meter: Meter, reading: Reading, moment: str) -> None:
    """Take in a priced reading of a meter, or of one of its counters."""
    at = (moment, line.seq)
    if (counter := counter_of(line)) is not None:
        state.tree.count(meter, counter, reading, at)
        return
    lower = reading.cost_nanousd < meter.settled_nanousd
    if (lower or state.tree.restarted) and _lacks_counter(state, meter, reading.cost_nanousd, line, moment):
        reading = reading._replace(complete=False)
        state.tree.miss_counter(meter)
    state.tree.read(meter, reading, at)


def _lacks_counter(state: State, meter: Meter, nanousd: int, line: TypedLine, moment: str) -> bool:
    """Return whether a reading is of a counter that restarted at zero, without its name.

    It is below what its meter had cost when the run started, or had read when the program last started in it. A call is
    not a cumulative total, a reading observed before that start is only late, and a correction is absolute.
    """
    if line.message_id is not None or (line.final is True and line.reason is not None):
        return False
    read = state.tree.restarted.get(meter)
    restarted = read is not None and nanousd < read.cost_nanousd and moment >= state.restarted_at
    return restarted or (nanousd < meter.settled_nanousd and moment >= state.run_start)


def _new_meter(tree: Tree, path: Path, line: TypedLine) -> Meter:
    for name, part in zip(("agent", "session_id", "model", "message_id"), path, strict=True):
        if part is not None:
            name_in(line, name, part)
    return tree.meter(path)


def _lifecycle(state: State, line: TypedLine) -> None:
    kind, run = line.type, line.run
    if not isinstance(run, int) or run < 1:
        raise impossible(line, "run", f"expected a whole number from 1, not {shown(run)}")
    before, state.runs = state.runs, state.runs.after(kind, run)
    if state.runs.run != before.run:
        state.minute = ""  # the next change is booked under the new run
    if kind == WORKFLOW_STARTED:
        _take_metadata(state, line)
        if before.ended and not state.runs.ended:
            settle(state.tree)
            state.run_start, state.started = moment_of(line), False
            state.status, state.end_time, state.error_message = RUNNING, None, None
        if line.source is None and run >= before.run and not state.runs.ended:
            if state.started:
                state.tree.restart()
                state.restarted_at = moment_of(line)
            state.started = True
    elif kind in END_TYPES:
        moment, active_at = moment_of(line), state.last_activity
        active(state, moment, line)
        if run < before.run:
            return
        state.status, state.end_time = kind.removeprefix("workflow_"), moment
        state.ended_late = line.observed_at is None and _is_long_after(moment, active_at)
        book_under(state, moment, named_evidence(line), line)
        state.error_message = text_in(line, "error_message")
        state.tree.end()


def _finding_accepted(state: State, line: TypedLine) -> None:
    findings, reason = line.findings, text_in(line, "reason")
    if not isinstance(findings, dict) or not all(isinstance(covers, str) for covers in findings.values()):
        raise impossible(line, "findings", f"expected an object of texts, not {shown(findings)}")
    for kind, covers in findings.items():
        state.accepted[name_in(line, "findings", kind)] = Acceptance(covers, (reason or "").replace("\0", "␀"))


def _tagged(state: State, line: TypedLine) -> None:
    tags = line.tags
    if not isinstance(tags, dict):
        raise impossible(line, "tags", f"expected an object of texts, not {shown(tags)}")
    state.opened_for_move &= isinstance(line.source, dict)  # the environment tags each new ledger
    for key, value in tags.items():
        if name_in(line, "tags", value):
            state.tags[name_in(line, "tags", key)] = value
        else:
            state.tags.pop(key, None)


def _workflow_moved(state: State, line: TypedLine) -> None:
    to, session_id, agent = (text_in(line, name) for name in ("to", "session_id", "agent"))
    if to is None or not is_workflow_id(to):
        raise impossible(line, "to", f"expected the id of a workflow, not {shown(to)}")
    for name, value in (("session_id", session_id), ("agent", agent)):
        if value is not None:
            name_in(line, name, value)
    state.opened_for_move |= to == state.workflow_id and not state.moves
    state.moves[session_id] = (to, agent)


def _take_metadata(state: State, line: TypedLine) -> None:
    """Take the metadata of a start; the last start that names a field counts."""
    if line.observed_at is not None or line.source is None:  # an import without a time happened at an unknown moment
        moment = moment_of(line)
        active(state, moment, line)
        state.start_time = moment if state.start_time is None else min(state.start_time, moment)
    issue = line.issue_number
    if issue is not None:
        if not isinstance(issue, int):
            raise impossible(line, "issue_number", f"expected a whole number, not {shown(issue)}")
        state.issue_number = issue
    if (estimate := text_in(line, "estimated_cost_usd")) is not None:
        state.estimated_nanousd = money.from_wire(estimate)
    if (budget := text_in(line, "budget_usd")) is not None:
        state.budget_nanousd = money.from_wire(budget)
    state.workflow_template = text_in(line, "workflow_template") or state.workflow_template
    if project := text_in(line, "project"):
        state.project = without_worktree(project, state.workflow_id)
    if isinstance(branch := line.branch, str) and branch:  # older versions accepted any value
        state.branch = branch


def _is_long_after(moment: str, activity: str | None) -> bool:
    return activity is not None and activity < timestamps.to_wire(timestamps.from_wire(moment) - _LONG)

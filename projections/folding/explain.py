"""Why a workflow's cost is what it is: each event that moved the number, or accepted a finding about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from ledger.errors import NOT_OURS, OddLine
from ledger.events import money
from ledger.events.event import COST_OBSERVED, FINDING_ACCEPTED, FORMAT_VERSION, WORKFLOW_MOVED, WORKFLOW_STARTED
from ledger.events.typed_line import TypedLine, as_mapping
from projections.folding.breakdown import name_of
from projections.folding.fold import State, fold_lines, initial

__all__ = ["OTHER_STEPS", "Step", "cost_after", "steps"]

OTHER_STEPS: Final = frozenset({FINDING_ACCEPTED, WORKFLOW_MOVED})
"""The types of events that are explained although they change no cost in their own ledger."""


class Step(NamedTuple):
    """An event that changed a workflow's cost, or one of `OTHER_STEPS`, which changes none in its own ledger.

    Attributes:
        meter: the name of its meter for people, with its sub-agent and its counter; "workflow" for a start or an end.
        agent, session_id, model: of the reading; None where it names none.
        from_nanousd, to_nanousd: the workflow's cost before and after; None before the first figure, which may be $0.
        file, line: the position in its source; None without one.
    """

    seq: int
    recorded_at: str
    observed_at: str | None
    type: str
    meter: str
    agent: str | None
    session_id: str | None
    model: str | None
    from_nanousd: int | None
    to_nanousd: int | None
    why: str
    file: str | None
    line: int | None


def steps(chunks: Iterable[Sequence[TypedLine]], *, after: int = 0) -> Iterator[Step]:
    """Yield the steps of a ledger's lines, in order; from the first's `from` to the last's `to` they are gapless.

    They are made one at a time, so memory grows with the fold alone, by the meters of the ledger.

    Args:
        chunks: the lines, some at a time.
        after: only the steps after this seq; the lines up to it are folded all the same.

    Raises:
        DamagedLedger, InvalidEvent: as the lines are read and folded.
    """
    state: State | None = None
    cost: int | None = None
    for lines in chunks:
        state = state or initial(lines[0].workflow_id)
        if cost is not None and lines[-1].seq <= after:  # once known it stays known
            cost = fold_lines(state, lines).cost_nanousd
            continue
        for line in lines:
            before = cost
            try:
                is_asked = line.seq > after
                earlier = _earlier(state, line) if is_asked else None
                cost = cost_after(fold_lines(state, (line,)), line, before)
                if is_asked and (cost != before or line.type in OTHER_STEPS):
                    yield _step(state, line, before, cost, earlier)
            except NOT_OURS:
                raise OddLine(as_mapping(line)) from None


def cost_after(state: State, line: TypedLine, before: int | None) -> int | None:
    """Return a workflow's cost after a line; None while no complete figure was read and nothing was spent.

    Args:
        state: with the line.
        before: the cost before it; None before the first line.
    """
    if state.cost_nanousd or before is not None:
        return state.cost_nanousd
    is_figure = line.type == COST_OBSERVED and line.v <= FORMAT_VERSION and line.cost_usd is not None
    return 0 if is_figure and line.partial is not True else None


def _step(state: State, line: TypedLine, before: int | None, cost: int | None, earlier: int | None) -> Step:
    """Return the step of a line that was folded.

    Args:
        before, cost: of the workflow, before the line and after it.
        earlier: the reading before it of its meter, or of its counter.
    """
    file, number = (None, None) if line.source is None else (line.source.file, line.source.line)
    agent, session_id, model, _ = _path(line) if line.type == COST_OBSERVED else (None,) * 4
    return Step(
        seq=line.seq,
        recorded_at=line.recorded_at,
        observed_at=line.observed_at,
        type=line.type,
        meter=_meter(line),
        agent=agent,
        session_id=session_id,
        model=model,
        from_nanousd=before,
        to_nanousd=cost,
        why=_why(line, earlier, state),
        file=file if isinstance(file, str) else None,
        line=number if isinstance(number, int) else None,
    )


def _path(line: TypedLine) -> tuple[str | None, str | None, str | None, str | None]:
    return (line.agent, line.session_id, line.model, line.message_id)


def _earlier(state: State, line: TypedLine) -> int | None:
    """Return the earlier reading of the line's meter, or of its counter, in this run."""
    if line.type != COST_OBSERVED:
        return None
    path, counter = _path(line), line.counter
    if counter is None:
        return state.tree.highest_nanousd(path)
    meter = state.tree.meters.get(path)
    read = None if meter is None or meter.counters is None else meter.counters.highest.get(counter)
    return None if read is None else read.cost_nanousd


def _meter(line: TypedLine) -> str:
    if line.type != COST_OBSERVED:
        return "workflow"
    labels = (("sub-agent", line.subagent), ("counter", line.counter))
    named = [f"{label} {name}" for label, name in labels if name is not None]
    return ", ".join([name_of(_path(line)), *named])


def _why(line: TypedLine, earlier: int | None, state: State) -> str:
    if line.type == WORKFLOW_STARTED:
        return f"run {line.run} begins"
    if line.type == FINDING_ACCEPTED:
        return f"accepted: {', '.join(line.findings)} ({line.reason or 'without a reason'})"
    if line.type == WORKFLOW_MOVED:
        return _moved(line)
    if line.type != COST_OBSERVED:
        return f"{state.status}: the last readings count"
    reads = money.shown(money.from_wire(line.cost_usd))
    text = f"first reading, {reads}" if earlier is None else f"reads {reads}, was {money.shown(earlier)}"
    notes = [note for note in ("final", "partial") if getattr(line, note)]
    if line.source is not None and line.source.interrupted is True:
        notes.append("the run had begun before and not ended; what it spent after its last result is unknown")
    if line.cost_source == "priced":
        notes.append(f"priced by {line.price_book or 'an unnamed price book'}")
    if state.ended:
        notes.append("after the end")
    if line.reason:
        notes.append(str(line.reason))
    return text + (f" ({', '.join(notes)})" if notes else "")


def _moved(line: TypedLine) -> str:
    what = f"session {line.session_id}" if line.session_id else "all"
    if line.to == line.workflow_id:
        return f"{what} counts here" + (f" ({line.reason})" if line.reason else "")
    notes = [f"as agent {line.agent}"] if line.agent else []
    notes += [str(line.reason)] if line.reason else []
    return f"{what} counts in {line.to}" + (f" ({', '.join(notes)})" if notes else "")

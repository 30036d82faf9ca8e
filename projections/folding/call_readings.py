"""Readings of calls, many at a time: most lines of a ledger are like the one before them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from msgspec.structs import astuple

from ledger.events.event import COST_OBSERVED, FORMAT_VERSION
from ledger.events.money import from_wire
from ledger.events.typed_line import TypedLine, UsageCounts
from projections.folding.calls import Calls
from projections.folding.line_values import moment_of, name_in, rank_in, usage_of
from projections.folding.meters import Meter
from projections.folding.state import State, active, take_source, take_time
from projections.folding.tree import calls_for, takes_all

__all__ = ["read_calls"]


def read_calls(
    state: State, first: TypedLine, rest: Iterator[TypedLine], parent: Meter, calls: Calls
) -> TypedLine | None:
    """Take in a reading of a call, and those after it that are alike and of the same calls.

    Returns:
        The line after them; None when no line is left.
    """
    highest, deciding, ended, before = calls.highest, calls.deciding, state.tree.ended, state.event_count
    rank, fits = rank_in(first), False
    left: list[TypedLine] = []
    for line in _alike(state, first, rest, parent, left):
        message, usage, moment = line.message_id, line.usage, line.observed_at or line.recorded_at
        known = highest.get(message)
        if known is None and line is not first and not (fits and "\0" not in message):
            name_in(line, "message_id", message)
            if calls_for(parent, message, first.subagent) is not calls:
                left.append(line)
                break
            fits = takes_all(parent, calls, first.subagent)
        tokens = astuple(usage) if type(usage) is UsageCounts else usage_of(line)
        call = (from_wire(line.cost_usd), rank, tokens, moment)
        if known is None:
            highest[message] = call
            deciding.append(call)
        else:
            calls.read_again(message, known, call, ended=ended)
        if moment >= calls.last_moment:
            calls.last_moment, calls.last_seq = moment, line.seq
        state.event_count += 1
    state.tree.dirty.add(parent)
    state.readings += state.event_count - before
    calls.bound()
    return left[0] if left else None


def _alike(
    state: State, first: TypedLine, rest: Iterator[TypedLine], parent: Meter, left: list[TypedLine]
) -> Iterator[TypedLine]:
    """Yield a reading and those after it with the same fields but for the message, the figures, the time and the place.

    The time and the source of each were taken in. The line after them is put into `left`.
    """
    (agent, session_id, model, _), subagent, source = parent.path, first.subagent, first.source
    cost_source, final, partial = first.cost_source, first.final, first.partial
    is_plain, minute, last_activity = first.reason is None and first.spent_at is None, "", ""
    take_source(state, source)
    for line in chain((first,), rest):
        if line is not first:
            odd = line.agent != agent or line.session_id != session_id or line.model != model
            odd = odd or line.subagent != subagent or line.counter is not None or line.cost_source != cost_source
            odd = odd or line.final is not final or line.partial is not partial or line.type != COST_OBSERVED
            odd = odd or line.v > FORMAT_VERSION or line.reason is not None or line.spent_at is not None
            if odd or not is_plain or type(line.message_id) is not str or type(line.cost_usd) is not str:
                left.append(line)
                return
        moment, place = line.observed_at, line.source
        if moment is None:
            moment = line.recorded_at
        elif type(moment) is not str or not moment:
            moment = moment_of(line)
        if moment[:16] != minute:
            if line is not first:
                state.tree.dirty.add(parent)
            take_time(state, moment, line)
            minute, last_activity = state.minute, state.last_activity or ""
        elif moment > last_activity:
            last_activity = active(state, moment, line)
        if place is not source:
            if place is None or source is None or place.kind != source.kind or place.file != source.file:
                take_source(state, place)
            source = place
        yield line

"""Ledger lines as the reader hands them out, made without a ledger, and strategies for sequences of them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ledger.events.event import Line
from ledger.storage.line import Head
from projections.folding.fold import State, fold, initial

HEAD = Head(1, 1, "0" * 64)


def second(number: int) -> str:
    """A moment of one fixed hour."""
    return f"2026-11-23T18:{number // 60:02d}:{number % 60:02d}.000000Z"


def numbered(events: list[dict[str, Any]]) -> list[Line]:
    """Events as lines: seq, id and recorded_at in order."""
    return [
        {"v": 1, "seq": seq, "id": f"e{seq}", "workflow_id": "w", "recorded_at": second(seq), "hash": "0" * 64} | event
        for seq, event in enumerate(events, 1)
    ]


def reading(cost: str | None = None, **fields: Any) -> dict[str, Any]:
    """A `cost_observed`."""
    made: dict[str, Any] = {"type": "cost_observed"}
    if cost is not None:
        made |= {"cost_usd": cost, "cost_source": "reported"}
    return made | fields


def started(run: int = 1, **fields: Any) -> dict[str, Any]:
    return {"type": "workflow_started", "run": run} | fields


def ended(status: str = "completed", run: int = 1, **fields: Any) -> dict[str, Any]:
    return {"type": f"workflow_{status}", "run": run} | fields


def folded(*events: dict[str, Any]) -> State:
    """The state after these events."""
    state = initial("w")
    for line in numbered(list(events)):
        fold(state, line)
    return state


paths = st.fixed_dictionaries(
    {},
    optional={
        "agent": st.sampled_from(["plan", "build"]),
        "session_id": st.sampled_from(["s1", "s2"]),
        "model": st.sampled_from(["opus", "haiku"]),
        "message_id": st.sampled_from(["m1", "m2", "m3"]),
    },
)
usages = st.fixed_dictionaries(
    {"input_tokens": st.integers(0, 9), "output_tokens": st.integers(0, 9)},
    optional={"cache_read_tokens": st.integers(0, 9), "cache_write_tokens": st.integers(0, 9)},
)
costs = st.integers(0, 12).map(lambda cents: f"0.{cents:02d}")


@st.composite
def readings(draw: st.DrawFn) -> dict[str, Any]:
    """Any reading of a few meters: priced or not, final, partial, in any order of moments, dated by evidence or not."""
    fields = draw(paths)
    if subagent := draw(st.sampled_from(["", "", "explore", "review"])):
        fields["subagent"] = subagent
    if not fields.keys() & {"session_id", "message_id"} and (name := draw(st.sampled_from(["", "first", "second"]))):
        fields["counter"] = name
    return draw(any_reading(fields))


@st.composite
def any_reading(draw: st.DrawFn, fields: dict[str, Any]) -> dict[str, Any]:
    """Any reading of a meter, priced or not."""
    if draw(st.integers(0, 4)) == 0:
        return reading(None, usage=draw(usages), **fields)
    made = reading(draw(costs), **fields)
    made["cost_source"] = draw(st.sampled_from(["reported", "priced"]))
    if draw(st.booleans()):
        made["usage"] = draw(usages)
    flag = draw(st.sampled_from(["", "final", "partial"]))
    if flag:
        made[flag] = True
    if flag == "final" and draw(st.booleans()):
        made["reason"] = "invoice"
    if draw(st.booleans()):
        made["observed_at"] = second(draw(st.integers(0, 30)))
    elif draw(st.booleans()):
        made |= {"spent_at": second(draw(st.integers(0, 30))), "source": {"kind": "log", "spent_at_from": "file"}}
    if draw(st.integers(0, 4)) == 0:
        made["reason"] = "invoice"
    return made


starts = st.integers(1, 3).map(started)
ends = st.builds(ended, st.sampled_from(["completed", "failed", "cancelled"]), st.integers(1, 3))
events = st.lists(st.one_of(readings(), readings(), readings(), starts, ends), max_size=14)


@st.composite
def attempts(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A program that is started again, ended or killed before, and what few meters read meanwhile."""
    sequence, run = [started()], 1
    for _ in range(draw(st.integers(1, 4))):
        for _ in range(draw(st.integers(0, 4))):
            fields: dict[str, Any] = {"counter": name} if (name := draw(st.sampled_from(["", *"ab"]))) else {}
            fields |= draw(st.sampled_from([{}, {"agent": "plan"}, {"agent": "plan", "model": "opus"}]))
            if not fields.get("counter") and draw(st.integers(0, 3)) == 0:
                fields["message_id"] = draw(st.sampled_from(["m1", "m2"]))
            sequence.append(draw(readings()) if draw(st.integers(0, 9)) == 0 else draw(any_reading(fields)))
        if draw(st.booleans()):
            sequence.append(ended(draw(st.sampled_from(["completed", "failed"])), run))
            run += draw(st.integers(0, 1))
        sequence.append(started(run, **draw(st.sampled_from([{}, {}, {"source": {"kind": "adw"}}]))))
    return sequence

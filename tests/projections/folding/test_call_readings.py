"""Many lines at a time come to what the same lines come to one by one, however they are cut."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidEvent
from ledger.events import money
from ledger.events.typed_line import TypedLine, decoded, typed
from projections.folding.fold import State, fold, fold_lines, initial
from projections.folding.row import row, spend
from tests.projections.lines import HEAD, ended, events, numbered, reading, second, started
from tests.projections.meter_model import MeterModel


@st.composite
def sessions(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Several sessions of calls, whose lines are mostly like the one before; in up to two runs, also after the end."""
    sequence: list[dict[str, Any]] = [started()]
    for _ in range(draw(st.integers(1, 6))):
        alike: dict[str, Any] = draw(st.sampled_from([{}, {"agent": "plan"}, {"agent": "plan", "model": "opus"}]))
        alike = alike | draw(st.sampled_from([{}, {}, {}, {"subagent": "explore"}, {"final": True}, {"partial": True}]))
        kind = draw(st.sampled_from([None, None, "claude_stream", "log"]))
        for number in range(draw(st.integers(1, 6))):
            own: dict[str, Any] = {"message_id": f"m{draw(st.integers(0, 4))}"}
            if draw(st.booleans()):
                own["usage"] = {"input_tokens": draw(st.integers(0, 3)), "output_tokens": draw(st.integers(0, 3))}
            if draw(st.booleans()):
                own["observed_at"] = second(draw(st.sampled_from([1, 2, 59, 61, 899, 900, 1800])))
            if kind is not None:
                own["source"] = {"kind": kind, "file": f"/p/agents/w/{draw(st.integers(0, 1))}", "line": number}
            sequence.append(reading(f"0.0{draw(st.integers(0, 9))}", **alike, **own))
        if draw(st.integers(0, 4)) == 0:
            sequence.append(draw(st.sampled_from([ended(), started(2), reading(None, usage={"input_tokens": 1})])))
    return sequence


def read(lines: list[dict[str, Any]]) -> list[TypedLine]:
    """The lines as a ledger's reader yields them."""
    found = decoded(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    assert found is not None
    return found


@given(st.one_of(sessions(), events), st.lists(st.integers(1, 9)), st.booleans(), st.sampled_from([0, 2, 10_000]))
def test_lines_come_to_the_same_however_many_are_folded_and_stored_at_a_time(
    sequence: list[dict[str, Any]], sizes: list[int], asked: bool, stored: int
) -> None:
    lines, one_by_one, many = numbered(sequence), initial("w"), initial("w")
    for line in lines:
        fold(one_by_one, line)
    rest = read([dict(line) for line in lines])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("projections.folding.calls._MANY", stored)
        for size in [*sizes, len(rest) + 1]:
            fold_lines(many, rest[:size])
            rest = rest[size:]
            if asked:
                row(many, HEAD)
    assert row(many, HEAD) == row(one_by_one, HEAD)
    assert spend(many) == spend(one_by_one)
    assert (many.readings, many.event_count) == (one_by_one.readings, one_by_one.event_count)
    if lines:
        assert Fraction(many.cost_nanousd, money.NANOUSD_PER_USD) == MeterModel(lines).cost(())


def after(count: int, **fields: Any) -> State:
    """The state after so many good readings, and one with these fields."""
    good = reading("0.10", agent="plan", message_id="m")
    return fold_lines(initial("w"), [typed(line) for line in numbered([good] * count + [good | fields])])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("message_id", "a\0b"),
        ("message_id", 5),
        ("cost_usd", "0.1"),
        ("cost_usd", 5),
        ("observed_at", 0),
        ("observed_at", "2026-11-23T18:99:00.000000Z"),
        ("usage", {"input_tokens": -1}),
        ("subagent", 5),
        ("agent", []),
    ],
)
def test_an_impossible_field_among_many_lines_is_reported_with_its_seq(name: str, value: Any) -> None:
    with pytest.raises(InvalidEvent, match=f"{name}.*seq 4"):
        after(3, **{name: value})

"""Spend over time: the change of the breakdown, event by event, under the quarter hour of each event."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidEvent
from ledger.events import money
from ledger.events.event import Line
from projections.folding.breakdown import UNATTRIBUTED
from projections.folding.fold import State, fold, initial
from projections.folding.row import row, spend
from projections.folding.spend import AMOUNTS, NAMES, QUARTER_SECONDS, Spend, quarter_of
from tests.projections.lines import HEAD, attempts, ended, events, folded, numbered, reading, started
from tests.projections.meter_model import MeterModel

PLACES = (*range(len(AMOUNTS) - 3), "unpriced_events", len(AMOUNTS) - 3, "partial")
"""What `MeterModel.breakdown` calls each of `AMOUNTS`."""


def at(minutes: int) -> str:
    return f"2026-11-23T{18 + minutes // 60:02d}:{minutes % 60:02d}:30.000000Z"


@st.composite
def spread_lines(draw: st.DrawFn) -> list[Line]:
    """Lines of some hours, some of them observed long before or after they were recorded."""
    stride = draw(st.sampled_from([0, 1, 7, 16]))
    lines = numbered(draw(st.one_of(events, attempts())))
    for place, line in enumerate(lines):
        line["recorded_at"] = at(place * stride)
        if "observed_at" in line:
            line["observed_at"] = at(int(line["observed_at"][17:19]) * stride % 300)
        if "spent_at" in line:
            line["spent_at"] = at(int(line["spent_at"][17:19]) * stride % 300)
    return lines


def amounts(state: State) -> Counter[tuple[Any, ...]]:
    """Spend by its names and which figure; no zeros, no lower bounds."""
    found = {
        (*one[: len(NAMES)], place): figure
        for one in spend(state)
        for place, figure in zip(PLACES, one[len(NAMES) :], strict=True)
    }
    return Counter({key: figure for key, figure in found.items() if figure and key[-1] != "partial"})


@given(spread_lines())
def test_spend_is_the_change_of_the_naive_breakdown_event_by_event(lines: list[Line]) -> None:
    state = initial("w")
    expected: Counter[tuple[Any, ...]] = Counter()
    before: Counter[tuple[Any, ...]] = Counter()
    for length, line in enumerate(lines, 1):
        fold(state, line)
        now = MeterModel(lines[:length]).breakdown()
        spent_at, evidence = line.get("observed_at") or line["recorded_at"], None
        if "spent_at" in line:
            spent_at, evidence = min(line["spent_at"], line["recorded_at"]), "file"
        quarter, run = quarter_of(str(spent_at)), max(one.get("run", 1) for one in lines[:length])
        for key in now.keys() | before.keys():
            expected[(quarter, *key[:3], evidence, run, *key[3:])] += now[key] - before[key]
        before = now
    assert amounts(state) == Counter({key: figure for key, figure in expected.items() if figure})


@given(spread_lines())
def test_what_was_spent_is_a_lower_bound_somewhere_exactly_when_the_row_is_one(lines: list[Line]) -> None:
    state = initial("w")
    for line in lines:
        fold(state, line)
        shown, spent = row(state, HEAD), spend(state)
        if spent:
            at_least = any(one.partial for one in spent) or shown.unpriced_events > 0
            assert at_least == (shown.cost_basis == "partial")


def test_an_incomplete_reading_of_nothing_is_a_lower_bound_too() -> None:
    state = folded(reading("0.00", agent="plan", partial=True), reading("0.01", agent="build"))
    assert {one.agent: (one.cost_nanousd, one.partial) for one in spend(state)} == {
        "plan": (0, 1),
        "build": (10_000_000, 0),
    }


def test_a_killed_session_is_a_lower_bound_and_the_others_of_its_workflow_are_not() -> None:
    whole = reading("1.00", session_id="whole", model="opus", final=True)
    killed = reading("0.30", session_id="killed", model="opus", message_id="m1", partial=True)
    state = folded(started(), whole, killed)
    assert {one.session_id: one.partial for one in spend(state)} == {"whole": 0, "killed": 1}
    covered = folded(started(), whole, killed, reading("0.50", session_id="killed", final=True), ended())
    assert not any(one.partial for one in spend(covered)), "its total is known after all"
    again = [ended(), started(run=2), reading("0.10", session_id="third", final=True)]
    retried = folded(started(), whole, killed, *again)
    assert {one.session_id: one.partial for one in spend(retried)} == {"whole": 0, "killed": 1, "third": 0}


@given(spread_lines())
def test_spend_sums_to_the_row_by_agent_and_by_model_and_in_all(lines: list[Line]) -> None:
    state = initial("w")
    for line in lines:
        fold(state, line)
    shown, spent = row(state, HEAD), spend(state)
    costs, tokens = orjson.loads(shown.cost_breakdown), orjson.loads(shown.token_breakdown)
    assert sum(one.cost_nanousd for one in spent) == shown.actual_cost_nanousd
    assert sum(one.unpriced_events for one in spent) == shown.unpriced_events
    for column, field in (
        ("input_tokens", "input_tokens"),
        ("cached_tokens", "cache_write_tokens"),
        ("cache_hit_tokens", "cache_read_tokens"),
        ("output_tokens", "output_tokens"),
    ):
        assert sum(getattr(one, field) for one in spent) == getattr(shown, column)
    for by, named in (("by_agent", "agent"), ("by_model", "model")):
        sums: Counter[tuple[str, str]] = Counter()
        for one in spent:
            for field in AMOUNTS[:-1]:
                sums[(getattr(one, named) or UNATTRIBUTED, field)] += getattr(one, field)
        for name, usd in costs[by].items():
            assert money.to_wire(sums.pop((name, "cost_nanousd"))) == usd
        for name, counts in tokens[by].items():
            for bucket, count in counts.items():
                assert sums.pop((name, bucket)) == count
        assert not any(figure for (_, field), figure in sums.items() if not field.startswith("unpriced"))


@given(spread_lines(), st.integers(0, 20))
def test_a_state_that_was_updated_on_the_way_goes_on_to_the_same_row_and_spend(lines: list[Line], look: int) -> None:
    updated, fresh = initial("w"), initial("w")
    for place, line in enumerate(lines):
        fold(updated, line)
        fold(fresh, line)
        if place % (look + 1) == look:
            row(updated, HEAD)
            spend(updated)
    if lines:
        assert row(updated, HEAD) == row(fresh, HEAD)
    assert spend(updated) == spend(fresh)


@given(spread_lines())
def test_evidence_moves_what_was_spent_to_other_days_and_changes_no_sum(lines: list[Line]) -> None:
    dated, undated = initial("w"), initial("w")
    for line in lines:
        fold(dated, line)
        fold(undated, {name: value for name, value in line.items() if name != "spent_at"})

    def sums(state: State) -> Counter[tuple[Any, ...]]:
        found: Counter[tuple[Any, ...]] = Counter()
        for one in spend(state):
            for name in AMOUNTS[:-1]:
                found[(*one[1:4], name)] += getattr(one, name)
        return Counter({key: figure for key, figure in found.items() if figure})

    assert sums(dated) == sums(undated)


def costs(state: State) -> list[tuple[str, str | None, str]]:
    """Minute, model and USD of each row."""
    first = quarter_of(at(0))
    minutes = [(one.quarter - first) * QUARTER_SECONDS // 60 for one in spend(state)]
    return [
        (f"+{late}", one.model, money.to_wire(one.cost_nanousd))
        for late, one in zip(minutes, spend(state), strict=True)
    ]


def test_a_sub_agent_that_is_named_later_is_moved_on_that_moment() -> None:
    named = reading("0.40", agent="main", subagent="explore", observed_at=at(30))
    state = folded(reading("0.30", agent="main", observed_at=at(0)), named)
    shares = [(one.quarter - quarter_of(at(0)), one.agent, one.cost_nanousd) for one in spend(state)]
    assert shares == [(0, "main", 300_000_000), (2, "explore", 400_000_000), (2, "main", -300_000_000)]


def test_a_growing_meter_is_spent_as_it_grows() -> None:
    grows = [
        reading(usd, model="m", observed_at=at(minute)) for usd, minute in (("1.00", 0), ("1.50", 14), ("4.00", 15))
    ]
    assert costs(folded(*grows)) == [("+0", "m", "1.50"), ("+15", "m", "2.50")]


def test_a_total_that_comes_at_the_end_falls_on_that_moment() -> None:
    messages = [reading("0.10", model="m", message_id=f"m{n}", observed_at=at(n * 15)) for n in range(3)]
    state = folded(*messages, reading("0.50", final=True, observed_at=at(60)))
    assert costs(state) == [("+0", "m", "0.10"), ("+15", "m", "0.10"), ("+30", "m", "0.10"), ("+60", None, "0.20")]


def test_a_total_without_a_time_falls_on_its_evidence_and_never_after_its_record() -> None:
    january = {"spent_at": "2026-01-10T21:56:52.000000Z", "source": {"kind": "log", "spent_at_from": "adw_state"}}
    ahead = {"spent_at": "2099-01-01T00:00:00.000000Z", "source": {"kind": "log"}}
    state = folded(reading("1.00", agent="a", **january), reading("0.50", agent="b", **ahead))
    assert [(one.quarter, one.agent, one.spent_at_from, one.cost_nanousd) for one in spend(state)] == [
        (quarter_of("2026-01-10T21:56"), "a", "adw_state", 1_000_000_000),
        (quarter_of("2026-11-23T18:00"), "b", "unknown", 500_000_000),
    ]
    later = reading("0.20", agent="a", final=True, observed_at="2026-01-09T00:00:00.000000Z")
    assert folded(reading("1.00", agent="a", **january), later, ended()).cost_nanousd == 1_000_000_000, (
        "which reading is the latest is decided without evidence"
    )


def test_an_end_that_lowers_the_figure_takes_back_on_its_day() -> None:
    over = [reading("5.00", observed_at=at(0)), reading("2.37", final=True, observed_at=at(20))]
    assert costs(folded(*over)) == [("+0", None, "5.00")]
    assert costs(folded(*over, ended(observed_at=at(40)))) == [("+0", None, "5.00"), ("+30", None, "-2.63")]


def test_a_reading_below_a_total_moves_its_share_from_unattributed_to_its_model() -> None:
    state = folded(reading("1.00", observed_at=at(0)), reading("0.40", model="m", observed_at=at(30)))
    assert costs(state) == [("+0", None, "1.00"), ("+30", None, "-0.40"), ("+30", "m", "0.40")]


def test_a_retry_spends_what_it_adds() -> None:
    first = [started(1), reading("0.90", session_id="s1", observed_at=at(0)), ended("failed", 1, observed_at=at(1))]
    again = [
        started(2),
        reading("0.30", session_id="s2", observed_at=at(45)),
        ended("completed", 2, observed_at=at(50)),
    ]
    assert costs(folded(*first, *again)) == [("+0", None, "0.90"), ("+45", None, "0.30")]


def test_unpriced_tokens_are_booked_under_their_model_and_taken_back_when_a_price_comes() -> None:
    use = {"input_tokens": 5, "cache_write_tokens": 4, "cache_write_1h_tokens": 4, "output_tokens": 7}
    unpriced = [reading(model="who", message_id=f"m{n}", usage=use, observed_at=at(n)) for n in (0, 1)]
    state = folded(*unpriced)
    assert [(one.model, one.unpriced_events, one.unpriced_tokens) for one in spend(state)] == [("who", 2, 32)]
    assert orjson.loads(row(state, HEAD).cost_breakdown)["unpriced"] == {"who": {"events": 2, "tokens": 32}}
    priced = reading("0.01", model="who", message_id="m0", usage=use, observed_at=at(31))
    later = spend(folded(*unpriced, priced))
    assert [(one.cost_nanousd, one.unpriced_events, one.unpriced_tokens) for one in later] == [
        (0, 2, 32),
        (10_000_000, -1, -16),
    ]
    covered = folded(*unpriced, reading("0.50", final=True, observed_at=at(31)))
    assert "unpriced" not in orjson.loads(row(covered, HEAD).cost_breakdown)


def test_a_new_run_forgets_no_tokens_without_a_price() -> None:
    use = {"output_tokens": 7}
    run = [reading(agent="a", model="who", usage=use), ended("failed", 1), started(2), reading("0.10", agent="b")]
    state = folded(*run, ended("completed", 2))
    assert row(state, HEAD).unpriced_events == 1
    assert sum(one.unpriced_tokens for one in spend(state)) == 7


@pytest.mark.parametrize("moment", ["yesterday", "2026-13-01T00:00:00.000000Z"])
def test_a_line_that_cannot_be_dated_is_an_error_that_names_its_seq(moment: str) -> None:
    with pytest.raises(InvalidEvent, match="at seq 2 of ledger 'w'"):
        folded(reading("0.10"), reading("0.10", observed_at=moment))


@pytest.mark.parametrize(
    ("moment", "quarter"),
    [
        ("1970-01-01T00:00:00.000000Z", 0),
        ("1970-01-01T00:14:59.999999Z", 0),
        ("1970-01-01T00:15:00.000000Z", 1),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("2026-11-23T18:33:01.000000Z", 1_994_954),
    ],
)
def test_a_quarter_hour_is_known_by_its_number(moment: str, quarter: int) -> None:
    assert quarter_of(moment) == quarter


def test_spend_names_the_usage_of_events() -> None:
    from ledger.events.fields import USAGE_FIELDS

    assert Spend._fields[7:13] == USAGE_FIELDS

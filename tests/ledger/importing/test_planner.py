"""Plans: calls that no total covers, compared with the state of a ledger."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ledger.importing.ledger_state import LedgerState, state_of
from ledger.importing.planner import plan
from ledger.pricing.rates import Rate, Rates
from ledger.sources.findings import Beginning, Call, Counter, Findings, Location, Session, Total
from ledger.storage.memory_store import MemoryStore

MOMENT = datetime(2026, 11, 23, tzinfo=UTC)
LOCATION = Location("log.jsonl", 7)


class TenCentsACall:
    """A price book with one model: ten cents for an output token."""

    def rates(self, model: str, moment: datetime | None, service_tier: str | None = None) -> Rates | None:
        assert moment is not None
        assert service_tier in (None, "batch")
        return Rates("fixed 1", {"output_tokens": Rate(Decimal(100_000))}) if model == "priced-model" else None


def call(message_id: str, output: int = 1, *, model: str = "priced-model", **more: Any) -> Call:
    return Call("test", message_id, model, {"output_tokens": output}, LOCATION, **more)


def appended(store: MemoryStore, calls: Iterable[Call]) -> list[Mapping[str, Any]]:
    """The fields of what an import of these calls appends."""
    ledger = state_of(store.read("w")) if store.size("w") else LedgerState()
    made = plan("w", Findings(calls=list(calls)), ledger, TenCentsACall(), MOMENT, None)
    store.append(made.events)
    return [event.fields for event in made.events]


def test_a_call_is_priced_and_one_of_an_unknown_model_is_not() -> None:
    priced, unpriced = appended(MemoryStore(), [call("m1", service_tier="batch"), call("m2", model="unknown")])
    assert (priced["cost_usd"], priced["price_book"], priced["service_tier"]) == ("0.10", "fixed 1", "batch")
    assert "cost_usd" not in unpriced
    assert unpriced["usage"] == {"output_tokens": 1}


def test_a_cost_of_the_source_is_not_priced() -> None:
    (reading,) = appended(MemoryStore(), [call("m1", cost_usd="0.5")])
    assert (reading["cost_usd"], reading["cost_source"]) == ("0.50", "reported")


def test_the_same_calls_again_append_nothing_and_a_larger_repetition_is_read() -> None:
    store = MemoryStore()
    assert len(appended(store, [call("m1"), call("m2")])) == 2
    assert appended(store, [call("m2"), call("m1")]) == []
    (larger,) = appended(store, [call("m1", 2)])
    assert larger["usage"] == {"output_tokens": 2}


def test_a_call_found_again_under_another_session_counts_where_it_was_first() -> None:
    store = MemoryStore()
    appended(store, [call("m1", session_id="first", agent="plan")])
    (again,) = appended(store, [call("m1", 2, session_id="second")])
    assert (again["agent"], again["session_id"]) == ("plan", "first")


def test_a_plan_changes_nothing_that_it_is_given() -> None:
    store = MemoryStore()
    appended(store, [call("m1", session_id="s1", client=True, names=("r1",))])
    total = Counter("otlp", "series-1", "priced-model", None, LOCATION, None, "s1", "0.30", client=True)
    findings = Findings(
        calls=[call("m1", 5), call("m2", session_id="s1", client=True), call("m3", session_id="s2")],
        counters=[total],
        beginning=Beginning("2026-11-01T00:00:00.000000Z", "/shop", "main"),
        facts={"id": "f1", "issue_number": 7},
        status=("failed", {"id": "e1"}),
        sessions=[Session("claude_stream", "s1", "p1", "plan", Total(5, (), LOCATION))],
    )
    state = state_of(store.read("w"))
    before = copy.deepcopy((findings, state))
    made = plan("w", findings, state, TenCentsACall(), MOMENT, "completed")
    assert len(made.events) > 5
    assert (findings, state) == before
    assert made.state != state


@given(
    st.builds(
        call,
        st.just("m1"),
        st.integers(0, 10**12),
        model=st.sampled_from(["priced-model", "unknown"]),
        agent=st.sampled_from([None, "plan"]),
        session_id=st.sampled_from([None, "s1"]),
        observed_at=st.sampled_from([None, "2026-11-23T18:33:01.123456Z"]),
        service_tier=st.sampled_from([None, "batch"]),
        partial=st.booleans(),
    )
)
def test_a_checked_call_becomes_the_event_that_it_would_become_unchecked(unchecked: Call) -> None:
    plans = [
        plan("w", Findings(calls=[one]), LedgerState(), TenCentsACall(), MOMENT, None).events
        for one in (unchecked, replace(unchecked, checked=True))
    ]
    (checked,), (made,) = plans
    assert made == checked
    assert list(made.fields) == list(checked.fields)

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidEvent, InvalidInput
from ledger.events import timestamps
from ledger.events.event import COST_OBSERVED, cost_observed, event, workflow_ended, workflow_started
from ledger.events.fields import USAGE_FIELDS


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cost_usd", "-1"),
        ("cost_usd", "NaN"),
        ("cost_usd", "1e400"),
        ("cost_usd", "lots"),
        ("cost_usd", float("nan")),
        ("usage", {"input_tokens": 2**63}),
        ("usage", {"input_tokens": 1.5}),
        ("usage", {"input_tokens": True}),
        ("usage", {"input_tokens": -1}),
        ("usage", {"tokens": 1}),
        ("usage", {}),
        ("usage", [1]),
        ("usage", {"cache_write_tokens": 1, "cache_write_1h_tokens": 2}),
        ("agent", ""),
        ("agent", "\ud800"),
        ("agent", "a\nb"),
        ("agent", "x" * 513),
        ("agent", 7),
        ("subagent", ""),
        ("skill", ["review"]),
        ("plugin", "a\nb"),
        ("counter", 1),
        ("id", "\0"),
        ("final", "yes"),
        ("observed_at", "yesterday"),
        ("observed_at", "2026-11-23T18:33:01"),
        ("observed_at", 12),
        ("cost_source", "guessed"),
        ("cost_source", "priced"),
        ("price_book", "p 1"),
        ("source", "file"),
        ("source", {"kind": "k", "line": 0}),
    ],
)
def test_a_bad_field_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(InvalidEvent) as caught:
        event({"type": "cost_observed", "workflow_id": "w", "cost_usd": "1.00", field: value})
    assert caught.value.field in (field, "price_book")
    assert len(str(caught.value)) < 400


def test_an_amount_below_zero_is_called_what_it_is() -> None:
    hint = "a cost cannot be negative; use `correct` to lower a figure"
    with pytest.raises(InvalidEvent, match=hint):
        cost_observed("w", cost_usd="-1")
    for field in ("budget_usd", "estimated_cost_usd"):
        with pytest.raises(InvalidEvent, match=f"^field '{field}': '-1' .*: it cannot be negative$"):
            event({"type": "workflow_started", "workflow_id": "w", field: "-1"})


@pytest.mark.parametrize("kind", [None, "", "cost_guessed", "ledger_opened", 5, ["cost_observed"]])
def test_an_unknown_type_is_refused_and_the_known_ones_named(kind: object) -> None:
    with pytest.raises(InvalidEvent, match="cost_observed, finding_accepted, workflow_cancelled"):
        event({"type": kind, "workflow_id": "w"})


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"reason": "fine"}, "findings"),
        ({"findings": {"low_cost": "0.09"}}, "reason"),
        ({"findings": {}, "reason": "fine"}, "findings"),
        ({"findings": ["low_cost"], "reason": "fine"}, "findings"),
        ({"findings": {"low_cost": 9}, "reason": "fine"}, "findings"),
    ],
)
def test_an_acceptance_names_its_findings_and_the_reason(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        event({"type": "finding_accepted", "workflow_id": "w"} | fields)
    assert f"field '{named}'" in str(refused.value)


@pytest.mark.parametrize("name", ["v", "seq", "hash", "recorded_at"])
def test_what_the_journal_decides_cannot_be_given(name: str) -> None:
    with pytest.raises(InvalidEvent, match="is given by the ledger"):
        event({"type": "workflow_started", "workflow_id": "w", name: 1})


def test_a_reading_says_a_cost_a_usage_or_both() -> None:
    for nothing_missing in (None, False):
        with pytest.raises(InvalidEvent, match="a cost, a usage or both"):
            cost_observed("w", partial=nothing_missing)
    assert cost_observed("w", partial=True).fields == {"partial": True}
    assert "cost_source" not in cost_observed("w", usage={"output_tokens": 1}).fields
    assert cost_observed("w", cost_usd=0.1).fields["cost_usd"] == "0.10"


@pytest.mark.parametrize("meter", [{"session_id": "s"}, {"message_id": "m"}])
def test_a_counter_belongs_to_no_session_and_no_message(meter: dict[str, str]) -> None:
    read = {"type": "cost_observed", "workflow_id": "w", "cost_usd": 1, "counter": "c"}
    assert event(read | {"agent": "plan", "model": "opus"}).fields["counter"] == "c"
    with pytest.raises(InvalidEvent, match="counter"):
        event(read | meter)


def test_final_and_partial_exclude_each_other() -> None:
    with pytest.raises(InvalidEvent, match="both final and partial"):
        cost_observed("w", cost_usd=1, final=True, partial=True)


def test_an_error_message_belongs_to_a_failure() -> None:
    assert workflow_ended("w", "failed", error_message="boom\nat line 3").fields["error_message"] == "boom\nat line 3"
    with pytest.raises(InvalidInput):
        workflow_ended("w", "paused")


def test_unknown_fields_are_kept_as_they_are() -> None:
    kept = event({"type": "workflow_started", "workflow_id": "w", "sprint": {"name": "x", "n": [1, None]}})
    assert kept.fields["sprint"] == {"name": "x", "n": [1, None]}
    assert workflow_started("w", issue_number=17).fields == {"issue_number": 17}


def test_a_moment_of_any_zone_has_one_spelling() -> None:
    given_moment = cost_observed("w", cost_usd=1, observed_at="2026-11-23T19:33:01+01:00").fields["observed_at"]
    assert given_moment == "2026-11-23T18:33:01.000000Z"
    assert timestamps.to_wire(timestamps.from_wire(given_moment)) == given_moment


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    ["type", "workflow_id", "id", "agent", "cost_usd", "usage", "final", "observed_at", "source", "run", "x", "\ud800"]
)


@given(st.dictionaries(fields, json_values | st.sampled_from(["w", "cost_observed", "workflow_started"]), max_size=8))
def test_any_json_object_is_an_event_or_refused_in_a_sentence(given_fields: dict[str, Any]) -> None:
    try:
        made = event(given_fields)
    except InvalidInput as error:
        assert str(error)
    else:
        if made.type == COST_OBSERVED:  # elsewhere it is a field like any other that this version does not know
            assert set(made.fields.get("usage", {})) <= set(USAGE_FIELDS)

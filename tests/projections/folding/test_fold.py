"""The meaning of a cost: the invariants as properties, the rules one by one, and the fold against a naive model."""

from __future__ import annotations

import random
from dataclasses import asdict
from fractions import Fraction
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.errors import InvalidEvent
from ledger.events import money
from projections.folding.fold import State, fold, initial
from projections.folding.row import row
from tests.projections.lines import HEAD, attempts, ended, events, folded, numbered, reading, readings, started
from tests.projections.meter_model import LEVELS, MeterModel

FINAL = {"final": True}
TIMES = ("event_count", "created_at", "updated_at", "last_activity")


def shown(state: State) -> dict[str, Any]:
    """Return the row without the columns that depend on the number of lines and on moments."""
    made = asdict(row(state, HEAD))
    return {name: value for name, value in made.items() if name not in TIMES}


@given(st.one_of(events, attempts()))
def test_the_fold_agrees_with_the_naive_model_after_every_line(sequence: list[dict[str, Any]]) -> None:
    state, lines = initial("w"), numbered(sequence)
    for length, line in enumerate(lines, 1):
        fold(state, line)
        model = MeterModel(lines[:length])
        assert Fraction(state.cost_nanousd, money.NANOUSD_PER_USD) == model.cost(())
        assert state.status == model.status
        assert state.last_activity == model.last_activity
    if lines:
        for named in model.paths:
            agent, session, model_name, message = (dict(named).get(level) for level in LEVELS)
            meter = state.tree.find((agent, session, model_name, message))
            assert meter is not None
            assert Fraction(meter.cost_nanousd, money.NANOUSD_PER_USD) == model.cost(named)


@given(st.one_of(events, attempts()))
def test_a_running_cost_never_decreases(sequence: list[dict[str, Any]]) -> None:
    state = initial("w")
    for line in numbered(sequence):
        before, was_running = state.cost_nanousd, not state.ended
        fold(state, line)
        if was_running and not state.ended:
            assert state.cost_nanousd >= before
        if not was_running and not state.ended:
            assert state.cost_nanousd == before, "a new run goes on from where the last one settled"


@given(st.lists(readings(), max_size=8), st.integers(0, 10**6))
def test_while_running_order_and_repetition_change_nothing(sequence: list[dict[str, Any]], seed: int) -> None:
    dice = random.Random(seed)
    mixed = sequence + dice.choices(sequence, k=4 if sequence else 0)
    dice.shuffle(mixed)
    assert shown(folded(*mixed)) == shown(folded(*sequence))


@given(st.one_of(events, attempts()))
def test_the_breakdown_sums_to_the_total_exactly(sequence: list[dict[str, Any]]) -> None:
    state = folded(*sequence)
    made = row(state, HEAD)
    breakdown = orjson.loads(made.cost_breakdown)
    for parts in (breakdown["by_agent"], breakdown["by_model"]):
        assert sum(Fraction(text) for text in parts.values()) * 10**9 == state.cost_nanousd
    for parts in orjson.loads(made.token_breakdown).values():
        for column, bucket in (("input_tokens", "input_tokens"), ("output_tokens", "output_tokens")):
            assert sum(counts.get(bucket, 0) for counts in parts.values()) == getattr(made, column)
    assert made.total_tokens == made.input_tokens + made.cached_tokens + made.cache_hit_tokens + made.output_tokens


@given(events, readings())
def test_after_an_end_an_older_reading_of_a_known_meter_changes_nothing(
    sequence: list[dict[str, Any]], late: dict[str, Any]
) -> None:
    last_word = reading("0.50", final=True, observed_at="2026-11-23T19:00:00.000000Z")
    state = folded(*sequence, last_word, ended(run=9))
    assert state.cost_nanousd == 500_000_000
    older = late | {"observed_at": "2026-11-23T17:00:00.000000Z"}
    again = folded(*sequence, last_word, ended(run=9), older)
    assert again.cost_nanousd == 500_000_000


LOWER_RETRY = [
    started(1),
    reading("0.01", agent="plan", counter="a"),
    ended("completed", 1),
    started(2),
    reading("0.00", agent="plan"),
]
"""A retry that read less than the run before it had cost, and names no counter."""


@given(st.one_of(events, attempts()))
@example([*LOWER_RETRY, reading("0.01")])
@example([*LOWER_RETRY, reading("0.01", counter="b")])
def test_a_new_run_alone_changes_nothing_but_the_status(sequence: list[dict[str, Any]]) -> None:
    after_end = shown(folded(*sequence, ended(run=8)))
    again = shown(folded(*sequence, ended(run=8), started(9)))
    once_more = shown(folded(*sequence, ended(run=8), started(9), ended(run=9)))
    times = {"status", "start_time", "end_time", "duration_seconds", "error_message"}
    for later in (again, once_more):
        assert {k: v for k, v in later.items() if k not in times} == {
            k: v for k, v in after_end.items() if k not in times
        }


@given(events)
def test_when_something_was_spent_by_evidence_changes_no_row_but_its_last_activity(
    sequence: list[dict[str, Any]],
) -> None:
    without = [{name: value for name, value in event.items() if name != "spent_at"} for event in sequence]
    assert shown(folded(*sequence)) == shown(folded(*without))


def test_last_activity_is_of_readings_starts_and_ends_and_not_after_their_record() -> None:
    early = "2026-11-23T10:00:00.000000Z"
    made = row(folded(started(observed_at=early), reading("0.10", observed_at=early)), HEAD)
    assert made.last_activity == early
    corrected = row(folded(reading("0.10", observed_at=early), reading("0.20", reason="invoice", final=True)), HEAD)
    assert corrected.last_activity == early
    ahead = row(folded(reading("0.10", observed_at="2099-01-01T00:00:00.000000Z")), HEAD)
    assert ahead.last_activity == "2026-11-23T18:00:01.000000Z"
    opened = row(folded({"type": "ledger_opened", "format": 1, "origin": "o"}), HEAD)
    assert opened.last_activity is None
    metadata: dict[str, Any] = {"source": {"kind": "adw"}, "issue_number": 17}
    imported = row(folded(reading("0.10", observed_at=early), started(**metadata)), HEAD)
    assert (imported.last_activity, imported.start_time, imported.issue_number) == (early, None, 17)


def test_a_duration_is_unknown_when_the_end_was_recorded_long_after_all_activity() -> None:
    january, later = "2025-06-09T10:00:00.000000Z", "2025-06-09T10:07:00.000000Z"
    run = [started(observed_at=january), reading("0.10", observed_at=later)]
    assert row(folded(*run, ended(observed_at=later)), HEAD).duration_seconds == 420
    assert row(folded(*run, ended()), HEAD).duration_seconds is None, "532 days"
    assert row(folded(started(), reading("0.10"), ended()), HEAD).duration_seconds == 2
    again = folded(*run, ended(), started(run=2), ended(run=2))
    assert row(again, HEAD).duration_seconds is not None, "the second run was recorded as it happened"


def usd(*sequence: dict[str, Any]) -> str:
    return money.to_wire(folded(*sequence).cost_nanousd)


def test_a_session_total_and_its_messages_never_add_up_twice() -> None:
    messages = [reading("0.04", agent="a", session_id="s", model="m", message_id=f"m{n}") for n in range(3)]
    assert usd(*messages) == "0.12"
    assert usd(*messages, reading("0.10", agent="a", session_id="s")) == "0.12"
    assert usd(*messages, reading("0.15", agent="a", session_id="s")) == "0.15"


def test_sessions_and_agents_add_up() -> None:
    assert usd(reading("0.09", agent="plan"), reading("1.00", agent="build"), reading("0.28", agent="test")) == "1.37"


def test_the_same_call_streamed_ten_times_counts_once_at_its_largest() -> None:
    copies = [reading(f"0.0{n}", model="m", message_id="msg_1") for n in (1, 3, 2, 3, 1)]
    assert usd(*copies) == "0.03"


def test_at_the_end_a_final_last_word_counts_even_when_it_is_lower() -> None:
    over = [reading("5.00"), reading("2.37", **FINAL)]
    assert usd(*over) == "5.00"
    assert usd(*over, ended()) == "2.37"


def test_at_the_end_a_last_word_that_is_not_final_cannot_hide_what_is_below() -> None:
    assert usd(reading("1.00", agent="a"), reading("0.40"), ended()) == "1.00"
    assert usd(reading("1.00", agent="a"), reading("0.40", **FINAL), ended()) == "0.40"


def test_a_reading_below_later_than_the_final_one_reopens_it() -> None:
    later = reading("1.00", agent="a")
    assert usd(reading("0.40", **FINAL), ended(), later) == "1.00"
    assert usd(reading("0.40", **FINAL), later, ended()) == "1.00"


def test_moments_decide_which_reading_is_the_last_not_their_order() -> None:
    new = reading("0.50", observed_at="2026-11-23T18:30:00.000000Z")
    old = reading("0.90", observed_at="2026-11-23T18:00:00.000000Z")
    assert usd(new, old, ended()) == usd(old, new, ended()) == "0.50"


def test_a_retry_goes_on_from_where_the_first_run_settled() -> None:
    first = [started(1), reading("0.90", agent="build", session_id="s1"), ended("failed", 1)]
    assert usd(*first, started(2)) == "0.90"
    assert usd(*first, started(2), reading("0.30", agent="build", session_id="s2")) == "1.20"
    assert usd(*first, started(2), reading("0.30", agent="build", session_id="s2"), ended("completed", 2)) == "1.20"


def test_the_highest_run_decides_and_within_a_run_an_end_beats_a_start() -> None:
    assert folded(started(1), ended("failed", 1), started(1)).status == "failed"
    assert folded(started(1), ended("failed", 1), started(2)).status == "running"
    assert folded(started(2), ended("failed", 1)).status == "running"
    assert folded(ended("failed", 1), ended("completed", 1)).status == "completed"
    assert folded().status == "running"


def test_a_total_that_equals_its_models_gives_the_cost_and_they_give_the_tokens() -> None:
    use = {"input_tokens": 5, "output_tokens": 7}
    state = folded(
        reading("0.08", agent="a", session_id="s", model="opus", usage=use, cost_source="priced"),
        reading("0.02", agent="a", session_id="s", model="haiku", usage=use),
        reading("0.10", agent="a", session_id="s", final=True),
    )
    made = row(state, HEAD)
    assert (made.actual_cost_total, made.cost_basis, made.total_tokens, made.model_used) == (
        0.1,
        "reported",
        24,
        "opus",
    )
    assert orjson.loads(made.cost_breakdown)["by_model"] == {"opus": "0.08", "haiku": "0.02"}


def test_a_total_above_its_models_leaves_the_rest_unattributed() -> None:
    made = row(folded(reading("0.08", agent="a", model="opus"), reading("0.10", agent="a")), HEAD)
    assert orjson.loads(made.cost_breakdown)["by_model"] == {"opus": "0.08", "(unattributed)": "0.02"}
    assert orjson.loads(made.cost_breakdown)["by_agent"] == {"a": "0.10"}


def test_a_sub_agents_calls_are_in_their_sessions_total_and_shown_under_its_name() -> None:
    below = {"agent": "main", "session_id": "s", "model": "opus"}
    use = {"input_tokens": 5, "output_tokens": 7}
    calls = [
        reading("0.40", message_id="m1", usage=use, **below),
        reading("0.30", message_id="m2", usage=use, subagent="explore", skill="audit", plugin="tools", **below),
    ]
    made = row(folded(*calls), HEAD)
    assert orjson.loads(made.cost_breakdown)["by_agent"] == {"main": "0.40", "explore": "0.30"}
    assert orjson.loads(made.cost_breakdown)["by_model"] == {"opus": "0.70"}
    assert orjson.loads(made.token_breakdown)["by_agent"] == {"main": use, "explore": use}
    covered = row(folded(*calls, reading("1.00", agent="main", session_id="s", final=True), ended()), HEAD)
    assert covered.actual_cost_total == 1.0, "the session's total covers them"
    assert orjson.loads(covered.cost_breakdown)["by_agent"] == {"main": "0.70", "explore": "0.30"}


def test_a_meters_smallest_sub_agent_counts_and_what_was_booked_moves_to_it() -> None:
    readings = [reading("0.10", agent="main"), *[reading("0.30", agent="main", subagent=name) for name in "cab"]]
    for some, name in ((readings[:1], "main"), (readings[:2], "c"), (readings, "a"), (readings[::-1], "a")):
        made = row(folded(*some), HEAD)
        assert list(orjson.loads(made.cost_breakdown)["by_agent"]) == [name]


def test_a_sub_agent_of_a_meter_names_none_below_it() -> None:
    called = reading("0.10", agent="main", model="opus", message_id="m1")
    total = reading("0.30", agent="main", model="opus", subagent="explore")
    for sequence in ([called, total], [total, called]):
        shares = orjson.loads(row(folded(*sequence), HEAD).cost_breakdown)["by_agent"]
        assert shares == {"main": "0.10", "explore": "0.20"}


def test_a_sub_agent_that_is_named_after_a_retry_takes_what_its_meter_cost_before() -> None:
    first = [reading("0.30", agent="main", model="opus", message_id="m1"), reading("1.00", agent="main", model="opus")]
    again = [ended("failed"), started(2), reading("1.20", agent="main", model="opus", subagent="explore")]
    shares = orjson.loads(row(folded(*first, *again), HEAD).cost_breakdown)["by_agent"]
    assert shares == {"main": "0.30", "explore": "0.90"}


def test_an_unknown_model_is_unpriced_and_never_free() -> None:
    use = {"input_tokens": 5, "output_tokens": 7}
    made = row(folded(reading("0.08", model="m"), reading(None, model="who", usage=use)), HEAD)
    assert (made.unpriced_events, made.cost_basis, made.total_tokens) == (1, "partial", 12)
    priced = row(folded(reading(None, model="who", usage=use), reading("0.01", model="who", usage=use)), HEAD)
    assert (priced.unpriced_events, priced.cost_basis, priced.total_tokens) == (0, "reported", 12)
    covered = row(
        folded(reading(None, agent="a", model="who", usage=use), reading("0.01", agent="a", final=True)), HEAD
    )
    assert (covered.unpriced_events, covered.cost_basis) == (0, "reported")


def test_no_tokens_need_no_price_and_unknown_tokens_do() -> None:
    nothing = row(folded(reading("0.08", model="m"), reading(None, model="who", usage={"input_tokens": 0})), HEAD)
    assert (nothing.unpriced_events, nothing.cost_basis) == (0, "reported")
    unknown = row(folded(reading("0.08", model="m"), reading(None, model="who")), HEAD)
    assert (unknown.unpriced_events, unknown.cost_basis) == (1, "partial")


@pytest.mark.parametrize(
    ("sequence", "basis"),
    [
        ([], None),
        ([reading("0.01")], "reported"),
        ([reading("0.01", agent="a"), reading("0.01", agent="b", cost_source="priced")], "priced"),
        ([reading("0.01", agent="a"), reading("0.01", agent="b", partial=True)], "partial"),
        ([reading("0.01", agent="a", partial=True), reading("0.02")], "reported"),
        ([reading("0.01", cost_source="priced"), reading("0.01")], "reported"),
        ([reading("0.01", partial=True), reading("0.01")], "reported"),
    ],
)
def test_the_basis_is_that_of_the_readings_the_total_was_taken_from(sequence: list[Any], basis: str | None) -> None:
    assert row(folded(*sequence), HEAD).cost_basis == basis


def test_possible_double_counting_is_counted_and_reported() -> None:
    made = row(folded(reading("0.10", agent="a", session_id="s"), reading("0.10", agent="a", model="m")), HEAD)
    assert made.actual_cost_total == 0.2
    assert orjson.loads(made.cost_breakdown)["possible_double_counting"] == [
        "agent a: session and model meters side by side"
    ]
    twice = [reading("0.10", agent=agent, message_id="msg_1") for agent in ("a", "b")]
    doubt = orjson.loads(row(folded(*twice), HEAD).cost_breakdown)["possible_double_counting"]
    assert doubt == ["message msg_1 under 2 meters"]


def test_an_unknown_type_or_a_newer_version_is_stored_and_reported() -> None:
    made = row(folded(reading("0.10"), {"type": "cost_guessed", "cost_usd": "9.00"}, reading("9.00") | {"v": 2}), HEAD)
    assert (made.actual_cost_total, made.cost_basis, made.event_count) == (0.1, "partial", 3)
    assert orjson.loads(made.cost_breakdown)["unread_events"] == 2


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        (reading("0.1"), "cost_usd"),
        (reading("-0.10"), "cost_usd"),
        (reading("0.10") | {"cost_usd": 0.1}, "cost_usd"),
        (reading("0.10", agent=["a"]), "agent"),
        (reading("0.10", agent=7), "agent"),
        (reading("0.10", subagent=7), "subagent"),
        (reading("0.10", usage={"input_tokens": -1}), "usage"),
        (reading("0.10", usage={"input_tokens": 1.5}), "usage"),
        (reading("0.10", usage=[1]), "usage"),
        (reading("0.10", observed_at=7), "observed_at"),
        (started(0), "run"),
        ({"type": "workflow_completed"}, "run"),
        (started(1, issue_number="x"), "issue_number"),
    ],
)
def test_a_line_that_no_append_of_ours_makes_is_an_error_that_names_its_seq(broken: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidEvent, match="at seq 2 of ledger 'w'") as caught:
        folded(reading("0.10"), broken)
    assert caught.value.field == field


def test_starts_and_ends_give_the_metadata_of_the_workflow() -> None:
    at = "2026-11-23T18:00:0{}.000000Z"
    made = row(
        folded(
            started(1, issue_number=17, workflow_template="adw_plan", observed_at=at.format(5)),
            started(1, workflow_template="adw_sdlc", estimated_cost_usd="1.50", observed_at=at.format(2)),
            ended("failed", 1, error_message="boom", observed_at=at.format(9)),
        ),
        HEAD,
    )
    assert (made.issue_number, made.workflow_template, made.estimated_cost_total) == (17, "adw_sdlc", 1.5)
    assert (made.start_time, made.end_time, made.duration_seconds) == (at.format(2), at.format(9), 7)
    assert (made.status, made.error_message) == ("failed", "boom")
    assert (made.created_at, made.updated_at) == ("2026-11-23T18:00:01.000000Z", "2026-11-23T18:00:03.000000Z")


def test_project_and_branch_are_those_of_the_last_start_that_names_them() -> None:
    first = started(project="/h/shop/.claude/worktrees/fix", branch="fix")
    found = row(folded(first, started(), started(branch=["main"])), HEAD)
    assert (found.project, found.branch) == ("/h/shop", "fix"), "a worktree belongs to its repository"
    assert row(folded(first, started(project="till", branch="main")), HEAD).project == "till"


@given(st.permutations(["/h/shop/agents/w/plan/o.jsonl", "/h/shop/trees/w/agents/w/o.jsonl", "/h/other/o.jsonl"]))
def test_without_a_start_that_names_one_the_project_is_the_folder_of_agents(files: list[str]) -> None:
    read = [reading("0.10", agent=file, source={"kind": "claude_stream", "file": file, "line": 1}) for file in files]
    assert row(folded(*read), HEAD).project == "/h/shop"
    assert row(folded(started(project="till"), *read), HEAD).project == "till"
    assert row(folded(reading(source={"kind": "csv", "file": files[0]})), HEAD).project is None


@pytest.mark.parametrize(
    ("kinds", "tool"),
    [
        ([], None),
        ([None], "API"),
        (["claude", "claude_stream", "claude_unmatched", None], "Claude Code"),
        (["otlp", "codex"], "Codex, OpenTelemetry"),
        (["another"], "another"),
    ],
)
def test_the_tool_is_named_by_the_sources_of_the_readings(kinds: list[str | None], tool: str | None) -> None:
    read = [reading("0.10", **({} if kind is None else {"source": {"kind": kind}})) for kind in kinds]
    assert row(folded(started(), *read), HEAD).tool == tool
    assert row(folded(started(), *reversed(read)), HEAD).tool == tool

"""A retry counts: what the attempts of a program read adds up, and is never counted twice."""

from __future__ import annotations

import random
from dataclasses import asdict
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.events import money
from projections.folding.fold import State, fold, initial
from projections.folding.row import Row, row
from tests.projections.lines import HEAD, attempts, ended, folded, numbered, reading, second, started
from tests.projections.meter_model import MeterModel

USE = {"input_tokens": 5, "output_tokens": 7}


def plan(cost: str | None, counter: str | None = None, **fields: Any) -> dict[str, Any]:
    """Return a reading of the agent plan."""
    return reading(cost, agent="plan", **({} if counter is None else {"counter": counter}), **fields)


def build(cost: str, counter: str | None = None, **fields: Any) -> dict[str, Any]:
    return plan(cost, counter, **fields) | {"agent": "build"}


def shown(*sequence: dict[str, Any]) -> Row:
    return row(folded(*sequence), HEAD)


def usd(*sequence: dict[str, Any]) -> str:
    return money.to_wire(folded(*sequence).cost_nanousd)


FIRST = [started(1), plan("0.20", "one"), plan("0.50", "one"), build("2.00", "one")]
RETRY = [plan("0.10", "two"), plan("0.40", "two"), build("1.50", "two")]


def test_a_retry_of_a_failed_attempt_adds_up() -> None:
    sequence = [*FIRST, ended("failed"), started(2), *RETRY]
    assert usd(*sequence) == usd(*sequence, ended("completed", 2)) == "4.40"
    by_agent = orjson.loads(shown(*sequence).cost_breakdown)["by_agent"]
    assert by_agent == {"plan": "0.90", "build": "3.50"}
    assert shown(*sequence).cost_basis == "reported"


def test_an_attempt_that_was_killed_and_never_ended_adds_up() -> None:
    assert usd(*FIRST, started(1), *RETRY) == usd(*FIRST, *RETRY, ended()) == "4.40"
    again = [started(1), plan("0.05", "three"), ended(), started(2), plan("0.01", "four")]
    assert usd(*FIRST, *RETRY, *again) == "4.46"


def test_parallel_attempts_add_up_in_any_order() -> None:
    sequence = [*FIRST[1:], *RETRY]
    for seed in range(9):
        mixed = sequence + random.Random(seed).choices(sequence, k=3)
        random.Random(seed).shuffle(mixed)
        assert usd(*mixed) == "4.40"


@given(attempts(), st.integers(0, 10**6))
def test_while_running_order_and_repetition_change_nothing(sequence: list[dict[str, Any]], seed: int) -> None:
    def shown_columns(state: State) -> dict[str, Any]:
        changing = ("event_count", "created_at", "updated_at", "start_time", "end_time", "duration_seconds")
        return {name: value for name, value in asdict(row(state, HEAD)).items() if name not in changing}

    last = max((at for at, event in enumerate(sequence) if event["type"] != "cost_observed"), default=0)
    before, now = sequence[: last + 1], sequence[last + 1 :]
    dice = random.Random(seed)
    mixed = now + dice.choices(now, k=3 if now else 0)
    dice.shuffle(mixed)
    if not folded(*before).ended:
        assert shown_columns(folded(*before, *mixed)) == shown_columns(folded(*before, *now))


def test_tokens_of_the_attempts_add_up_and_so_do_those_below_another_meter() -> None:
    first = [started(1), plan("0.50", "one", usage=USE), ended("failed"), started(2)]
    made = shown(*first, plan("0.40", "two", usage=USE))
    assert (made.input_tokens, made.output_tokens) == (10, 14)
    unknown = shown(*first, plan("0.40", "two"))
    assert (unknown.input_tokens, unknown.output_tokens) == (5, 7)


def test_once_ended_the_latest_reading_of_each_counter_counts() -> None:
    sequence = [plan("5.00", "one"), plan("0.50", "one"), plan("0.40", "two")]
    assert usd(*sequence) == "5.40"
    assert usd(*sequence, ended()) == "0.90"
    late = plan("3.00", "one", observed_at="2026-11-23T17:00:00.000000Z")
    assert usd(*sequence, ended(), late) == "0.90"


def test_a_sum_of_counters_covers_the_calls_below_and_calls_above_it_win() -> None:
    calls = [plan(f"0.{n}0", message_id=f"m{n}", model="opus") for n in (3, 4)]
    assert usd(plan("0.50", "one"), *calls) == "0.70"
    assert usd(plan("0.50", "one"), plan("0.60", "two"), *calls) == "1.10"
    finals = [plan("0.10", "one", final=True), plan("0.20", "two", final=True)]
    assert usd(*calls, *finals, ended()) == "0.30"
    assert usd(*calls, finals[0], plan("0.20", "two"), ended()) == "0.70", "one that is not final covers nothing below"


def test_a_counter_that_goes_on_in_a_later_run_adds_what_it_grew_by() -> None:
    parallel = [plan("0.50", "one"), ended("completed"), started(2), plan("0.40", "two")]
    assert usd(*parallel) == "0.90"
    assert usd(*parallel, plan("0.80", "one")) == "1.20"
    assert usd(*parallel, plan("0.80", "one"), ended("completed", 2), started(3), plan("0.90", "one")) == "1.30"
    assert usd(*parallel, plan("0.30", "one")) == "0.90", "an older reading that comes late"


def test_a_counter_that_goes_on_first_catches_up_with_the_calls_its_meter_settled_at() -> None:
    calls = [plan("0.90", message_id="m1"), plan("0.50", "one"), ended("completed"), started(2)]
    assert usd(*calls, plan("0.80", "one")) == "0.90"
    assert usd(*calls, plan("1.00", "one")) == "1.00"


def test_a_correction_is_absolute_and_later_attempts_add_to_it() -> None:
    correction = plan("1.00", final=True, reason="invoice")
    assert usd(plan("2.00", "one"), correction, ended()) == "1.00"
    assert usd(plan("2.00", "one"), ended(), correction) == "1.00"
    assert usd(plan("2.00", "one"), correction, plan("0.40", "two"), ended()) == "1.40"
    assert usd(plan("2.00", "one"), correction, ended(), started(2), plan("0.40", "two")) == "1.40"


def test_a_counter_that_goes_on_after_a_correction_adds_what_it_grew_by() -> None:
    sequence = [plan("0.50", "one"), plan("0.20", final=True, reason="free"), plan("0.60", "one")]
    assert usd(*sequence, ended()) == "0.30"
    late = plan("0.55", "one", observed_at=second(1))
    assert usd(plan("0.50", "one", observed_at=second(0)), *sequence[1:], late, ended()) == "0.25"


def test_a_total_without_a_counter_competes_with_the_sum() -> None:
    both = [plan("0.50", "one"), plan("0.40", "two"), plan("0.70")]
    assert usd(*both) == "0.90"
    assert usd(*both, plan("1.20")) == "1.20"
    assert usd(*both, ended()) == "0.70", "it is the last word"
    assert usd(*both, plan("0.45", "two"), ended()) == "0.95"


def test_a_total_that_is_carried_on_is_not_added() -> None:
    assert usd(started(1), plan("0.50"), ended("failed"), started(2), plan("2.37"), ended("completed", 2)) == "2.37"


def test_a_retry_that_reads_less_without_a_counter_is_a_lower_bound_and_says_so() -> None:
    first = [started(1), plan("0.50"), ended("failed"), started(2)]
    made = shown(*first, plan("0.40"))
    assert (made.actual_cost_total, made.cost_basis) == (0.5, "partial")
    assert orjson.loads(made.cost_breakdown)["retries_without_counter"] == ["agent plan"]
    grown = shown(*first, plan("0.40"), plan("0.60"))
    assert (grown.actual_cost_total, grown.cost_basis) == (0.6, "partial"), "it began at zero, so 0.50 may be missing"
    third = shown(*first, plan("0.40"), ended("failed", 2), started(3), plan("0.60"))
    assert third.cost_basis == "partial"
    assert orjson.loads(third.cost_breakdown)["retries_without_counter"] == ["agent plan"]


def test_a_program_that_was_killed_and_reads_less_without_a_counter_is_a_lower_bound_and_says_so() -> None:
    killed = [started(), plan("2.50"), started()]
    for after in ([], [ended()], [ended(), started(2)], [started(), plan("1.95"), ended()]):
        made = shown(*killed, plan("1.90"), *after)
        assert (made.actual_cost_total, made.cost_basis) == (2.5, "partial")
        assert orjson.loads(made.cost_breakdown)["retries_without_counter"] == ["agent plan"]
    third = shown(*killed, plan("1.90"), ended(), started(2), plan("0.30", "three"), ended(run=2))
    assert (third.actual_cost_total, third.cost_basis) == (2.8, "partial")
    counted = shown(started(), plan("2.50", "one"), started(), plan("1.90"), ended())
    assert (counted.actual_cost_total, counted.cost_basis) == (2.5, "partial")
    corrected = [*killed, plan("1.90"), plan("1.00", final=True, reason="invoice of both attempts")]
    made = shown(*corrected, ended())
    assert (made.actual_cost_total, made.cost_basis) == (1.0, "reported")
    assert usd(*corrected, plan("0.10", "three"), ended()) == "1.10", "a correction is no lower bound"


@pytest.mark.parametrize(
    "sequence",
    [
        [plan("2.50"), started(), plan("1.90")],
        [started(source={"kind": "adw"}), plan("2.50"), started(), plan("1.90")],
        [started(), plan("2.50"), started(source={"kind": "adw"}), plan("1.90")],
        [started(), plan("2.50"), ended(), started(2), started(2, source={"kind": "adw"}), plan("2.60"), plan("2.55")],
        [started(), plan("2.50"), started(), plan("2.60"), plan("2.55")],
        [started(), plan("2.50"), started(), plan("1.90", observed_at=second(2))],
        [started(), plan("2.50"), started(), plan("1.90", message_id="m1")],
        [started(), plan("2.50"), started(), build("1.90")],
        [started(), plan("2.50", session_id="s1"), started(), plan("1.90", session_id="s1")],
        [started(), plan("2.50", "one"), started(), plan("1.90", "two")],
        [started(), plan("2.50"), started(), plan("1.90", final=True, reason="invoice")],
    ],
)
def test_what_no_restarted_program_read_from_zero_lacks_no_counter(sequence: list[dict[str, Any]]) -> None:
    for made in (shown(*sequence), shown(*sequence, ended(run=2))):
        assert made.cost_basis == "reported"
        assert "retries_without_counter" not in made.cost_breakdown


@given(attempts())
def test_a_retry_without_a_counter_is_named_as_in_the_naive_model_and_makes_a_lower_bound(
    sequence: list[dict[str, Any]],
) -> None:
    lines, state = numbered(sequence), initial("w")
    for length, line in enumerate(lines, 1):
        fold(state, line)
        made = row(state, HEAD)
        named = orjson.loads(made.cost_breakdown).get("retries_without_counter", [])
        paths = MeterModel(lines[:length]).without_counter()
        labels = {"session_id": "session", "message_id": "message"}
        words = [", ".join(f"{labels.get(level, level)} {part}" for level, part in path) for path in paths]
        assert named == sorted(text or "workflow" for text in words)
        assert not named or made.cost_basis == "partial"


def test_a_total_above_replaces_a_retry_without_a_counter_for_good_and_a_sum_that_of_its_run() -> None:
    lower = [started(1), plan("0.50"), ended("failed"), started(2), plan("0.40")]
    third = [ended("failed", 2), started(3), ended("completed", 3)]
    for above in (reading("0.90"), reading("0.90", counter="two")):
        made = shown(*lower, above, *third)
        assert made.cost_basis == "reported"
        assert "retries_without_counter" not in made.cost_breakdown
    late = shown(*lower, *third[:2], reading("0.90", counter="three"), third[2])
    assert late.cost_basis == "partial", "the second run's cost is not known"
    assert orjson.loads(late.cost_breakdown)["retries_without_counter"] == ["agent plan"]


@pytest.mark.parametrize(
    "harmless",
    [
        plan("0.50"),
        plan("0.40", observed_at=second(2)),
        plan("0.40", message_id="m1"),
        plan("0.40", final=True, reason="invoice"),
        plan("0.40", "two"),
    ],
)
def test_what_is_older_or_one_call_or_a_correction_or_counted_lacks_no_counter(harmless: dict[str, Any]) -> None:
    first = [started(1), plan("0.50", message_id="m1"), plan("0.50"), ended("failed"), started(2)]
    made = shown(*first, harmless)
    assert made.cost_basis == "reported"
    assert "retries_without_counter" not in made.cost_breakdown


def test_a_final_figure_above_the_settled_cost_makes_the_row_complete() -> None:
    first = [started(1), plan("0.50"), ended("failed"), started(2), plan("0.40")]
    corrected = shown(*first, plan("0.90", final=True, reason="both attempts"), ended("completed", 2))
    assert (corrected.actual_cost_total, corrected.cost_basis) == (0.9, "reported")
    whole = shown(*first, reading("0.90", final=True, reason="invoice"), ended("completed", 2))
    assert (whole.actual_cost_total, whole.cost_basis) == (0.9, "reported")
    assert "retries_without_counter" not in whole.cost_breakdown
    low = shown(*first, plan("0.45", final=True), ended("completed", 2))
    assert low.cost_basis == "partial"


def test_usage_without_a_price_adds_up_and_a_retry_covers_none_of_the_attempt_before() -> None:
    unpriced = [plan(None, name, model="who", usage=USE) for name in ("one", "two")]
    made = shown(*unpriced)
    assert (made.unpriced_events, made.cost_basis, made.input_tokens, made.output_tokens) == (1, "partial", 10, 14)
    covered = shown(*unpriced, plan("0.10", "one"))
    assert (covered.unpriced_events, covered.cost_basis) == (0, "reported")
    retried = shown(unpriced[0], ended("failed"), started(2), plan("0.40", "two"))
    assert (retried.actual_cost_total, retried.cost_basis, retried.unpriced_events) == (0.4, "partial", 1)
    corrected = plan("0.70", final=True, reason="invoice")
    assert shown(unpriced[0], ended("failed"), started(2), corrected).cost_basis == "reported"


def test_the_basis_of_a_sum_is_that_of_every_attempt() -> None:
    first = [plan("0.50", "one", partial=True), ended("failed"), started(2)]
    assert shown(*first, plan("0.40", "two")).cost_basis == "partial"
    priced = [plan("0.50", "one", cost_source="priced"), ended("failed"), started(2)]
    assert shown(*priced, plan("0.40", "two")).cost_basis == "priced"
    assert shown(*first, plan("0.90", final=True)).cost_basis == "reported"

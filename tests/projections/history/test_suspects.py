from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.events.event import cost_observed
from ledger.pricing.genai_book import GenaiPrices
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.memory_store import MemoryStore
from projections.folding.fold import fold, initial
from projections.folding.row import Row, held, row, spend
from projections.history.memory import MemoryHistory
from projections.history.suspects import Suspect, stale
from projections.replay.refresh import refresh
from projections.replay.verify import Proof, verify
from projections.reports.attention import Attention
from tests.projections.lines import HEAD, ended, events, folded, numbered, reading, second, started

USE = {"input_tokens": 200_000, "output_tokens": 5}
NOW = datetime.fromisoformat("2026-11-23T19:00:00Z")


def findings(found: Row, *, after: timedelta = timedelta(0), **options: Any) -> list[Suspect]:
    lookups = Attention(GenaiPrices(), DirectoryStore("/nowhere"))
    return list(stale([found], now=NOW + after, **{"lookups": lookups} | options))


def whys(found: Row, **options: Any) -> list[str]:
    return [suspect.why for suspect in findings(found, **options)]


GOOD = row(folded(started(), reading("2.37", agent="a", usage=USE), ended()), HEAD)


def ended_at(cost: str, **fields: Any) -> Row:
    return row(folded(started(), reading(cost, **fields), ended()), HEAD)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (replace(GOOD, actual_cost_nanousd=90_000_000), "ended at $0.0900 for 200,005 tokens"),
        (held(row(folded(reading("0.45")), HEAD), 5_000_000_000), "held: more is stored than the ledger says"),
        (replace(GOOD, actual_cost_nanousd=5_000_000_000), "held: more is stored than the ledger says"),
        (row(folded(reading("1.00", session_id="s"), reading("1.00", model="m")), HEAD), "possible double counting"),
        (row(folded(reading("1.00"), {"type": "cost_guessed"}), HEAD), "events that this version does not know"),
    ],
)
def test_a_row_that_needs_attention_says_why(found: Row, why: str) -> None:
    assert [text[: len(why)] for text in whys(found)][:1] == [why]


SONNET = {"model": "claude-sonnet-4-5-20250929"}
STUCK = {"input_tokens": 500_000, "output_tokens": 58_000}  # $2.37 at list price


@pytest.mark.parametrize(
    ("found", "kinds"),
    [
        pytest.param(ended_at("0.09", usage=STUCK, **SONNET), ["low_cost"], id="$0.09 for tokens worth $2.37"),
        pytest.param(ended_at("0.45", usage=STUCK | {"output_tokens": 0}, **SONNET), ["low_cost"], id="30 %"),
        pytest.param(ended_at("0.40", usage={"cache_read_tokens": 1_330_000}, **SONNET), [], id="cached tokens"),
        pytest.param(ended_at("0.02", usage={"input_tokens": 200_000}, model="gpt-5-nano"), [], id="a cheap model"),
        pytest.param(ended_at("0.30", usage={"input_tokens": 200_000}, **SONNET), [], id="a batch, at half the price"),
        pytest.param(ended_at("0.09", usage=STUCK, model="of-no-price"), [], id="a model without a price"),
        pytest.param(ended_at("0.00", usage=STUCK, **SONNET), ["low_cost"], id="reported as nothing"),
    ],
)
def test_a_low_cost_is_suspect_only_if_the_tokens_come_to_much_more(found: Row, kinds: list[str]) -> None:
    assert [suspect.kind for suspect in findings(found)] == kinds


def test_the_row_of_the_story_is_found_with_what_its_tokens_come_to() -> None:
    (suspect,) = findings(ended_at("0.09", usage=STUCK, **SONNET))
    assert suspect.why == "ended at $0.0900 for 558,000 tokens, which come to $2.3700 at least"
    assert suspect.next_step.startswith("costledger correct --cost-usd 2.37 --reason WHY -- w ")


@pytest.mark.parametrize(
    "observed", [reading("2.37", partial=True), reading(None, usage=USE), reading(None, partial=True)]
)
def test_an_honest_lower_bound_that_no_step_can_raise_is_no_finding(observed: dict[str, Any]) -> None:
    found = row(folded(observed, ended()), HEAD)
    assert found.cost_basis == "partial", "its row says so"
    assert whys(found) == []


@pytest.mark.parametrize("end", [[], [ended(run=2)]])
def test_a_retry_that_lacks_a_counter_names_the_option_that_gives_it_one(end: list[dict[str, Any]]) -> None:
    first = [started(), reading("0.50", agent="plan"), ended("failed"), started(2), reading("0.40", agent="plan")]
    (suspect,) = findings(row(folded(*first, *end), HEAD))
    assert suspect.why.endswith("a retry read less than the attempts before it had cost (agent plan)")
    assert "--counter" in suspect.next_step


def test_what_this_version_cannot_read_is_the_only_finding_about_a_lower_bound() -> None:
    unread = row(folded(reading("2.37", partial=True), {"type": "cost_guessed"}, ended()), HEAD)
    assert whys(unread) == ["events that this version does not know"]


def test_a_right_row_needs_no_attention() -> None:
    assert whys(GOOD) == []
    assert whys(row(folded(started()), HEAD)) == []


def test_a_running_workflow_that_fell_silent() -> None:
    silent = row(folded(started(), reading("1.00")), HEAD)
    assert whys(silent, after=timedelta(hours=5)) == []
    assert whys(silent, after=timedelta(hours=8)) == ["running, and no event for 9 hours"]


def test_a_source_that_grew_after_the_last_event() -> None:
    updated = datetime.fromisoformat(GOOD.updated_at)
    assert whys(GOOD, grown_at={"w": updated - timedelta(seconds=1)}) == []
    assert whys(GOOD, grown_at={"w": updated + timedelta(seconds=1)})[0].startswith("a source was written at")
    running = row(folded(started(), reading("1.00")), HEAD)
    assert whys(running, grown_at={"w": NOW}) == [], "its log grows while it runs"


def accepted(**covers: str) -> dict[str, Any]:
    return {"type": "finding_accepted", "findings": covers, "reason": "a promotion"}


def test_an_accepted_finding_stays_quiet_until_it_covers_something_else() -> None:
    story = [started(), reading("0.09", usage=STUCK, observed_at=second(5), **SONNET), ended()]
    (suspect,) = findings(row(folded(*story), HEAD))
    acceptance = accepted(low_cost=suspect.covers)
    assert whys(row(folded(*story, acceptance), HEAD)) == []
    assert whys(row(folded(*story, accepted(silent=suspect.covers)), HEAD)), "another finding was accepted"
    late = reading("0.10", usage=STUCK, observed_at=second(6), **SONNET)
    assert whys(row(folded(*story, acceptance, late), HEAD)), "the cost is another one"
    again = [suspect.covers for suspect in findings(row(folded(*story, acceptance, late), HEAD))]
    assert whys(row(folded(*story, acceptance, late, accepted(low_cost=again[0])), HEAD)) == []


def test_an_accepted_silence_ends_with_the_next_activity() -> None:
    story = [started(), reading("1.00")]
    day = timedelta(days=1)
    (silent,) = findings(row(folded(*story), HEAD), after=day)
    quiet = [*story, accepted(silent=silent.covers)]
    assert whys(row(folded(*quiet), HEAD), after=day) == []
    assert [one.kind for one in findings(row(folded(*quiet, reading("2.00")), HEAD), after=day)] == ["silent"]


@given(events, st.integers(0, 30))
def test_an_acceptance_moves_no_figure_wherever_it_stands(sequence: list[dict[str, Any]], at: int) -> None:
    """Not the cost, the tokens, the status or the days; it is an event, and no activity."""
    lines = numbered(sequence)
    moment = lines[at % len(lines)]["recorded_at"] if lines else second(1)
    acceptance = {"v": 1, "seq": 0, "id": "a", "workflow_id": "w", "recorded_at": moment} | accepted(low_cost="x")
    without, with_it = initial("w"), initial("w")
    for number, line in enumerate(lines):
        fold(without, line)
        fold(with_it, line)
        if number == at % len(lines):
            fold(with_it, acceptance)
    assert spend(with_it) == spend(without)
    before, after = row(without, HEAD), row(with_it, HEAD)
    breakdown = orjson.loads(after.cost_breakdown)
    assert not lines or breakdown.pop("accepted") == {"low_cost": {"covers": "x", "reason": "a promotion"}}
    assert breakdown == orjson.loads(before.cost_breakdown)
    ours = ("cost_breakdown", "event_count")
    assert replace(after, **{name: getattr(before, name) for name in ours}) == before


def test_a_workflow_recorded_ahead_of_the_clock_is_named_by_stale_and_by_verify() -> None:
    store, history = MemoryStore(clock=lambda: datetime(2099, 1, 1, tzinfo=UTC)), MemoryHistory()
    store.append([cost_observed("w", cost_usd=1)])
    refresh(store, history)
    found = history.rows()[0]
    assert whys(found)[0].startswith("its last event was recorded at 2099-01-01 00:00 UTC, ahead of the clock")
    (finding,) = verify(store, history, Proof())
    assert (finding.workflow_id, "ahead of the clock" in finding.problem) == ("w", True)

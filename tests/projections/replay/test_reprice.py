"""Repricing: what it appends, what it never touches, and that it comes to rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.events import money, timestamps
from ledger.events.event import Event, Line, cost_observed, event, workflow_ended, workflow_started
from ledger.pricing.price_book import price_event
from ledger.pricing.rates import Rate, Rates
from ledger.storage.memory_store import MemoryStore
from projections.folding.fold import State, fold, initial
from projections.folding.row import Row, row
from projections.replay.reprice import Wanted, apply, plan, plans
from tests.projections.lines import HEAD, attempts, events, folded, numbered

ALL = Wanted()
MOMENT = datetime(2026, 11, 23, 18, tzinfo=UTC)
METER = ("agent", "session_id", "model", "message_id", "counter")
DEARER_AT = MOMENT + timedelta(hours=1)


class Book:
    """A price book of USD a token, by model; `later` holds from `DEARER_AT` on."""

    def __init__(self, usd: Mapping[str, int], later: Mapping[str, int] | None = None) -> None:
        self._usd, self._later = usd, usd if later is None else later

    def rates(self, model: str, moment: datetime | None, service_tier: str | None = None) -> Rates | None:
        assert moment is not None
        assert service_tier is None
        usd = (self._later if moment >= DEARER_AT else self._usd).get(model)
        return None if usd is None else Rates("book 1", dict.fromkeys(_BUCKETS, Rate(Decimal(usd * 1_000_000))))


_BUCKETS = ("input_tokens", "cache_write_tokens", "cache_read_tokens", "output_tokens")


def message(number: int, model: str = "opus", tokens: int = 1, **more: Any) -> Event:
    fields: dict[str, Any] = {"observed_at": MOMENT + timedelta(seconds=number)} | more
    return cost_observed("w", message_id=f"m{number}", model=model, usage={"output_tokens": tokens}, **fields)


def store_of(book: Book, *observed: Event) -> MemoryStore:
    store = MemoryStore()
    for one in observed:
        store.append([price_event(book, one)])
    return store


def state_of(store: MemoryStore) -> State:
    state = initial("w")
    for line in store.read("w"):
        fold(state, line)
    return state


def row_of(store: MemoryStore) -> Row:
    return row(state_of(store), HEAD)


def usd(store: MemoryStore) -> int:
    return state_of(store).cost_nanousd // money.NANOUSD_PER_USD


def reprice(store: MemoryStore, book: Book, wanted: Wanted = ALL) -> int:
    appended = apply(store, "w", book, wanted, "new contract")
    assert apply(store, "w", book, wanted, "again") == 0, "once more appends nothing"
    return appended


def test_after_the_end_the_new_price_counts_even_when_it_is_lower() -> None:
    store = store_of(Book({"opus": 5}), message(1), message(2, tokens=2), workflow_ended("w", "completed"))
    assert usd(store) == 15
    assert reprice(store, Book({"opus": 3})) == 2
    assert usd(store) == 9
    last = list(store.read("w"))[-1]
    assert (last["final"], last["reason"], last["cost_source"]) == (True, "new contract", "priced")
    assert last["observed_at"] == timestamps.to_wire(MOMENT + timedelta(seconds=2)), "it falls on the day it was used"


def test_while_it_runs_the_highest_holds_and_the_end_takes_it_off() -> None:
    store = store_of(Book({"opus": 5}), message(1))
    (made,) = plans(store, ["w"], Book({"opus": 3}), ALL, "r")
    assert (getattr(made, "waiting_nanousd", None), getattr(made, "new_nanousd", None)) == (2 * 10**9, 5 * 10**9)
    reprice(store, Book({"opus": 3}))
    assert usd(store) == 5
    store.append([workflow_ended("w", "completed")])
    assert usd(store) == 3


def test_what_had_no_price_gets_one() -> None:
    store = store_of(Book({}), message(1), message(2))
    assert (row_of(store).cost_basis, row_of(store).unpriced_events) == ("partial", 2)
    assert reprice(store, Book({})) == 0
    assert reprice(store, Book({"opus": 3})) == 2
    assert (usd(store), row_of(store).cost_basis, row_of(store).unpriced_events) == (6, "priced", 0)


def test_what_an_earlier_run_could_not_price_gets_one_too() -> None:
    store = store_of(Book({}), message(1), workflow_ended("w", "failed"), workflow_started("w"), message(2))
    assert reprice(store, Book({"opus": 3})) == 2
    assert usd(store) == 6


def test_what_an_earlier_run_settled_at_stays() -> None:
    store = store_of(Book({"opus": 5}), message(1), workflow_ended("w", "failed"), workflow_started("w"), message(2))
    assert reprice(store, Book({"opus": 3})) == 1
    store.append([workflow_ended("w", "completed")])
    assert usd(store) == 8


def test_each_reading_is_priced_at_its_own_moment() -> None:
    store = store_of(Book({}), message(1), message(3600), workflow_ended("w", "completed"))
    reprice(store, Book({"opus": 1}, later={"opus": 100}))
    assert usd(store) == 101


def test_what_was_reported_is_never_touched_nor_what_it_covers() -> None:
    total = cost_observed("w", cost_usd=4, final=True, session_id="s", observed_at=MOMENT + timedelta(minutes=5))
    observed = [message(1, session_id="s"), message(2, session_id="s"), total, message(3, cost_usd=7), message(4)]
    store = store_of(Book({"opus": 1}), *observed, workflow_ended("w", "completed"))
    assert usd(store) == 4 + 7 + 1
    assert reprice(store, Book({"opus": 100})) == 1
    assert usd(store) == 4 + 7 + 100


def test_messages_beyond_a_reported_figure_are_priced_anew() -> None:
    reported = cost_observed("w", cost_usd=1, session_id="s", observed_at=MOMENT)
    store = store_of(
        Book({"opus": 1}), reported, message(1, session_id="s", tokens=5), workflow_ended("w", "completed")
    )
    assert usd(store) == 5
    reprice(store, Book({"opus": 2}))
    assert usd(store) == 10


def test_a_partial_reading_stays_partial() -> None:
    store = store_of(Book({"opus": 5}), message(1, partial=True), workflow_ended("w", "failed"))
    reprice(store, Book({"opus": 3}))
    assert (usd(store), row_of(store).cost_basis) == (3, "partial")


def test_a_price_that_was_lost_is_kept() -> None:
    store = store_of(Book({"opus": 5}), message(1))
    made = plan("w", store.read("w"), Book({}), ALL, "r")
    assert [(change.old_nanousd, change.new_nanousd) for change in made.changes] == [(5 * 10**9, None)]
    assert reprice(store, Book({})) == 0


def test_a_larger_copy_that_comes_after_a_reprice_counts() -> None:
    store = store_of(Book({"opus": 5}), message(1), workflow_ended("w", "completed"))
    reprice(store, Book({"opus": 3}))
    larger = message(1, tokens=4, observed_at=MOMENT + timedelta(seconds=1.5))
    store.append([price_event(Book({"opus": 3}), larger)])
    assert usd(store) == 12


@pytest.mark.parametrize(
    ("wanted", "models"),
    [
        (Wanted(model="OP*"), ["opus"]),
        (Wanted(since=MOMENT + timedelta(seconds=2)), ["haiku"]),
        (Wanted(until=MOMENT + timedelta(seconds=2)), ["opus"]),
        (Wanted(since=MOMENT + timedelta(hours=1)), []),
        (ALL, ["opus", "haiku"]),
    ],
)
def test_only_what_is_wanted(wanted: Wanted, models: list[str]) -> None:
    store = store_of(Book({}), message(1), message(2, "haiku"))
    made = plan("w", store.read("w"), Book({"opus": 1, "haiku": 1}), wanted, "r")
    assert [new.fields["model"] for new in made.events] == models


def test_a_workflow_that_cannot_be_read_does_not_stop_the_others() -> None:
    store = store_of(Book({}), message(1))
    missing, made = plans(store, ["nowhere", "w"], Book({"opus": 1}), ALL, "r")
    assert "nowhere" in str(getattr(missing, "error", ""))
    assert len(getattr(made, "events", ())) == 1


prices = st.dictionaries(st.sampled_from(["opus", "haiku", "sonnet"]), st.integers(0, 9))
messages = st.lists(
    st.tuples(st.integers(1, 5), st.integers(0, 9), st.sampled_from(["", "partial"])), min_size=1, max_size=12
)


@given(messages, prices, st.lists(prices, max_size=3), st.integers(0, 12))
def test_once_ended_the_total_is_the_sum_of_the_new_prices(
    observed: list[tuple[int, int, str]], first: dict[str, int], later: list[dict[str, int]], end_at: int
) -> None:
    """Where nothing was reported, each message costs its largest usage at the last price its model had."""
    names = ["opus", "haiku", "sonnet"]
    store, usage = MemoryStore(), dict[int, int]()
    for at, (number, tokens, flag) in enumerate(observed):
        usage[number] = usage.get(number, 0) + tokens  # a message only grows
        flags = {flag: True} if flag else {}
        when = MOMENT + timedelta(seconds=at)
        one = message(number, names[number % 3], usage[number], observed_at=when, **flags)
        if at == end_at:
            store.append([workflow_ended("w", "completed")])
        store.append([price_event(Book(first), one)])
    if end_at >= len(observed):
        store.append([workflow_ended("w", "completed")])
    known = dict(first)
    for book in later:
        reprice(store, Book(book))
        known |= book
        assert usd(store) == sum(count * known.get(names[number % 3], 0) for number, count in usage.items())
        unpriced = sum(1 for number, count in usage.items() if count and names[number % 3] not in known)
        assert row_of(store).unpriced_events == unpriced


class ByName(Book):
    """Prices for the models of `tests.projections.lines`."""

    def __init__(self, opus: int) -> None:
        super().__init__({"opus": opus, "haiku": 2})


def appended(lines: list[dict[str, Any]], new: Iterable[Event]) -> list[dict[str, Any]]:
    return lines + [{"type": one.type} | dict(one.fields) for one in new]


@given(st.one_of(events, attempts()), st.integers(0, 5))
def test_any_ledger_comes_to_rest_and_no_reported_reading_is_overruled(
    observed: list[dict[str, Any]], opus: int
) -> None:
    lines = numbered(observed)
    made = plan("w", lines, ByName(opus), ALL, "r")
    again = numbered(appended(observed, made.events))
    assert plan("w", again, ByName(opus), ALL, "r").events == []
    before, after = folded(*observed), folded(*appended(observed, made.events))
    assert (made.old_nanousd or 0, made.new_nanousd or 0) == (before.cost_nanousd, after.cost_nanousd)
    if not before.ended:
        assert after.cost_nanousd >= before.cost_nanousd
    for new in made.events:
        path = tuple(new.fields.get(name) for name in METER)
        assert not any(_reported_since_the_run_began(lines, path))
        assert event({"type": new.type, "workflow_id": "w", **new.fields}).fields == new.fields


def _reported_since_the_run_began(lines: list[Line], path: tuple[Any, ...]) -> Iterable[Line]:
    """Reported readings of a meter that the run which is on, or was last, has seen."""
    state, heard = initial("w"), list[Line]()
    for line in lines:
        ended = state.ended
        fold(state, line)
        if ended and not state.ended:
            heard = []
        here = tuple(line.get(name) for name in METER)
        if line["type"] == "cost_observed" and here == path and line.get("cost_source") == "reported":
            heard.append(line)
    return heard


def test_each_attempt_is_priced_by_itself_and_the_attempts_still_add_up() -> None:
    usage = {"input_tokens": 1, "output_tokens": 1}
    first = {"type": "cost_observed", "agent": "plan", "model": "opus", "usage": usage}
    observed = [first | {"counter": "one"}, first | {"counter": "two", "usage": {"output_tokens": 1}}]
    made = plan("w", numbered(observed), ByName(3), ALL, "r")
    assert [new.fields["counter"] for new in made.events] == ["one", "two"]
    both = row(folded(*appended(observed, made.events)), HEAD)
    assert (both.cost_basis, both.input_tokens, both.output_tokens) == ("priced", 1, 2)
    assert both.actual_cost_nanousd == sum(change.new_nanousd or 0 for change in made.changes)

"""What a price adds to an event."""

from __future__ import annotations

from typing import Any

from ledger.events.event import Event, cost_observed, event
from ledger.pricing.price_book import is_at_least, price_event, priced_from
from tests.ledger.pricing.list_prices import BOOK, DAY, OPUS, SONNET


def test_a_lower_bound_makes_its_reading_partial_and_says_that_the_price_did() -> None:
    usage = {"input_tokens": 200_001, "output_tokens": 1}
    bound = price_event(BOOK, call_of(usage))
    exact = price_event(BOOK, call_of({"input_tokens": 200_000}))
    assert (bound.fields["cost_usd"], bound.fields["partial"]) == ("1.00003", True)
    assert "partial" in bound.derived, "another price book makes no other event of it"
    assert is_at_least(bound.fields)
    assert "partial" not in exact.fields
    assert not is_at_least(exact.fields)
    given_so = price_event(BOOK, call_of(usage, partial=True))
    assert "partial" not in given_so.derived
    assert not is_at_least(given_so.fields), "its source reported it so"
    several = price_event(BOOK, cost_observed("w", model=OPUS, usage=usage))
    assert "partial" not in several.fields, "of how many calls?"


def call_of(usage: dict[str, int], *, partial: bool | None = None) -> Event:
    return cost_observed("w", model=OPUS, usage=usage, message_id="m1", partial=partial)


def test_a_priced_event_names_its_book_and_rates_and_an_unpriced_one_stays_as_it_is() -> None:
    usage = {"output_tokens": 1_000_000}
    priced = price_event(BOOK, cost_observed("w", model="claude-opus-4-5", usage=usage))
    rates = BOOK.rates("claude-opus-4-5", None)
    assert rates is not None
    price = {"cost_usd": "25.00", "cost_source": "priced", "price_book": rates.book, "price_digest": rates.digest}
    assert rates.book == f"{BOOK.name}, anthropic"
    assert priced.fields == {"model": "claude-opus-4-5", "usage": usage} | price
    assert priced.derived == price.keys()
    whole = {"type": "cost_observed", "workflow_id": "w", **priced.fields}
    assert event(whole, derived=priced.derived) == priced, "it is as valid as one made from all its fields"
    assert BOOK.name.startswith("genai-prices ")
    for untouched in (
        cost_observed("w", model="who-knows-1", usage=usage),
        cost_observed("w", usage=usage),
        cost_observed("w", model="claude-opus-4-5", usage=usage, cost_usd=1),
        cost_observed("w", model=SONNET, usage={"input_tokens": 200_001}, observed_at=DAY),  # of how many calls?
        cost_observed("w", model=OPUS, usage=usage, service_tier="priority", message_id="m"),
    ):
        assert price_event(BOOK, untouched) is untouched


def test_a_sum_of_several_calls_has_no_price_above_a_threshold_though_it_has_an_id() -> None:
    given: dict[str, Any] = {"model": SONNET, "observed_at": DAY, "message_id": "m"}
    source = {"kind": "copilot", "several": True}
    above, below = {"input_tokens": 200_001}, {"input_tokens": 200_000}
    assert "cost_usd" in price_event(BOOK, cost_observed("w", usage=above, **given)).fields
    summed = cost_observed("w", usage=above, source=source, **given)
    assert price_event(BOOK, summed) is summed
    assert "cost_usd" in price_event(BOOK, cost_observed("w", usage=below, source=source, **given)).fields


def test_what_was_priced_from_several_rates_names_them_together() -> None:
    a, b = BOOK.rates(OPUS, DAY), BOOK.rates(SONNET, DAY)
    assert a is not None
    assert b is not None
    assert priced_from([a, a])["price_digest"] == a.digest
    assert priced_from([a, b]) == priced_from([b, a, b])
    assert priced_from([a, b])["price_book"] == a.book == b.book
    assert priced_from([a, b])["price_digest"] not in (a.digest, b.digest)

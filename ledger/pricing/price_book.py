"""Prices: what tokens cost, by a named and versioned price book, fixed when the event is made.

`genai-prices` (https://github.com/pydantic/genai-prices) carries its data with it; it is imported by the first
call that has something to price. We take its rates and count ourselves (`rates`), since a first import prices
a hundred thousand messages; a property test compares every model's figures with the library's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any, Final, Protocol

from ledger.events import money, timestamps
from ledger.events.event import Event
from ledger.pricing.rates import Rates, digest_of
from ledger.providers.modalities import ALWAYS_APART

__all__ = [
    "PRICE_FIELDS",
    "PriceBook",
    "at_least",
    "bounded_by_text",
    "is_at_least",
    "is_one_call",
    "newest_dated_price",
    "price_event",
    "price_of",
    "priced_from",
]

_AT_LEAST: Final = ", at least"

PRICE_FIELDS: Final = frozenset({"cost_usd", "cost_source", "price_book", "price_digest"})
"""The fields of an event whose cost was derived from its usage."""


class PriceBook(Protocol):
    """A list of prices."""

    def rates(self, model: str, moment: datetime | None, service_tier: str | None = None) -> Rates | None:
        """Return what a model costs at a moment; None when it has no price here (never 0 for unknown).

        Args:
            moment: when the tokens were used, since prices change; None is now.
            service_tier: how the provider served the call, such as "batch"; None is the standard way.
        """
        ...


def newest_dated_price(moment: datetime) -> date | None:
    """Return the last day, up to a moment, on which a price of the installed list began: the list is that new."""
    from genai_prices.data_snapshot import get_snapshot
    from genai_prices.types import StartDateConstraint

    day = moment.astimezone(UTC).date()
    prices = (
        price
        for provider in get_snapshot().providers
        for model in provider.models
        for price in (model.prices if isinstance(model.prices, list) else ())
    )
    starts = (price.constraint.start_date for price in prices if isinstance(price.constraint, StartDateConstraint))
    return max((start for start in starts if start <= day), default=None)


def price_event(book: PriceBook, reading: Event, moment: datetime | None = None) -> Event:
    """Return a reading with the price of its usage, or the reading itself.

    Only one that `lacks_price` is priced. The price counts as derived: a later attempt with the same id and another
    price book is the same event.

    Args:
        moment: when the tokens were used, for a reading without `observed_at`.
    """
    if not reading.lacks_price:
        return reading
    price = price_of(book, reading.fields, moment)
    if not price:
        return reading
    whole = MappingProxyType({**reading.fields, **price})  # both halves are valid, so is the whole
    return Event(reading.workflow_id, reading.type, whole, reading.derived | price.keys())


def bounded_by_text(book: PriceBook, reading: Event, modalities: frozenset[str]) -> Event:
    """Return a reading, as partial when it was priced as text and used tokens that cost more than text.

    Args:
        modalities: of the tokens that are no text (`ledger.providers.modalities`).
    """
    fields = reading.fields
    if not modalities or fields.get("cost_source") != "priced":
        return reading
    when = timestamps.from_wire(fields["observed_at"]) if "observed_at" in fields else None
    rates = book.rates(fields["model"], when, fields.get("service_tier"))
    if modalities.isdisjoint(ALWAYS_APART if rates is None else ALWAYS_APART | rates.apart):
        return reading
    whole = MappingProxyType({**fields, "partial": True})
    return Event(reading.workflow_id, reading.type, whole, reading.derived | {"partial"})


def price_of(book: PriceBook, fields: Mapping[str, Any], moment: datetime | None) -> dict[str, Any]:
    """Return the `PRICE_FIELDS` of a reading without a cost; none when its model or usage is missing or has no price.

    Where the price alone is a lower bound, `partial` is added, which is then derived too; see `is_at_least`.

    Args:
        fields: of the reading; None counts as absent.
        moment: see `price_event`.
    """
    model, usage, observed_at = fields.get("model"), fields.get("usage"), fields.get("observed_at")
    if model is None or usage is None:
        return {}
    when = timestamps.from_wire(observed_at) if observed_at else moment
    rates = book.rates(model, when, fields.get("service_tier"))
    one_call = is_one_call(fields)
    cost = None if rates is None else rates.cost_nanousd(usage, one_call=one_call)
    if rates is None or cost is None or cost > money.READING_NANOUSD_MAX:
        return {}
    price: dict[str, Any] = {"cost_usd": money.to_wire(cost), **priced_from([rates])}
    bound = rates.is_lower_bound(usage, one_call=one_call)
    return at_least(price) if bound and not fields.get("partial") else price


def is_one_call(fields: Mapping[str, Any]) -> bool:
    """Return whether the usage of a reading is that of a single call, and not the sum of several."""
    return fields.get("message_id") is not None and not (fields.get("source") or {}).get("several")


def at_least(price: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a price that is a lower bound though the usage is complete; see `is_at_least`."""
    return {**price, "price_book": f"{price['price_book']}{_AT_LEAST}", "partial": True}


def is_at_least(fields: Mapping[str, Any]) -> bool:
    """Return whether a reading is partial only because its price is a lower bound, and its usage complete."""
    return str(fields.get("price_book", "")).endswith(_AT_LEAST)


def priced_from(rates: list[Rates]) -> dict[str, str]:
    """Return the fields that name the rates a cost was priced from."""
    if len(rates) == 1:
        book, digest = rates[0].book, rates[0].digest
    else:
        books, digests = {rate.book for rate in rates}, {rate.digest for rate in rates}
        book = " + ".join(sorted(books))
        digest = digest_of(sorted(digests)) if len(digests) > 1 else rates[0].digest
    return {"cost_source": "priced", "price_book": book, "price_digest": digest}

"""Prices: what tokens cost, by a named and versioned price book, fixed when the event is made.

`genai-prices` (https://github.com/pydantic/genai-prices) carries its data with it; it is imported by the first
call that has something to price. Its `input_tokens` include cached ones; ours do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol

from ledger import money
from ledger.events import COST_OBSERVED, Event, event

__all__ = ["GenaiPrices", "PriceBook", "price_event"]

_CALLS_KEPT = 4096
"""Prices remembered; a call takes about 0.1 ms, and one log repeats the same usage on many lines."""


class PriceBook(Protocol):
    """A list of prices."""

    @property
    def name(self) -> str:
        """Its name and version, as an event records it: "genai-prices 0.2.3"."""
        ...

    def price(self, model: str, usage: Mapping[str, int], moment: datetime | None) -> int | None:
        """Nanodollars for a usage in our buckets; None when the model has no price here (never 0 for unknown).

        Args:
            moment: when the tokens were used, since prices change; None is today.
        """
        ...


class GenaiPrices:
    """The prices that the installed `genai-prices` package carries."""

    def __init__(self) -> None:
        self._calc: Callable[..., int | None] | None = None

    @property
    def name(self) -> str:
        from importlib.metadata import version

        return f"genai-prices {version('genai-prices')}"

    def price(self, model: str, usage: Mapping[str, int], moment: datetime | None) -> int | None:
        """See `PriceBook.price`."""
        if self._calc is None:
            self._calc = lru_cache(maxsize=_CALLS_KEPT)(_calculate)
        day = None if moment is None else moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return self._calc(model, tuple(sorted(usage.items())), day)


def _calculate(model: str, usage: tuple[tuple[str, int], ...], moment: datetime | None) -> int | None:
    from genai_prices import Usage, calc_price

    counts = dict(usage)
    writes, writes_1h = counts.get("cache_write_tokens", 0), counts.get("cache_write_1h_tokens", 0)
    reads = counts.get("cache_read_tokens", 0)
    given: dict[str, Any] = {
        "input_tokens": counts.get("input_tokens", 0) + writes + reads,
        "cache_write_tokens": writes,
        "cache_read_tokens": reads,
        "output_tokens": counts.get("output_tokens", 0),
    }
    if writes_1h:
        given["cache_write_1h_tokens"] = writes_1h
    if searches := counts.get("web_search_requests", 0):
        given["web_searches"] = searches
    try:
        return money.parse(calc_price(Usage(**given), model, genai_request_timestamp=moment).total_price)
    except LookupError:
        return None


def price_event(book: PriceBook, reading: Event, moment: datetime | None = None) -> Event:
    """A reading with the price of its usage, or the reading itself.

    Only a `cost_observed` that names a model and a usage and no cost is priced. The price counts as derived: a
    later attempt with the same id and another price book is the same event.

    Args:
        moment: when the tokens were used, for a reading without `observed_at`.
    """
    fields = reading.fields
    if reading.type != COST_OBSERVED or "cost_usd" in fields or not {"model", "usage"} <= fields.keys():
        return reading
    observed_at = fields.get("observed_at")
    cost = book.price(fields["model"], fields["usage"], datetime.fromisoformat(observed_at) if observed_at else moment)
    if cost is None:
        return reading
    price = {"cost_usd": money.to_wire(cost), "cost_source": "priced", "price_book": book.name}
    whole = {"type": reading.type, "workflow_id": reading.workflow_id, **fields, **price}
    return event(whole, derived=reading.derived | price.keys())

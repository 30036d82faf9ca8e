"""Pricing messages against `genai_prices.calc_price`, alternating, in one run; both price the same messages alike.

Usage: python benchmarks/prices.py [messages] [rounds]
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from genai_prices import Usage, calc_price

from ledger.events import money
from ledger.events.event import Event, cost_observed
from ledger.pricing.genai_book import GenaiPrices
from ledger.pricing.price_book import price_event

MODELS = ("claude-opus-4-5-20251101", "claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001", "gpt-5")


def messages(count: int) -> list[Event]:
    """Readings without a price, as transcripts give them: a year of four models, no two usages alike."""
    chance = random.Random(1)
    start = datetime(2025, 11, 1, tzinfo=UTC)
    return [
        cost_observed(
            "w",
            message_id=f"m{number}",
            model=chance.choice(MODELS),
            observed_at=start + timedelta(minutes=5 * number),
            usage={
                "input_tokens": chance.randint(0, 2000),
                "cache_write_tokens": chance.randint(0, 60_000),
                "cache_read_tokens": chance.randint(0, 180_000),
                "output_tokens": chance.randint(1, 8000),
            },
        )
        for number in range(count)
    ]


def ours(readings: list[Event]) -> list[str]:
    """The costs that the events get."""
    book = GenaiPrices()
    return [price_event(book, reading).fields["cost_usd"] for reading in readings]


def theirs(readings: list[Event]) -> list[str]:
    """The same by the library, one call each."""
    costs = []
    for reading in readings:
        usage = reading.fields["usage"]
        writes, reads = usage["cache_write_tokens"], usage["cache_read_tokens"]
        whole = Usage(
            input_tokens=usage["input_tokens"] + writes + reads,
            cache_write_tokens=writes,
            cache_read_tokens=reads,
            output_tokens=usage["output_tokens"],
        )
        moment = datetime.fromisoformat(reading.fields["observed_at"])
        price = calc_price(whole, reading.fields["model"], genai_request_timestamp=moment).total_price
        costs.append(money.to_wire(money.parse(price)))
    return costs


def seconds(price: Callable[[list[Event]], list[str]], readings: list[Event]) -> float:
    """Wall time of one pass."""
    start = time.perf_counter()
    price(readings)
    return time.perf_counter() - start


def main(count: int, rounds: int) -> None:
    """Print medians and their ratio."""
    readings = messages(count)
    assert ours(readings) == theirs(readings), "the figures differ"
    taken = [(seconds(ours, readings), seconds(theirs, readings)) for _ in range(rounds)]
    mine, library = (statistics.median(column) for column in zip(*taken, strict=True))
    ratio = statistics.median(theirs / ours for ours, theirs in taken)
    print(f"{count:,} messages, {rounds} rounds, the same figures")
    print(f"{'price_event (event, digest, price)':<40} {mine / count * 1e6:8.2f} µs a message")
    print(f"{'genai_prices.calc_price alone':<40} {library / count * 1e6:8.2f} µs a message  {ratio:5.1f} x")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000, int(sys.argv[2]) if len(sys.argv) > 2 else 5)

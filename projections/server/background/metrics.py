"""Metrics for Prometheus: what the server counts itself, and figures over everything as of a few seconds ago.

Labels are bounded: agents and models beyond the few with the highest cost are summed up as `(other)`, and requests
without a route as `(none)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from projections.folding.spend import AMOUNTS, Amounts
from projections.server.background.totals import Overall

__all__ = ["Metrics", "families"]

_NAMES_MAX: Final = 20
_OTHER: Final = "(other)"
_NANO: Final = 1e9

_TOKENS: Final = {
    "input": "input_tokens",
    "cache_write": "cache_write_tokens",
    "cache_read": "cache_read_tokens",
    "output": "output_tokens",
}
"""Disjoint, so they add up."""


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.append_seconds = Histogram(
            "costledger_append_seconds",
            "From a request's events being parsed to their receipts, the sync included",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
            registry=self.registry,
        )
        self.requests = Counter(
            "costledger_requests", "Answered requests", ("method", "route", "status"), registry=self.registry
        )
        self.deliveries = Counter(
            "costledger_webhook_attempts",
            "Attempts to deliver a message: taken, failed (to be tried again) or given_up",
            ("endpoint", "outcome"),
            registry=self.registry,
        )


def families(overall: Overall) -> Iterator[Metric]:
    """Yield the gauges over all workflows."""
    cost = GaugeMetricFamily("costledger_cost_usd", "Cost of rows, by status", labels=["status"])
    count = GaugeMetricFamily("costledger_workflows", "Workflows, by status", labels=["status"])
    for status, totals in sorted(overall.totals.by_status.items()):
        cost.add_metric([status], totals.cost_nanousd / _NANO)
        count.add_metric([status], totals.count)
    yield from (cost, count)
    for label, sums in (("agent", overall.by_agent), ("model", overall.by_model)):
        spent = GaugeMetricFamily(f"costledger_{label}_cost_usd", f"Spent, by {label}", labels=[label])
        tokens = GaugeMetricFamily(f"costledger_{label}_tokens", f"Tokens, by {label} and kind", labels=[label, "kind"])
        for name, amounts in _bounded(sums):
            spent.add_metric([name], amounts[0] / _NANO)
            for kind, field in _TOKENS.items():
                tokens.add_metric([name, kind], amounts[AMOUNTS.index(field)])
        yield from (spent, tokens)
    unpriced = overall.unpriced.values()
    yield _gauge("unpriced_events", "Meters whose usage has no price", sum(events for events, _ in unpriced))
    yield _gauge("unpriced_tokens", "Tokens that no price covers", sum(tokens for _, tokens in unpriced))
    yield _gauge(
        "ledgers_fenced", "Ledgers that wait for their next writer after a failed sync", len(overall.leftovers.fenced)
    )
    yield _gauge("tails_torn", "Tails that were never acknowledged, moved aside", len(overall.leftovers.torn))
    yield _gauge("ledgers_put_aside", "Damaged ledgers that a salvage put aside", len(overall.leftovers.damaged))
    yield _gauge("misplaced", "1: the data directory may be one of two", int(overall.misplaced is not None))


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(f"costledger_{name}", help, value=value)


def _bounded(sums: Sequence[tuple[str, Amounts]]) -> Iterator[tuple[str, Amounts]]:
    yield from sums[:_NAMES_MAX]
    rest = [amounts for _, amounts in sums[_NAMES_MAX:]]
    if rest:
        yield _OTHER, [sum(figures) for figures in zip(*rest, strict=True)]

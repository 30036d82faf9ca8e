"""Spend over time: the change of a workflow's breakdown, event by event, by quarter hour.

Every meter contributes its figure minus its children's, signed, to the agent, session and model of its path. The change
of these contributions by an event belongs to the quarter hour in which the event was observed; for an event without a
time, to that of its `spent_at`, with the evidence that it names. So all parts of a workflow sum to its total, however
they are grouped. Quarter hours, because every time zone's days can be made of them (offsets
from UTC are multiples of 15 minutes, https://data.iana.org/time-zones/theory.html).

A quarter hour is identified by its number: seconds since 1970-01-01T00:00Z, divided by 900.
"""

from __future__ import annotations

from datetime import UTC
from typing import Final, NamedTuple

from ledger.events import timestamps

__all__ = [
    "AMOUNTS",
    "NAMES",
    "QUARTER_SECONDS",
    "TOKENS",
    "Amounts",
    "Dated",
    "Key",
    "Spend",
    "Spent",
    "amounts_of",
    "quarter_of",
    "spend_order",
    "spend_rows",
]

Key = tuple[str | None, str | None, str | None]
"""Agent, session and model; None where no event names one."""

Dated = tuple[int, str | None, int]
"""A quarter hour, the evidence that it was taken from, None when the events carry their times, and the run."""

QUARTER_SECONDS: Final = 900


class Spend(NamedTuple):
    """The spend of a quarter hour and a run under one agent, session and model; None where no event names one.

    `spent_at_from` names the evidence that the quarter hour was taken from, such as "file" for the modification time of
    the log; None: the events carry their times.

    Every figure is a change, and negative when a later, lower reading reduced the cost.

    Attributes:
        unpriced_events: meters whose usage has no price.
        unpriced_tokens: input, cache writes, cache reads and output that no price covers.
        partial: 1 when the figures of this agent, session and model include an incomplete reading: the workflow spent
            more there, at some time; 0 when not.
    """

    quarter: int
    agent: str | None
    session_id: str | None
    model: str | None
    spent_at_from: str | None
    run: int
    cost_nanousd: int
    input_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    cache_read_tokens: int
    output_tokens: int
    web_search_requests: int
    unpriced_events: int
    unpriced_tokens: int
    partial: int


NAMES: Final = Spend._fields[: Spend._fields.index("cost_nanousd")]
"""The names that tell two `Spend` of a workflow apart, in their order."""

AMOUNTS: Final = Spend._fields[len(NAMES) :]
"""The names of the figures of a `Spend`, in their order."""

TOKENS: Final = slice(AMOUNTS.index("input_tokens"), AMOUNTS.index("web_search_requests") + 1)
"""Where the usage is among them, in the order of `USAGE_FIELDS`."""

Amounts = list[int]
"""Figures in the order of `AMOUNTS`."""


class Spent(dict[Key, Amounts]):
    """The amounts of one quarter hour, by key."""

    def __missing__(self, key: Key) -> Amounts:
        made = self[key] = [0] * len(AMOUNTS)
        return made


def spend_rows(quarters: dict[Dated, Spent], partial: set[Key]) -> tuple[Spend, ...]:
    """Return all rows that are not zero, in the order of their names.

    Args:
        partial: the keys with incomplete readings; one without any amount gets a row in the last quarter hour.
    """
    found = [
        Spend(quarter, *key, spent_at_from, run, *[*amounts[:-1], int(key in partial)])
        for (quarter, spent_at_from, run), spent in quarters.items()
        for key, amounts in spent.items()
        if any(amounts)
    ]
    if found and (silent := partial.difference(one[1:4] for one in found)):
        last = max(found, key=lambda one: (one.quarter, one.run))
        found += [Spend(last.quarter, *key, None, last.run, *[*[0] * (len(AMOUNTS) - 1), 1]) for key in silent]
    return tuple(sorted(found, key=spend_order))


def amounts_of(spend: Spend) -> Amounts:
    """Return the figures of a row, in the order of `AMOUNTS`."""
    amounts: Amounts = list(spend[len(NAMES) :])  # type: ignore[arg-type]
    return amounts


def spend_order(spend: Spend) -> tuple[int, str, str, str, str, int]:
    """Return the position of a row among those of a workflow: by quarter, agent, session, model, evidence and run."""
    agent, session, model, evidence = (name or "" for name in spend[1:5])
    return (spend.quarter, agent, session, model, evidence, spend.run)


def quarter_of(moment: str) -> int:
    """Return the quarter hour of a moment in the ledger's spelling, whose first sixteen characters are enough.

    Raises:
        ValueError: the text is not a moment.
    """
    minute = timestamps.from_wire(moment[:16]).replace(tzinfo=UTC)
    return int(minute.timestamp()) // QUARTER_SECONDS

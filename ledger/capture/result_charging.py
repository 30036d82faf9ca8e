"""Charges of agents' results: a session's readings in the ledger decide what its next result adds.

A result comes after the calls that it counts, so a process that was killed leaves no trace of its last ones. A run that
is started again without having ended shows that: from then on its results are lower bounds
(docs/decisions/0044-results-after-a-killed-process.md).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ledger.capture.agent_results import SessionResults, result_of
from ledger.errors import InvalidEvent, UnknownWorkflow
from ledger.events import timestamps
from ledger.events.clock_check import check_not_ahead
from ledger.events.event import COST_OBSERVED, LIFECYCLE_TYPES, WORKFLOW_STARTED, Event, Line, cost_observed, event
from ledger.events.runs import Runs
from ledger.pricing.price_book import PriceBook
from ledger.storage.append import Receipt
from ledger.storage.store import LedgerStore

__all__ = ["charge_result", "is_interrupted"]

_ACCEPTED: Final = frozenset({"agent", "observed_at"})
_READ: Final = frozenset({COST_OBSERVED, *LIFECYCLE_TYPES})
_OF_THE_JOURNAL: Final = frozenset({"v", "seq", "recorded_at", "hash"})
_one_at_a_time: Final = threading.Lock()
"""From reading the cost of a session to appending the new one."""


def charge_result(
    store: LedgerStore, workflow_id: str, prices: PriceBook, answer: object, given: Mapping[str, Any]
) -> Receipt:
    """Append what a result adds to its session; a repeated result makes the same events.

    Args:
        given: by the caller: `agent` and `observed_at`; a result has all other fields itself.

    Raises:
        InvalidEvent: it cannot be read, or other fields are given.
    """
    for name, value in given.items():
        if value is not None and name not in _ACCEPTED:
            raise InvalidEvent(
                name, "an agent's result has this field itself; for another figure use `observe` or `correct`"
            )
    result = result_of(answer)

    def price(model: str, usage: Mapping[str, int]) -> int | None:
        rates = prices.rates(model, None)
        return None if rates is None else rates.cost_nanousd(usage)

    agent = given.get("agent")
    with _one_at_a_time:
        lines = _lines(store, workflow_id)
        session = SessionResults(interrupted=is_interrupted(lines)).learn(lines, result.session_id)
        if (charged := session.lines.get(result.id)) is not None:
            events = [_repeated(line, agent) for line in charged]
        else:
            meter: dict[str, Any] = {
                "agent": agent,
                "session_id": result.session_id,
                "observed_at": given.get("observed_at"),
            }
            readings = session.readings(result, agent, price)
            now = timestamps.now()
            events = [check_not_ahead(cost_observed(workflow_id, **meter, **fields), now) for fields in readings]
        return store.append(events)[-1]


def is_interrupted(lines: Iterable[Line]) -> bool:
    """Return whether the current run was started again without having ended, which imports do not count for."""
    runs, starts = Runs(), 0
    for line in lines:
        if line["type"] in LIFECYCLE_TYPES and isinstance(line.get("run"), int):
            before, runs = runs.run, runs.after(line["type"], line["run"])
            starts = starts if runs.run == before else 0
            starts += line["type"] == WORKFLOW_STARTED and line["run"] == runs.run and "source" not in line
    return starts > 1


def _lines(store: LedgerStore, workflow_id: str) -> list[Line]:
    try:
        return [line for line in store.read(workflow_id) if line["type"] in _READ]
    except UnknownWorkflow:
        return []


def _repeated(line: Line, agent: str | None) -> Event:
    """Return the event of a line, as a caller that charges it again gives it."""
    return event({name: value for name, value in line.items() if name not in _OF_THE_JOURNAL} | {"agent": agent})

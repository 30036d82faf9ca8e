"""Submitted events: JSON from a caller, on stdin or over HTTP, becomes events or is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from ledger.errors import ConflictingEvent, CostledgerError, InvalidInput, LedgerUnavailable, UnknownWorkflow
from ledger.events import timestamps
from ledger.events.clock_check import check_not_ahead
from ledger.events.event import Event, event
from ledger.storage.append import Receipt
from ledger.storage.store import LedgerStore

__all__ = ["append_each", "strict_json", "submitted"]


def submitted(text: bytes) -> Event:
    """Return the event of one JSON object without `seq`, `hash` and `recorded_at`; `id` is optional.

    Raises:
        InvalidInput: the text is not strict JSON, or not a valid event, or one of the future.
    """
    value = strict_json(text)
    if not isinstance(value, dict):
        raise InvalidInput("is not a JSON object")
    return check_not_ahead(event(value), timestamps.now())


def strict_json(text: bytes) -> Any:
    """Return a JSON value without duplicate keys or NaN; numbers with a point stay exact decimals.

    Raises:
        InvalidInput: the text is anything else.
    """
    try:
        return json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_no_duplicates,
            parse_float=Decimal,
            parse_constant=_no_constant,
        )
    except UnicodeDecodeError as error:
        raise InvalidInput(f"is not UTF-8: {error.reason} at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise InvalidInput(f"is not JSON: {error.msg.removesuffix(' at')} at character {error.pos + 1}") from None
    except RecursionError:
        raise InvalidInput("is nested too deeply") from None
    except ValueError as error:  # Python refuses whole numbers of more than 4,300 digits
        raise InvalidInput(f"is not JSON: {error}") from None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"names {twice!r} twice")
    return value


def _no_constant(name: str) -> Any:
    raise InvalidInput(f"{name} is not JSON")


def append_each(
    ledgers: LedgerStore, events: Sequence[Event], *, elsewhere: Callable[[str], bool] = lambda _: False
) -> Iterator[Receipt | CostledgerError]:
    """Append one workflow's events together, or one by one when one of them is refused; yield each one's result.

    Ends and corrections need an existing workflow: without a ledger they are refused before the first other event.

    Args:
        elsewhere: whether a workflow that has no ledger here has, or may have, one on another host.
    """
    first = next((n for n, event in enumerate(events) if not event.needs_workflow), len(events))
    if first and not _exists(ledgers, name := events[0].workflow_id) and not elsewhere(name):
        yield from [UnknownWorkflow(name, "the ledgers") for _ in range(first)]
        events = events[first:]
    if events:
        yield from _append_each(ledgers, events)


def _exists(ledgers: LedgerStore, workflow_id: str) -> bool:
    """Return whether a workflow has a ledger; True also when that cannot be read, which the append then reports."""
    try:
        return ledgers.size(workflow_id) is not None
    except LedgerUnavailable:
        return True


def _append_each(ledgers: LedgerStore, events: Sequence[Event]) -> Iterator[Receipt | CostledgerError]:
    try:
        yield from ledgers.append(events)
    except (ConflictingEvent, InvalidInput) as error:
        if len(events) == 1:
            yield error
            return
        for one in events:
            yield from _append_each(ledgers, [one])
    except CostledgerError as error:
        yield from [error] * len(events)

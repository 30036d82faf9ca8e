"""The rule for moments that have not come yet: up to a day ahead of this computer's clock, as other clocks may be.

Who reports an event gets an error; an import takes the moment of the import instead, since a log is not refused for one
line. Ledgers that have such events already are read as they are. Pure: the time is an argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from ledger.errors import InvalidEvent
from ledger.events import timestamps
from ledger.events.event import Event

__all__ = ["AHEAD_MAX", "check_not_ahead", "problem_ahead", "with_past_moments"]

AHEAD_MAX: Final = timedelta(days=1)
"""More than any time zone that was left out by mistake, and than the clocks of two hosts differ."""

_MOMENTS: Final = ("observed_at", "spent_at")


def problem_ahead(moment: str, now: datetime) -> str:
    """Return why a moment cannot be recorded: it is more than `AHEAD_MAX` ahead of the clock; "" where it can.

    Args:
        moment: ISO 8601 with a zone; any other text is no problem here, since the event refuses it.
    """
    try:
        is_ahead = timestamps.parse(moment) > timestamps.to_wire(now + AHEAD_MAX)
    except ValueError:
        return ""
    clock = timestamps.to_wire(now)[:19] + "Z"
    return f"{moment} is more than a day in the future: this computer's clock says {clock}" if is_ahead else ""


def check_not_ahead(event: Event, now: datetime) -> Event:
    """Return an event as it is.

    Raises:
        InvalidEvent: one of its moments is more than `AHEAD_MAX` ahead of the clock.
    """
    for name in _names_ahead(event, timestamps.to_wire(now + AHEAD_MAX)):
        raise InvalidEvent(name, problem_ahead(event.fields[name], now))
    return event


def with_past_moments(events: Sequence[Event], now: datetime) -> tuple[list[Event], list[Event]]:
    """Return events with the time of the clock for each moment that is more than `AHEAD_MAX` ahead of it.

    The second list has those that were changed; what they have now is derived, so that the same event with its own
    moment is no other event.
    """
    latest, clock = timestamps.to_wire(now + AHEAD_MAX), timestamps.to_wire(now)
    changed: list[Event] = []
    found = list(events)
    for at, event in enumerate(found):
        if names := _names_ahead(event, latest):
            fields = MappingProxyType({**event.fields, **dict.fromkeys(names, clock)})
            found[at] = replace(event, fields=fields, derived=event.derived | set(names))
            changed.append(found[at])
    return found, changed


def _names_ahead(event: Event, latest: str) -> list[str]:
    return [name for name in _MOMENTS if event.fields.get(name, "") > latest]

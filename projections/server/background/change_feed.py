"""The feed of changed rows: each subscriber gets every change once it has subscribed; a slow one is let go.

A subscriber that was let go, or lost its connection, asks again with the number of the last change it saw.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["ChangeFeed", "RowChange", "Subscription"]

_PENDING_MAX: Final = 1_000
"""Changes a subscriber may be behind; beyond it asking again costs less than keeping them."""


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row that changed.

    Attributes:
        row: as the API shows it; None when it was removed.
    """

    number: int
    adw_id: str
    row: dict[str, Any] | None


class Subscription:
    """What one subscriber has not taken yet."""

    def __init__(self) -> None:
        self._pending: asyncio.Queue[Sequence[RowChange]] = asyncio.Queue()
        self._count = 0
        self.lost = False

    async def changes(self) -> Sequence[RowChange]:
        """The next changes, as soon as there are some; none when the subscription was ended."""
        changes = await self._pending.get()
        self._count -= len(changes)
        return changes

    def put(self, changes: Sequence[RowChange]) -> None:
        self._count += len(changes)
        if self._count > _PENDING_MAX:
            self.end()
        else:
            self._pending.put_nowait(changes)

    def end(self) -> None:
        self.lost = True
        self._pending.put_nowait(())


class ChangeFeed:
    """All subscriptions of one event loop."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    def __len__(self) -> int:
        return len(self._subscriptions)

    def subscribe(self) -> Subscription:
        """From now on; `unsubscribe` ends it."""
        made = Subscription()
        self._subscriptions.add(made)
        return made

    def unsubscribe(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)

    def publish(self, changes: Sequence[RowChange]) -> None:
        """Hand changes to everybody; call it in the event loop."""
        for subscription in list(self._subscriptions):
            subscription.put(changes)
            if subscription.lost:
                self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End every subscription."""
        for subscription in self._subscriptions:
            subscription.end()
        self._subscriptions.clear()

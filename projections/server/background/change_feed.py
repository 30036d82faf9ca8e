"""The feed of changed rows: each subscriber gets every change after it has subscribed; a slow one is dropped.

A dropped or disconnected subscriber subscribes again with the number of the last change that it received.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from projections.documents.rows import RowDocument

__all__ = ["ChangeFeed", "RowChange", "Subscription"]

_PENDING_MAX: Final = 1_000
"""Changes that may wait for a subscriber; beyond it subscribing again costs less than queueing them."""


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row that changed.

    Attributes:
        row: as the API shows it; None when it was removed.
    """

    number: int
    adw_id: str
    row: RowDocument | None


class Subscription:
    """The changes that one subscriber has not taken yet."""

    def __init__(self) -> None:
        self._pending: asyncio.Queue[Sequence[RowChange]] = asyncio.Queue()
        self._count = 0
        self.lost = False

    async def changes(self) -> Sequence[RowChange]:
        """Return the next changes, as soon as there are some; none when the subscription was ended."""
        changes = await self._pending.get()
        self._count -= len(changes)
        return changes

    def put(self, changes: Sequence[RowChange]) -> None:
        """Queue changes; end the subscription when too many wait."""
        self._count += len(changes)
        if self._count > _PENDING_MAX:
            self.end()
        else:
            self._pending.put_nowait(changes)

    def end(self) -> None:
        """End the subscription."""
        self.lost = True
        self._pending.put_nowait(())


class ChangeFeed:
    """All subscriptions of one event loop."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    def __len__(self) -> int:
        return len(self._subscriptions)

    def subscribe(self) -> Subscription:
        """Subscribe to all changes from now on; `unsubscribe` ends it."""
        made = Subscription()
        self._subscriptions.add(made)
        return made

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove a subscription."""
        self._subscriptions.discard(subscription)

    def publish(self, changes: Sequence[RowChange]) -> None:
        """Queue changes for every subscriber; call it in the event loop."""
        for subscription in list(self._subscriptions):
            subscription.put(changes)
            if subscription.lost:
                self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End every subscription."""
        for subscription in self._subscriptions:
            subscription.end()
        self._subscriptions.clear()

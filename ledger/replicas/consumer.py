"""Reading a stream: an ephemeral pull consumer, asked ahead, and given up whenever it may have missed a line."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from ledger.errors import InvalidInput
from ledger.replica import ReplicatedLine
from ledger.replicas.connection import Connection
from ledger.replicas.subjects import chain_of

__all__ = ["Consumer"]

_ASKED_AHEAD: Final = 2000
"""Lines under way to us at a time: about a megabyte of readings."""

_EXPIRES_SECONDS: Final = 30
_HEARTBEAT_SECONDS: Final = 3
_SILENCE_SECONDS: Final = 3 * _HEARTBEAT_SECONDS
_NANOSECONDS: Final = 1_000_000_000


class Lost(ConnectionError):
    """The consumer is gone, or lines that it sent are."""


class Consumer:
    """The lines of some subjects, in order, each once; on any doubt it is `Lost`.

    Attributes:
        pending: lines that lie in the stream and were not handed out yet, as of the last one; 0 at the end.
    """

    def __init__(self, connection: Connection, stream: str) -> None:
        self._connection, self._stream = connection, stream
        self._name = ""
        self._queue: deque[Msg] = deque()
        self._arrived = asyncio.Event()
        self._opened_on: tuple[Client, int] | None = None
        self._due, self._delivered, self._heard_at = 0, 0, 0.0
        self._subscription: Subscription | None = None
        self.pending = 0

    async def open(self, subjects: list[str], *, start: int = 0, last_only: bool = False) -> None:
        """Begin behind a position, or with only the last line of each subject."""
        client = await self._connection.client()
        config: dict[str, Any] = {
            "ack_policy": "none",
            "replay_policy": "instant",
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": 60 * _NANOSECONDS,
        }
        config |= {"filter_subject": subjects[0]} if len(subjects) == 1 else {"filter_subjects": subjects}
        if last_only:
            config["deliver_policy"] = "last_per_subject"
        elif start:
            config |= {"deliver_policy": "by_start_sequence", "opt_start_seq": start + 1}
        else:
            config["deliver_policy"] = "all"
        made = await self._connection.api(
            f"CONSUMER.CREATE.{self._stream}", stream_name=self._stream, config=config, action="create"
        )
        self._name, self.pending = made["name"], made["num_pending"]
        self._inbox = client.new_inbox()
        self._opened_on = (client, client.stats["reconnects"])
        self._subscription = await client.subscribe(self._inbox, cb=self._on_message, pending_bytes_limit=2**40)

    async def _on_message(self, message: Msg) -> None:
        self._queue.append(message)
        self._arrived.set()

    async def next(self, lines_max: int, wait_seconds: float) -> list[ReplicatedLine]:
        """The next lines, as many as are at hand; none when there were none for so long.

        Raises:
            Lost: make another consumer.
        """
        client = await self._connection.client()
        if (client, client.stats["reconnects"]) != self._opened_on:
            raise Lost("the connection was made again")
        deadline = time.monotonic() + wait_seconds
        lines: list[ReplicatedLine] = []
        while not lines:
            if self._due <= _ASKED_AHEAD // 2:
                await self._ask(_ASKED_AHEAD)
            while self._queue and len(lines) < lines_max:
                self._take(self._queue.popleft(), lines)
            if not lines and not await self._something_by(deadline):
                break
        return lines

    async def _something_by(self, deadline: float) -> bool:
        """Wait for the next message."""
        self._arrived.clear()
        left = deadline - time.monotonic()
        silent = time.monotonic() - self._heard_at
        if silent > _SILENCE_SECONDS:
            raise Lost(f"the consumer has been silent for {silent:.0f} s")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._arrived.wait(), max(0.0, min(left, 1.0)))
        return bool(self._queue) or time.monotonic() < deadline

    async def _ask(self, lines: int) -> None:
        client = await self._connection.client()
        body = b'{"batch":%d,"expires":%d,"idle_heartbeat":%d}' % (
            lines,
            _EXPIRES_SECONDS * _NANOSECONDS,
            _HEARTBEAT_SECONDS * _NANOSECONDS,
        )
        await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._name}", body, reply=self._inbox)
        self._due += lines
        self._heard_at = time.monotonic()

    def _take(self, message: Msg, lines: list[ReplicatedLine]) -> None:
        """A line, or a status (https://docs.nats.io/reference/reference-protocols/nats_api_reference)."""
        self._heard_at = time.monotonic()
        status = (message.headers or {}).get("Status") if not message.data else None
        if status is None:
            self._take_line(message, lines)
        elif status in ("404", "408"):
            self._due -= int((message.headers or {}).get("Nats-Pending-Messages", self._due))
        elif status != "100":
            raise Lost(f"the consumer ended: {status} {(message.headers or {}).get('Description', '')}")

    def _take_line(self, message: Msg, lines: list[ReplicatedLine]) -> None:
        told = message.metadata
        if told.sequence.consumer != self._delivered + 1:
            raise Lost(f"the consumer's line {self._delivered + 1} did not arrive")
        self._delivered += 1
        self._due -= 1
        self.pending = told.num_pending
        with contextlib.suppress(InvalidInput):  # a subject that no ledger has; nobody of ours sent it
            workflow_id, origin = chain_of(message.subject)
            lines.append(ReplicatedLine(told.sequence.stream, workflow_id, origin, message.data))

    async def close(self) -> None:
        """Take the consumer away; best effort, since an unused one goes by itself."""
        with contextlib.suppress(Exception):
            if self._subscription is not None:
                await self._subscription.unsubscribe()
            if self._name:
                await self._connection.api(f"CONSUMER.DELETE.{self._stream}.{self._name}")

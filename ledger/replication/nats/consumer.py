"""Reading a stream: an ephemeral pull consumer that requests lines ahead and is replaced when it may have missed one.

nats-py 2.16's pull subscription reads at about half the speed, since it requests no lines ahead and awaits each one.
"""

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
from ledger.replication.nats.connection import NatsConnection
from ledger.replication.replica import ReplicatedLine
from ledger.replication.subjects import chain_of

__all__ = ["Consumer"]

_REQUESTED_AHEAD: Final = 2000
"""Lines requested at a time: about a megabyte of readings."""

_EXPIRES_SECONDS: Final = 30
_HEARTBEAT_SECONDS: Final = 3
_SILENCE_SECONDS: Final = 3 * _HEARTBEAT_SECONDS
_ATTEMPTS: Final = 5
"""Consumers made one after another without a line from any, before the engine counts as unavailable."""

_NANOSECONDS: Final = 1_000_000_000


class Lost(ConnectionError):
    """The server's consumer is gone, or lines that it sent are."""


class Consumer:
    """The lines of some subjects, in order, each once.

    Args:
        start: the position after which to begin.
        last_only: only the last line of each subject.
    """

    def __init__(
        self, connection: NatsConnection, stream: str, subjects: list[str], *, start: int = 0, last_only: bool = False
    ) -> None:
        self._connection, self._stream, self._subjects = connection, stream, subjects
        self._after, self._last_only = start, last_only
        self._arrived = asyncio.Event()
        self._forget()

    def _forget(self) -> None:
        """Return to the state before the first consumer."""
        self._name = self._inbox = ""
        self._queue: deque[Msg] = deque()
        self._opened_on: tuple[Client, int] | None = None
        self._subscription: Subscription | None = None
        self._due, self._delivered, self._received_at = 0, 0, 0.0

    async def next(self, lines_max: int, wait_seconds: float) -> list[ReplicatedLine]:
        """Return the next lines, as many as have arrived; none when none came in this time.

        Raises:
            ConnectionError, nats.errors.Error, JetStreamError: the engine cannot be read; ask again.
        """
        for attempt in range(_ATTEMPTS):
            try:
                if self._opened_on is None:
                    await self._open()
                lines = await self._next(lines_max, wait_seconds)
            except Lost:
                await self.close()
                if attempt == _ATTEMPTS - 1:
                    raise
                await asyncio.sleep(0.1 * attempt)
                continue
            if lines:
                self._after = lines[-1].position
            return lines
        raise AssertionError("the last attempt returns or raises")

    async def _open(self) -> None:
        client = await self._connection.client()
        config: dict[str, Any] = {
            "ack_policy": "none",
            "replay_policy": "instant",
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": 60 * _NANOSECONDS,
        }
        one, several = {"filter_subject": self._subjects[0]}, {"filter_subjects": self._subjects}
        config |= one if len(self._subjects) == 1 else several
        if self._last_only:
            config["deliver_policy"] = "last_per_subject"
        elif self._after:
            config |= {"deliver_policy": "by_start_sequence", "opt_start_seq": self._after + 1}
        else:
            config["deliver_policy"] = "all"
        made = await self._connection.api(
            f"CONSUMER.CREATE.{self._stream}", stream_name=self._stream, config=config, action="create"
        )
        self._name, self._inbox = made["name"], client.new_inbox()
        self._opened_on = (client, client.stats["reconnects"])
        self._subscription = await client.subscribe(self._inbox, cb=self._on_message, pending_bytes_limit=2**40)

    async def _on_message(self, message: Msg) -> None:
        self._queue.append(message)
        self._arrived.set()

    async def _next(self, lines_max: int, wait_seconds: float) -> list[ReplicatedLine]:
        client = await self._connection.client()
        if (client, client.stats["reconnects"]) != self._opened_on:
            raise Lost("the connection was made again")
        deadline = time.monotonic() + wait_seconds
        lines: list[ReplicatedLine] = []
        while not lines:
            if self._due <= _REQUESTED_AHEAD // 2:
                await self._request(_REQUESTED_AHEAD)
            try:
                while self._queue and len(lines) < lines_max:
                    self._take(self._queue.popleft(), lines)
            except Lost:
                if not lines:
                    raise
                await self.close()  # the lines before are good
                break
            if not lines and not await self._something_by(deadline):
                break
        return lines

    async def _something_by(self, deadline: float) -> bool:
        """Wait for the next message; return whether to look again."""
        self._arrived.clear()
        left = deadline - time.monotonic()
        silent = time.monotonic() - self._received_at
        if silent > _SILENCE_SECONDS:
            raise Lost(f"the consumer has been silent for {silent:.0f} s")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._arrived.wait(), max(0.0, min(left, 1.0)))
        return bool(self._queue) or time.monotonic() < deadline

    async def _request(self, lines: int) -> None:
        client = await self._connection.client()
        body = b'{"batch":%d,"expires":%d,"idle_heartbeat":%d}' % (
            lines,
            _EXPIRES_SECONDS * _NANOSECONDS,
            _HEARTBEAT_SECONDS * _NANOSECONDS,
        )
        await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._name}", body, reply=self._inbox)
        self._due += lines
        self._received_at = time.monotonic()

    def _take(self, message: Msg, lines: list[ReplicatedLine]) -> None:
        """Take a line, or a status (https://docs.nats.io/reference/reference-protocols/nats_api_reference)."""
        self._received_at = time.monotonic()
        status = (message.headers or {}).get("Status") if not message.data else None
        if status is None:
            self._take_line(message, lines)
        elif status in ("404", "408"):
            self._due -= int((message.headers or {}).get("Nats-Pending-Messages", self._due))
        elif status != "100":
            raise Lost(f"the consumer ended: {status} {(message.headers or {}).get('Description', '')}")

    def _take_line(self, message: Msg, lines: list[ReplicatedLine]) -> None:
        sequence = message.metadata.sequence
        if sequence.consumer != self._delivered + 1:
            raise Lost(f"the consumer's line {self._delivered + 1} did not arrive")
        self._delivered += 1
        self._due -= 1
        with contextlib.suppress(InvalidInput):  # a subject that no ledger has, of another program
            workflow_id, origin = chain_of(message.subject)
            if sequence.stream > self._after:  # with `last_only` a second consumer starts at the beginning
                lines.append(ReplicatedLine(sequence.stream, workflow_id, origin, message.data))

    async def close(self) -> None:
        """Delete the server's consumer; best effort, since the server deletes an unused one itself."""
        subscription, name = self._subscription, self._name
        self._forget()
        with contextlib.suppress(Exception):
            if subscription is not None:
                await subscription.unsubscribe()
            if name:
                await self._connection.api(f"CONSUMER.DELETE.{self._stream}.{name}")

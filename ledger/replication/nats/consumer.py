"""Reading a stream: an ephemeral pull consumer that requests lines ahead and is replaced when it may have missed one.

nats-py's own `fetch` requests nothing ahead, and may wait until a request expires when there are fewer lines than that.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.msg import Msg

from ledger.errors import InvalidInput
from ledger.replication.nats.connection import NatsConnection
from ledger.replication.replica import ReplicatedLine
from ledger.replication.subjects import chain_of

__all__ = ["Consumer"]

_REQUESTED_AHEAD: Final = 2000
"""Lines requested at a time: about a megabyte of readings."""

_EXPIRES_SECONDS: Final = 3
"""When the server answers a request that it could not fill; so a consumer without lines is never silent for long."""

_SILENCE_SECONDS: Final = 3 * _EXPIRES_SECONDS
_ATTEMPTS: Final = 5
"""Consumers made one after another without a line from any, before the engine counts as unavailable."""

_NANOSECONDS: Final = 1_000_000_000
_REQUEST: Final = b'{"batch":%d,"expires":%d}' % (_REQUESTED_AHEAD, _EXPIRES_SECONDS * _NANOSECONDS)
_EXPIRED: Final = ("404", "408")


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
        self._opened_on: tuple[Client, int] | None = None

    async def next(self, lines_max: int, wait_seconds: float) -> list[ReplicatedLine]:
        """Return the next lines, as many as have arrived; none when none came in this time.

        Raises:
            ConnectionError, nats.errors.Error, JetStreamError: the engine cannot be read; ask again.
        """
        for attempt in range(_ATTEMPTS):
            try:
                lines = await self._next(lines_max, time.monotonic() + wait_seconds)
            except Lost:
                await self.close()
                if attempt == _ATTEMPTS - 1:
                    raise
                await asyncio.sleep(0.1 * attempt)
            else:
                self._after = lines[-1].position if lines else self._after
                return lines
        raise AssertionError("the last attempt returns or raises")

    async def _next(self, lines_max: int, deadline: float) -> list[ReplicatedLine]:
        client = await self._connection.client()
        if self._opened_on != (client, client.stats["reconnects"]):
            await self.close()
            await self._open(client)
        lines: list[ReplicatedLine] = []
        while not lines:
            if self._due <= _REQUESTED_AHEAD // 2:
                await client.publish(self._requests, _REQUEST, reply=self._inbox)
                self._due += _REQUESTED_AHEAD
                self._answered_at = time.monotonic()
            message = await self._message(deadline)
            if message is None:
                break
            self._take(message, lines)
            while not self._messages.empty() and len(lines) < lines_max:
                self._take(self._messages.get_nowait(), lines)
        return lines

    async def _open(self, client: Client) -> None:
        config: dict[str, Any] = {
            "ack_policy": "none",
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": 60 * _NANOSECONDS,
            "filter_subjects": self._subjects,
            "deliver_policy": "all",
        }
        if self._last_only:
            config["deliver_policy"] = "last_per_subject"
        elif self._after:
            config |= {"deliver_policy": "by_start_sequence", "opt_start_seq": self._after + 1}
        made = await self._connection.api(
            f"CONSUMER.CREATE.{self._stream}", stream_name=self._stream, config=config, action="create"
        )
        self._name, self._inbox = made["name"], client.new_inbox()
        self._requests = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._name}"
        self._messages: asyncio.Queue[Msg] = asyncio.Queue()
        self._due = self._delivered = 0
        self._subscription = await client.subscribe(self._inbox, cb=self._messages.put)
        self._opened_on = (client, client.stats["reconnects"])

    async def _message(self, deadline: float) -> Msg | None:
        """Return the next message; None when none came in time."""
        if not self._messages.empty():
            return self._messages.get_nowait()
        silent_at = self._answered_at + _SILENCE_SECONDS
        try:
            return await asyncio.wait_for(self._messages.get(), max(0.0, min(deadline, silent_at) - time.monotonic()))
        except TimeoutError:
            if time.monotonic() >= silent_at:
                raise Lost(f"the consumer has been silent for {_SILENCE_SECONDS} s") from None
            return None

    def _take(self, message: Msg, lines: list[ReplicatedLine]) -> None:
        """Take a line, or a status (https://docs.nats.io/reference/reference-protocols/nats_api_reference)."""
        self._answered_at = time.monotonic()
        headers = message.headers or {}
        status = None if message.data else headers.get("Status")
        if status is None:
            self._take_line(message, lines)
        elif status in _EXPIRED:
            self._due -= int(headers.get("Nats-Pending-Messages", self._due))
        else:
            raise Lost(f"the consumer ended: {status} {headers.get('Description', '')}")

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
        opened, self._opened_on = self._opened_on, None
        if opened is not None:
            with contextlib.suppress(Exception):
                await self._subscription.unsubscribe()
                await self._connection.api(f"CONSUMER.DELETE.{self._stream}.{self._name}")

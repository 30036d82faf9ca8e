"""A replica in NATS JetStream: one stream, one subject per chain, one message per line.

Lines go in atomic batches (nats-server 2.12; ADR-50 of https://github.com/nats-io/nats-architecture-and-design), at
most a thousand at a time, and the first line of each chain in a batch names the message that must be its subject's
last. So the server itself takes a line only if it extends its chain, in order, and a batch is synced once.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import nats.errors

from ledger.errors import CostledgerError, ReplicaDiffers, ReplicaRefused, ReplicaUnavailable
from ledger.replication.nats.connection import JetStreamError, NatsConnection
from ledger.replication.nats.consumer import Consumer
from ledger.replication.nats.stream import STREAM, differences, made
from ledger.replication.replica import (
    PARTITIONS,
    RUN_BYTES_MAX,
    RUN_LINES_MAX,
    ChainHead,
    ChainSegment,
    Replica,
    ReplicatedLine,
    last_positions,
    partition_of,
)
from ledger.replication.subjects import is_chain, of_origin, of_partitions, subject_of
from ledger.storage.line import hash_of

__all__ = ["NatsReplica"]

Answer = ChainHead | CostledgerError
Positioned = tuple[ChainSegment, int]
"""A run, and the position of the message that it must follow."""
Numbered = tuple[int, ChainSegment, int]

_CACHED_MAX: Final = 100_000
"""Chains whose last position is cached; another's is requested when it is next sent to."""

_REQUESTS_AT_ONCE: Final = 200
_BATCHES_AT_ONCE: Final = 4
"""Of one sender; the server takes fifty per stream, from all of them together."""

_ATTEMPTS_MAX: Final = 4

_ALONE_AT_ONCE: Final = 10

_STREAM_NOT_FOUND: Final = 10059
_NO_MESSAGE: Final = 10037
_REFUSED_AS_DUPLICATE: Final = 10201
_REFUSED_AS_TOO_LONG: Final = 10054
_REFUSED_FOR_ONE_RUN: Final = frozenset({10071, 10164, _REFUSED_AS_DUPLICATE, _REFUSED_AS_TOO_LONG})
"""The first two: another message is the subject's last. Everything else is refused to all."""


class NatsReplica(Replica):
    """A replica in one JetStream stream.

    Args:
        name: `nats://HOST:PORT`, several servers of one cluster separated by commas.
        copies: on how many servers to store the stream; it is made when there is none. None: there must be one.
        config: what the stream must be.
    """

    def __init__(
        self,
        name: str,
        *,
        copies: int | None = None,
        credentials: str | None = None,
        timeout_seconds: float = 5.0,
        config: Mapping[str, Any] = STREAM,
    ) -> None:
        self._connection = NatsConnection(name, credentials=credentials, timeout_seconds=timeout_seconds)
        self._copies, self._config, self._stream = copies, config, str(config["name"])
        self._cached: OrderedDict[str, tuple[str, int]] = OrderedDict()  # by subject: last line's hash and position
        self._reader: Consumer | None = None
        self._read_to: dict[int, int] = {}

    @property
    def address(self) -> str:
        return self._connection.where

    @property
    def identity(self) -> str:
        return self._connection.run(self._checked())

    async def _checked(self) -> str:
        try:
            info = await self._connection.api(f"STREAM.INFO.{self._stream}")
        except JetStreamError as refused:
            if refused.number != _STREAM_NOT_FOUND:
                raise
            if self._copies is None:
                nothing = f"there is no stream {self._stream!r} yet; `costledger replicate` makes it"
                raise ReplicaUnavailable(self._connection.where, nothing) from None
            info = await self._made(self._copies)
        if found := differences(self._config, info["config"], self._copies):
            raise ReplicaDiffers(self._connection.where, found)
        return f"{self._stream} made {info['created']}"

    async def _made(self, copies: int) -> dict[str, Any]:
        try:
            return await self._connection.api(f"STREAM.CREATE.{self._stream}", **made(self._config, copies))
        except JetStreamError as refused:
            problem = f"the stream could not be made: {refused}; --copies sets on how many servers it is stored"
            raise ReplicaUnavailable(self._connection.where, problem) from refused
        except TimeoutError as error:  # a user who may not make it gets no answer
            problem = f"there is no stream {self._stream!r} yet, and it could not be made"
            why = self._connection.unavailable(error).problem
            step = "`costledger replicate` makes it once, as the operator of docs/scale.md"
            raise ReplicaUnavailable(self._connection.where, f"{problem}: {why}; {step}") from error

    def publish(self, runs: Sequence[ChainSegment]) -> list[Answer]:
        try:
            return self._connection.run(self._publish(runs))
        except ReplicaUnavailable as error:
            return [error] * len(runs)

    async def _publish(self, runs: Sequence[ChainSegment]) -> list[Answer]:
        answers: dict[int, Answer] = {}
        ready: list[Numbered] = []
        found = await _gathered([self._position(run) for run in runs], _REQUESTS_AT_ONCE)
        for number, (run, position) in enumerate(zip(runs, found, strict=True)):
            if isinstance(position, int):
                ready.append((number, run, position))
            else:
                answers[number] = position
        packs = list(_packed(ready))
        done = await _gathered(
            [self._send([(run, position) for _, run, position in pack]) for pack in packs], _BATCHES_AT_ONCE
        )
        for pack, pack_answers in zip(packs, done, strict=True):
            answers |= zip((number for number, _, _ in pack), pack_answers, strict=True)
        return [answers[number] for number in range(len(runs))]

    async def _position(self, run: ChainSegment) -> int | Answer:
        """Return the position of the message that a run must follow, or its chain's actual head."""
        after = run.after
        try:
            subject = subject_of(after.workflow_id, after.origin)
            if after.seq == 0:
                return 0
            if (cached := self._cached.get(subject)) and cached[0] == after.hash:
                return cached[1]
            head, position = await self._last(subject, after.workflow_id, after.origin)
        except CostledgerError as error:
            return error
        except Exception as error:
            return self._connection.unavailable(error)
        return position if head == after else head

    async def _last(self, subject: str, workflow_id: str, origin: str) -> tuple[ChainHead, int]:
        message = await self._last_message(subject)
        if message is None:
            return ChainHead(workflow_id, origin, 0, ""), 0
        raw = base64.b64decode(message.get("data", ""))
        return ReplicatedLine(message["seq"], workflow_id, origin, raw).head, message["seq"]

    async def _last_message(self, subject: str) -> dict[str, Any] | None:
        """Return the last message of a subject or a filter, by the stream's leader."""
        try:
            answer = await self._connection.api(f"STREAM.MSG.GET.{self._stream}", last_by_subj=subject)
        except JetStreamError as refused:
            if refused.number != _NO_MESSAGE:
                raise
            return None
        message: dict[str, Any] = answer["message"]
        return message

    async def _send(self, pack: Sequence[Positioned], *, named: bool = True, attempt: int = 1) -> list[Answer]:
        """Send runs as one atomic batch; when the server refuses it, send each run alone."""
        try:
            last = await self._batch(pack, named=named)
        except (JetStreamError, nats.errors.MaxPayloadError) as refused:
            if isinstance(refused, JetStreamError) and refused.number not in _REFUSED_FOR_ONE_RUN:
                return [self._connection.unavailable(refused)] * len(pack)
            if len(pack) > 1:
                alone = await _gathered([self._send([one]) for one in pack], _ALONE_AT_ONCE)
                return [answer for answers in alone for answer in answers]
            return [await self._refused(pack[0][0], refused, named=named, attempt=attempt)]
        except Exception as error:
            for run, _ in pack:
                self._cached.pop(_subject(run), None)
            return [self._connection.unavailable(error)] * len(pack)
        position = last - sum(len(run.lines) for run, _ in pack)
        for run, _ in pack:
            position += len(run.lines)
            self._remember(run, position)
        return [run.last for run, _ in pack]

    async def _refused(self, run: ChainSegment, refused: Exception, *, named: bool, attempt: int) -> Answer:
        """Return the answer for one run that the server did not take; send it once more where that can help."""
        if not isinstance(refused, JetStreamError) or refused.number == _REFUSED_AS_TOO_LONG:
            return ReplicaRefused(self._connection.where, f"a line of {max(map(len, run.lines)):,} bytes is too long")
        duplicate = refused.number == _REFUSED_AS_DUPLICATE
        subject = _subject(run)
        self._cached.pop(subject, None)
        try:
            head, position = await self._last(subject, run.after.workflow_id, run.after.origin)
        except Exception as error:
            return self._connection.unavailable(error)
        if head != run.after:
            return head
        if attempt == _ATTEMPTS_MAX:
            return self._connection.unavailable(refused)
        # The chain does end there, at another position than the cached one; or the server knows ids of lost lines.
        return (await self._send([(run, position)], named=named and not duplicate, attempt=attempt + 1))[0]

    async def _batch(self, pack: Sequence[Positioned], *, named: bool) -> int:
        """Send messages that are stored together or not at all; return the position of the last one.

        Raises:
            JetStreamError: nothing was stored.
        """
        client = await self._connection.client()
        *before, (subject, raw, headers) = _messages(pack, named=named)
        for earlier in before:
            await client.publish(earlier[0], earlier[1], headers=earlier[2])
        answer = await self._connection.request(subject, raw, headers)
        if answer.get("duplicate"):
            raise JetStreamError({"err_code": _REFUSED_AS_DUPLICATE, "description": "the message id is a duplicate"})
        return int(answer["seq"])

    def _remember(self, run: ChainSegment, position: int) -> None:
        subject = _subject(run)
        self._cached[subject] = (run.last.hash, position)
        self._cached.move_to_end(subject)
        if len(self._cached) > _CACHED_MAX:
            self._cached.popitem(last=False)

    def repeat(self, run: ChainSegment) -> None:
        self._connection.run(self._repeat(run))

    async def _repeat(self, run: ChainSegment) -> None:
        _, position = await self._last(_subject(run), run.after.workflow_id, run.after.origin)
        self._remember(run, await self._batch([(run, position)], named=False))

    def head(self, workflow_id: str, origin: str) -> ChainHead:
        return self._connection.run(self._last(subject_of(workflow_id, origin), workflow_id, origin))[0]

    def heads(self, origin: str | None = None) -> Iterator[tuple[ChainHead, int]]:
        counts = self._connection.run(self._counts(of_origin(origin)))
        for line in self._all(of_origin(origin), len(counts), last_only=True):
            yield line.head, counts.get(subject_of(line.workflow_id, line.origin), 1)

    async def _counts(self, filter: str) -> dict[str, int]:
        """Return the number of messages by subject, by the stream's leader; it sends 100,000 subjects at a time."""
        counts: dict[str, int] = {}
        offset = 0
        while True:
            info = await self._connection.api(f"STREAM.INFO.{self._stream}", subjects_filter=filter, offset=offset)
            page: dict[str, int] = info["state"].get("subjects") or {}
            counts |= {subject: count for subject, count in page.items() if is_chain(subject)}
            offset += len(page)
            if not page or offset >= info.get("total", 0):
                return counts

    def chain(self, workflow_id: str, origin: str) -> Iterator[ReplicatedLine]:
        return self._stored(subject_of(workflow_id, origin))

    def lines(self, origin: str) -> Iterator[ReplicatedLine]:
        return self._stored(of_origin(origin))

    def _stored(self, filter: str) -> Iterator[ReplicatedLine]:
        return self._all(filter, sum(self._connection.run(self._counts(filter)).values()))

    def _all(self, filter: str, due: int, *, last_only: bool = False) -> Iterator[ReplicatedLine]:
        """Yield as many lines as the leader counted: the server that a consumer reads from may lag behind it."""
        if not due:
            return
        consumer = Consumer(self._connection, self._stream, [filter], last_only=last_only)
        try:
            while due > 0:
                lines = self._connection.run(consumer.next(min(due, RUN_LINES_MAX), self._connection.timeout_seconds))
                if not lines:
                    raise ReplicaUnavailable(self._connection.where, "it stopped in the middle of sending lines")
                due -= len(lines)
                yield from lines
        finally:
            self._connection.run(consumer.close())

    def read(self, positions: Mapping[int, int], *, lines_max: int, wait_seconds: float) -> list[ReplicatedLine]:
        return self._connection.run(self._read(positions, lines_max, wait_seconds))

    async def _read(self, positions: Mapping[int, int], lines_max: int, wait_seconds: float) -> list[ReplicatedLine]:
        if not positions:
            await asyncio.sleep(wait_seconds)
            return []
        if self._reader is None or self._read_to != positions:
            if self._reader is not None:
                await self._reader.close()
            start = min(positions.values())
            self._reader = Consumer(self._connection, self._stream, of_partitions(positions), start=start)
            self._read_to = dict(positions)
        new: list[ReplicatedLine] = []
        while not new and (lines := await self._reader.next(lines_max, wait_seconds)):
            new = [line for line in lines if line.position > positions[partition_of(line.workflow_id)]]
        self._read_to = last_positions(new, positions)
        return new

    def ends(self) -> dict[int, int]:
        return self._connection.run(self._ends())

    async def _ends(self) -> dict[int, int]:
        filters = of_partitions(range(PARTITIONS))
        ends = dict[int, int]()
        for number, message in enumerate(
            await _gathered([self._last_message(one) for one in filters], _REQUESTS_AT_ONCE)
        ):
            if message is None or is_chain(message["subject"]):
                ends[number] = message["seq"] if message else 0
            else:  # another program sent it, and no reader will get it
                counts = await self._counts(filters[number])
                found = await _gathered([self._last_message(subject) for subject in counts], _REQUESTS_AT_ONCE)
                ends[number] = max((one["seq"] for one in found if one), default=0)
        return ends

    def line_at(self, position: int) -> tuple[bytes | None, int]:
        return self._connection.run(self._line_at(position))

    async def _line_at(self, position: int) -> tuple[bytes | None, int]:
        try:
            answer = await self._connection.api(f"STREAM.MSG.GET.{self._stream}", seq=position)
        except JetStreamError as refused:
            if refused.number != _NO_MESSAGE:
                raise
            info = await self._connection.api(f"STREAM.INFO.{self._stream}")
            return None, int(info["state"]["last_seq"])
        return base64.b64decode(answer["message"].get("data", "")), position

    def close(self) -> None:
        self._connection.close()


def _subject(run: ChainSegment) -> str:
    return subject_of(run.after.workflow_id, run.after.origin)


def _messages(pack: Sequence[Positioned], *, named: bool) -> list[tuple[str, bytes, dict[str, str]]]:
    """Return subject, payload and headers of each message of a batch."""
    batch, messages = secrets.token_hex(8), []
    for run, position in pack:
        subject = _subject(run)
        for index, raw in enumerate(run.lines):
            headers = {"Nats-Msg-Id": hash_of(raw)} if named else {}
            if index == 0:
                headers["Nats-Expected-Last-Subject-Sequence"] = str(position)
            messages.append((subject, raw, headers))
    if len(messages) > 1:
        for number, (_, _, headers) in enumerate(messages, 1):
            headers |= {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)}
        messages[-1][2]["Nats-Batch-Commit"] = "1"
    return messages


def _packed(runs: Sequence[Numbered]) -> Iterator[list[Numbered]]:
    """Yield runs of as many lines and bytes as one batch may have."""
    pack: list[Numbered] = []
    lines = size = 0
    for one in runs:
        more = sum(map(len, one[1].lines))
        if pack and (lines + len(one[1].lines) > RUN_LINES_MAX or size + more > RUN_BYTES_MAX):
            yield pack
            pack, lines, size = [], 0, 0
        pack.append(one)
        lines += len(one[1].lines)
        size += more
    if pack:
        yield pack


async def _gathered(work: Sequence[Any], at_once: int) -> list[Any]:
    """Return the results of many coroutines, run some at a time."""
    turn = asyncio.Semaphore(at_once)

    async def one(coroutine: Any) -> Any:
        async with turn:
            return await coroutine

    return list(await asyncio.gather(*map(one, work)))

"""Replication: send the ledgers of one data directory to a replica, line by line, as they grow.

No agent waits for it: lines are read after they are durable, and what cannot be sent stays in its ledger until it can.
Every line is sent at least once, in order per ledger; the replica stores it once.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from ledger.errors import (
    CostledgerError,
    DamagedLedger,
    Diverged,
    LedgerUnavailable,
    RenewalUnfinished,
    ReplicaUnavailable,
)
from ledger.events import timestamps as clocks
from ledger.events.timestamps import Clock
from ledger.replication.cursor import Cursor, blocked_by, cursor_path
from ledger.replication.replica import RUN_BYTES_MAX, RUN_LINES_MAX, ChainHead, ChainSegment, Replica
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.line import EMPTY, ENDING_BYTES, Head, body_of, following, hash_of, seed, seeded_by
from ledger.storage.origin import misplaced, origin_of

__all__ = ["LOOK_SECONDS", "Replication", "ReplicationProblem", "Sent", "ends_at", "head_at", "runs_of"]

_WAVE_LINES_MAX: Final = 4 * RUN_LINES_MAX
"""Lines sent before waiting for the answers; then the lagging ledgers are read further."""

_MOVED_MAX: Final = 3
"""How often the end of a chain is looked up in one pass; then another process is sending the same ledger."""

LOOK_SECONDS: Final = 0.05
_LOOK_SHARE: Final = 4
"""Looking takes at most a fifth of a processor: a look of 100,000 ledgers is followed by four times its time."""

_AWAY_SECONDS_MAX: Final = 15.0
_ASK_SECONDS: Final = 5.0
"""How often the replica's identity is checked, also when there is nothing to send: its stream may be gone."""

_RENEWING_SECONDS: Final = 0.5

_AGAIN_SECONDS: Final = 30.0
"""When to try a ledger again that could not be sent and has not grown."""

_UNAVAILABLE_SECONDS: Final = 1.0
"""The same, when the replica gave no answer for it, and took others."""

_log = logging.getLogger("costledger")


@dataclass(frozen=True, slots=True)
class ReplicationProblem:
    """A ledger that could not be sent; the others were."""

    workflow_id: str
    error: CostledgerError


@dataclass(slots=True)
class Sent:
    """The result of one pass.

    Attributes:
        away: why the replica could not be reached; what it has not acknowledged waits.
        renewing: the data directory is being given a new origin, or that was interrupted; everything waits.
    """

    lines: int = 0
    size_bytes: int = 0
    ledgers: set[str] = field(default_factory=set)
    problems: list[ReplicationProblem] = field(default_factory=list)
    away: ReplicaUnavailable | None = None
    renewing: RenewalUnfinished | None = None


@dataclass(slots=True)
class _Sending:
    """A ledger that is being sent: its acknowledged head, the next lines, and an iterator over the rest."""

    workflow_id: str
    head: Head
    lines: list[bytes]
    rest: Iterator[list[bytes]]
    moved: int = 0


class Replication:
    """Sends what a replica has not acknowledged; one per data directory and replica is enough, more are harmless."""

    def __init__(self, ledgers: DirectoryStore, replica: Replica, *, clock: Clock = clocks.now) -> None:
        self._ledgers, self._replica, self._clock = ledgers, replica, clock
        self._origin = ""
        self._cursor: Cursor | None = None  # of that origin
        self._asked = -math.inf
        self._again: dict[str, tuple[int, float]] = {}  # by workflow id: the size that failed, and when to try again
        self._looked = False  # whether every ledger was checked to end with what was acknowledged of it

    def catch_up(self) -> Sent:
        """Send everything that is in the ledgers now, in one pass.

        Raises:
            MisplacedOrigin: this may be one of two copies of a data directory; nothing was sent.
            ReplicaDiffers: the replica is not set up as it must be.
            LedgerUnavailable: the ledgers cannot be listed.
        """
        sent = Sent()
        try:
            cursor = self.cursor()
            if cursor is None:
                return sent
            lagging = self._lagging(cursor)
            sending: deque[_Sending] = deque()
            while sent.away is None:
                wave = self._wave(sending, lagging, sent)
                if not wave:
                    break
                sending.extend(self._send(wave, cursor, sent))
            self._looked |= sent.away is None
        except ReplicaUnavailable as error:
            sent.away = error
        if sent.problems and self._renewed():
            sent.problems.clear()  # ledgers of the new origin do not extend chains of the old one, which is no problem
        if self._cursor is not None:
            with contextlib.suppress(ReplicaUnavailable):  # a failure of the cursor is reported already
                self._cursor.set_problem(None if sent.away is None else sent.away.problem)
                problems = [one for one in sent.problems if not isinstance(one.error, ReplicaUnavailable)]
                self._cursor.block(blocked_by(one.workflow_id, one.error) for one in problems)
        if sent.away is not None:
            self.close()
        return sent

    def cursor(self) -> Cursor | None:
        """Return what the replica has acknowledged; None when nothing was ever appended here.

        Raises:
            MisplacedOrigin: see `catch_up`.
            ReplicaUnavailable, ReplicaDiffers: see `Replica.identity`.
        """
        data = self._ledgers.path
        if (error := misplaced(data)) is not None:
            raise error
        origin = origin_of(data)
        if origin is None:
            if time.monotonic() - self._asked > _ASK_SECONDS:  # make the stream now, and report what is wrong
                _, self._asked = self._replica.identity, time.monotonic()
            return None
        if self._origin != origin.id:  # a first pass, or it was renewed: these are other chains
            self._origin, self._looked = origin.id, False
            self._again.clear()
            self.close()
        if self._cursor is None or time.monotonic() - self._asked > _ASK_SECONDS:
            identity, self._asked = self._replica.identity, time.monotonic()
            if self._cursor is None or self._cursor.identity != identity:
                self.close()
                self._cursor = Cursor(cursor_path(data), identity, origin.id, self._replica.address)
        return self._cursor

    def _renewed(self) -> bool:
        """Return whether this data directory was given another origin since this pass started."""
        origin = origin_of(self._ledgers.path)
        return origin is not None and origin.id != self._origin

    def follow(
        self, stop: threading.Event, *, report: Callable[[Sent], None], every_seconds: float = LOOK_SECONDS
    ) -> None:
        """Catch up again and again until `stop` is set; an engine that is away is tried again, ever less often.

        While the data directory is given a new origin, wait, and then continue under that one.

        Args:
            report: called after each pass.
            every_seconds: the pause after a pass; what is appended meanwhile is sent together.

        Raises:
            MisplacedOrigin, ReplicaDiffers, LedgerUnavailable: see `catch_up`.
        """
        away_seconds = every_seconds
        while not stop.is_set():
            started = time.monotonic()
            try:
                sent = self.catch_up()
            except RenewalUnfinished as error:
                sent = Sent(renewing=error)
            report(sent)
            looked_seconds = time.monotonic() - started
            if sent.renewing is not None:
                stop.wait(max(every_seconds, _RENEWING_SECONDS))
            elif sent.away is not None:
                away_seconds = min(2 * away_seconds, _AWAY_SECONDS_MAX)
                stop.wait(away_seconds)
            else:
                away_seconds = every_seconds
                stop.wait(every_seconds if sent.lines else max(every_seconds, _LOOK_SHARE * looked_seconds))

    def close(self) -> None:
        """Close the cursor, and not the replica, which the caller opened; idempotent."""
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            cursor.close()

    def _lagging(self, cursor: Cursor) -> Iterator[_Sending | ReplicationProblem]:
        """Yield the ledgers that have grown since they were acknowledged."""
        for workflow_id in self._ledgers.workflow_ids():
            size = self._ledgers.size(workflow_id)
            head = cursor.heads.get(workflow_id, EMPTY)
            if size is None or (size == head.size and self._whole(cursor, workflow_id, head)):
                continue
            failed_size, again = self._again.get(workflow_id, (-1, 0.0))
            if failed_size == size and time.monotonic() < again:
                continue
            try:
                if sending := self._opened(workflow_id, head):
                    yield sending
                elif size == head.size:
                    head_at(self._ledgers, ChainHead(workflow_id, self._origin, head.seq, head.hash))
            except CostledgerError as error:
                yield ReplicationProblem(workflow_id, error)

    def _whole(self, cursor: Cursor, workflow_id: str, head: Head) -> bool:
        """Return whether a ledger as long as it was when it was acknowledged ends as it did.

        A ledger that was replaced is detected by the first pass and by `backlog`; to read each ledger in each pass
        would take too long.
        """
        if self._looked and workflow_id not in cursor.blocked:
            return True
        whole = ends_at(self._ledgers, workflow_id, head)
        if whole:
            cursor.unblock([workflow_id])
        return whole

    def _opened(self, workflow_id: str, head: Head) -> _Sending | None:
        """Return a ledger, ready to send the lines after a head; None when there are none."""
        try:
            rest = runs_of(self._ledgers, workflow_id, head)
            lines = next(rest, None)
        except DamagedLedger:
            if head.seq == 0:
                raise
            head = head_at(self._ledgers, self._replica.head(workflow_id, self._origin))
            rest = runs_of(self._ledgers, workflow_id, head)
            lines = next(rest, None)
        if lines is None:
            return None
        if head.seq == 0 and seeded_by(body_of(lines[0]), workflow_id) != seed(workflow_id, self._origin):
            problem = f"it was opened by another origin than this data directory's, {self._origin}"
            raise Diverged(workflow_id, self._origin, 1, problem)
        return _Sending(workflow_id, head, lines, rest)

    def _wave(
        self, sending: deque[_Sending], lagging: Iterator[_Sending | ReplicationProblem], sent: Sent
    ) -> list[_Sending]:
        """Return ledgers whose next lines are sent together."""
        wave: list[_Sending] = []
        lines = 0
        while lines < _WAVE_LINES_MAX:
            one = sending.popleft() if sending else next(lagging, None)
            if one is None:
                break
            if isinstance(one, ReplicationProblem):
                self._fail(one.workflow_id, one.error, sent)
                continue
            wave.append(one)
            lines += len(one.lines)
        return wave

    def _send(self, wave: Sequence[_Sending], cursor: Cursor, sent: Sent) -> list[_Sending]:
        """Send one wave; return those of its ledgers that have more to send."""
        runs = [
            ChainSegment(ChainHead(one.workflow_id, self._origin, one.head.seq, one.head.hash), one.lines)
            for one in wave
        ]
        answers = self._replica.publish(runs)
        away = [answer for answer in answers if isinstance(answer, ReplicaUnavailable)]
        if len(away) == len(answers):
            sent.away = away[0]
            return []
        acknowledged: dict[str, Head] = {}
        more: list[_Sending] = []
        for one, run, answer in zip(wave, runs, answers, strict=True):
            try:
                if isinstance(answer, CostledgerError):
                    raise answer
                follows = self._taken(one, run, sent) if answer == run.last else self._moved(one, answer)
                acknowledged[one.workflow_id] = one.head
                more += follows
            except CostledgerError as error:
                self._fail(one.workflow_id, error, sent)
        cursor.acknowledge(acknowledged, clocks.to_wire(self._clock()))
        return more

    def _taken(self, one: _Sending, run: ChainSegment, sent: Sent) -> list[_Sending]:
        """Count acknowledged lines; return the ledger again when it has more to send."""
        size, last = sum(map(len, run.lines)), run.last
        one.head = Head(last.seq, one.head.size + size, last.hash)
        sent.lines += len(run.lines)
        sent.size_bytes += size
        sent.ledgers.add(one.workflow_id)
        self._again.pop(one.workflow_id, None)
        one.lines = next(one.rest, [])
        return [one] if one.lines else []

    def _moved(self, one: _Sending, found: ChainHead) -> list[_Sending]:
        """Return a ledger whose chain ends elsewhere than the cursor says, ready to continue from there."""
        one.head = head_at(self._ledgers, found)
        if one.moved >= _MOVED_MAX:
            return []  # another process is sending it, too; the next pass continues
        again = self._opened(one.workflow_id, one.head)
        if again is None:
            return []
        again.moved = one.moved + 1
        return [again]

    def _fail(self, workflow_id: str, error: CostledgerError, sent: Sent) -> None:
        sent.problems.append(ReplicationProblem(workflow_id, error))
        wait_seconds = _UNAVAILABLE_SECONDS if isinstance(error, ReplicaUnavailable) else _AGAIN_SECONDS
        self._again[workflow_id] = (self._ledgers.size(workflow_id) or 0, time.monotonic() + wait_seconds)


def runs_of(ledgers: DirectoryStore, workflow_id: str, head: Head) -> Iterator[list[bytes]]:
    """Yield the lines after a head, as many at a time as a run may hold.

    Raises:
        DamagedLedger, UnknownWorkflow, LedgerUnavailable: see `LedgerStore.read`; while iterating, too.
    """
    lines: list[bytes] = []
    size = 0
    for raw in ledgers.read(workflow_id, start=head).raw_lines():
        if lines and (len(lines) == RUN_LINES_MAX or size + len(raw) > RUN_BYTES_MAX):
            yield lines
            lines, size = [], 0
        lines.append(raw)
        size += len(raw)
    if lines:
        yield lines


def ends_at(ledgers: DirectoryStore, workflow_id: str, head: Head) -> bool:
    """Return whether a ledger as long as a head says ends with that very line.

    Raises:
        LedgerUnavailable: it cannot be read.
    """
    if head.seq == 0:
        return True
    path = ledgers.ledger_path(workflow_id)
    try:
        with path.open("rb", buffering=0) as file:  # of every ledger, in a first pass
            return os.pread(file.fileno(), ENDING_BYTES, head.size - ENDING_BYTES) == following(head.hash)
    except OSError as error:
        raise LedgerUnavailable(path, "read", error) from error


def head_at(ledgers: DirectoryStore, line: ChainHead) -> Head:
    """Return the position in its ledger of a line of the replica.

    Raises:
        Diverged: it is not there.
    """
    size = 0
    if line.seq == 0:
        return EMPTY
    for seq, raw in enumerate(ledgers.read(line.workflow_id).raw_lines(), 1):
        size += len(raw)
        if seq == line.seq:
            if hash_of(raw) == line.hash:
                return Head(seq, size, line.hash)
            raise Diverged(line.workflow_id, line.origin, seq, "the replica has another line there")
    problem = f"the replica has that line, and this ledger ends before it, after {size:,} bytes"
    raise Diverged(line.workflow_id, line.origin, line.seq, problem)

"""The pure part of an append, which the journal and the store in memory share.

From the end of a ledger, `compose` decides for each event whether it is already in the ledger, contradicts it, or
becomes the next line.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from hashlib import sha256
from mmap import mmap
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from ledger.errors import ConflictingEvent, DamagedLedger, InvalidInput, LedgerMoved
from ledger.events.annotations import workflow_tagged
from ledger.events.event import LEDGER_OPENED, LIFECYCLE_TYPES, Event, Line
from ledger.events.fields import check_tags
from ledger.events.runs import Runs
from ledger.storage.line import EMPTY, ENDING_BYTES, LINE_BYTES_MAX, Draft, Head, following, problem_of, seed

__all__ = [
    "Bytes",
    "Composed",
    "Receipt",
    "Tail",
    "compose",
    "drafts",
    "find",
    "ids_from",
    "runs_of",
    "tail_after",
    "with_runs",
]

Bytes = bytes | bytearray | mmap

_SEARCHED_ONE_BY_ONE_MAX: Final = 8
"""Ids that get a scan each; for more ids one pass collects every id (measured: equal at about eight)."""

_BEGINS: Final = rb'\{"v":[0-9]+,"seq":[0-9]+,"id":("[^"\\\n]*(?:\\[^\n][^"\\\n]*)*"),"type":"'
_LINE_BEGINS: Final = re.compile(_BEGINS + rb"([a-z_]*)")
"""The beginning of a line; its groups are the id, as JSON, and the type."""

_NEXT_LINE: Final = re.compile(rb"\n" + _BEGINS)
"""The end of a line and the beginning of the next, up to its type; its first group is the id, as JSON.

The fields of a caller cannot imitate it, since a line contains no other newline.
"""

_TAGS: Final = "COSTLEDGER_TAGS"
"""The environment variable with the tags of each new workflow, such as `user=alice,host=ci-3`."""


class Receipt(NamedTuple):
    """The confirmation that an event is in its ledger.

    Attributes:
        duplicate: it was there before this append.
        durability: "always" (it was synced before this receipt was made), "batch" (the next `flush` syncs it) or
            "none" (the operating system decides).
    """

    workflow_id: str
    id: str
    seq: int
    hash: str
    duplicate: bool
    durability: str


class Tail(NamedTuple):
    """The end of a ledger.

    Attributes:
        recorded_at: of the last line; "" when there is none.
        runs: None until they are needed.
    """

    head: Head = EMPTY
    recorded_at: str = ""
    runs: Runs | None = None

    def head_after(self, receipt: Receipt) -> Head | None:
        """Return the head when the line of a receipt is the last one."""
        return self.head if (self.head.seq, self.head.hash) == (receipt.seq, receipt.hash) else None


def tail_after(tail: Tail, data: bytes, workflow_id: str) -> Tail | None:
    """Return the tail after the lines that others appended, each verified against the line before it.

    Args:
        data: the bytes of the ledger from the hash of the last line on, `ENDING_BYTES` before the end of the tail.

    Returns:
        None when this is not what follows the tail; a `LedgerReader` finds out where, and why.
    """
    if data[:ENDING_BYTES] != following(tail.head.hash) or not data.endswith(b"\n", ENDING_BYTES):
        return None
    view, seq, before, start, at, digits = memoryview(data), tail.head.seq, 0, 0, ENDING_BYTES, b""
    while at < len(data):
        start, at = at, data.index(b"\n", at) + 1
        digits = sha256(view[before : at - ENDING_BYTES]).hexdigest().encode()
        if at - start > LINE_BYTES_MAX or not data.startswith(digits, at - ENDING_BYTES):
            return None
        before, seq = at - ENDING_BYTES, seq + 1
    line = _line_at(data, start) or {}
    if (line.get("seq"), line.get("workflow_id"), line.get("hash")) != (seq, workflow_id, digits.decode()):
        return None
    if not isinstance(recorded_at := line.get("recorded_at"), str):
        return None
    return Tail(Head(seq, tail.head.size + len(data) - ENDING_BYTES, line["hash"]), recorded_at)


class Composed(NamedTuple):
    """The result of `compose`: the lines to write, one receipt per event, and the tail after them."""

    lines: list[bytes]
    receipts: list[Receipt]
    tail: Tail


def drafts(events: Sequence[Event]) -> list[Draft]:
    """Return events prepared to become lines, each with its id.

    Raises:
        InvalidEvent: a line would be too long, or an unknown field is not plain JSON.
    """
    return [Draft(event, event.id or os.urandom(16).hex()) for event in events]


def compose(
    batch: Sequence[Draft],
    tail: Tail,
    *,
    workflow_id: str,
    origin: Callable[[], str],
    now: str,
    found: dict[str, Line],
    expected_seq: int | None,
    durability: str,
) -> Composed:
    """Return the lines that a batch of events of one workflow adds to a ledger; an empty batch only opens it.

    Args:
        tail: with its `runs` when a draft needs a run.
        found: the lines of the ledger with ids of the batch, by id.
        now: the time of the clock in the ledger's spelling; no line is dated before the line above it.

    Raises:
        InvalidInput: it is a new ledger, and COSTLEDGER_TAGS is not valid.
        LedgerMoved: the ledger is not at `expected_seq` and holds nothing of this batch from an earlier attempt.
        ConflictingEvent: an id is in the ledger with other content.
    """
    head, recorded_at = tail.head, max(now, tail.recorded_at)
    if expected_seq not in (None, head.seq) and not any(draft.written and draft.id in found for draft in batch):
        raise LedgerMoved(workflow_id, expected_seq, head.seq)
    lines: list[bytes] = []
    if head.seq == 0:
        raw, digits = _opened(workflow_id, origin(), recorded_at)
        lines, head = [raw], Head(1, len(raw), digits)
        if tags := _environment_tags():
            tagged = drafts([workflow_tagged(workflow_id, tags=tags, source={"kind": "environment"})])
            head = _add(lines, tagged, Tail(head, recorded_at, None), {}, durability)[1].head
    receipts, after = _add(lines, batch, Tail(head, recorded_at, tail.runs), found, durability)
    return Composed(lines, receipts, after if lines else tail)


def _add(
    lines: list[bytes], batch: Sequence[Draft], tail: Tail, found: dict[str, Line], durability: str
) -> tuple[list[Receipt], Tail]:
    """Add the lines of the events that a ledger does not have; an id that the batch has twice is added once.

    Raises:
        ConflictingEvent: the ledger or the batch has an id with other content.
    """
    (seq, size, digits), recorded_at, known_runs = tail
    runs, receipts, added = known_runs or Runs(), list[Receipt](), dict[str, bytes]()
    for draft in batch:
        event, id, run = draft.event, draft.id, None
        if (line := found.get(id)) is not None or id in added:
            duplicate = line is None or not draft.written
            receipts.append(_repeated(draft, line or orjson.loads(added[id]), durability, duplicate=duplicate))
            continue
        if event.type in LIFECYCLE_TYPES:
            run = runs.next_run(event.type) if draft.needs_run else None
            runs = runs.after(event.type, run or event.fields["run"])
        seq += 1
        raw, digits = draft.encode(seq, recorded_at, following(digits), run)
        added[id] = raw
        size += len(raw)
        receipts.append(Receipt(event.workflow_id, id, seq, digits, False, durability))  # noqa: FBT003
    lines += added.values()
    return receipts, Tail(Head(seq, size, digits), recorded_at, None if known_runs is None else runs)


def _opened(workflow_id: str, origin: str, recorded_at: str) -> tuple[bytes, str]:
    """Return the first line of a ledger, and its hash."""
    opening = Draft(Event(workflow_id, LEDGER_OPENED, {"format": 1, "origin": origin}), os.urandom(16).hex())
    return opening.encode(1, recorded_at, seed(workflow_id, origin))


def _environment_tags() -> dict[str, str]:
    given = [text.strip().partition("=") for text in os.environ.get(_TAGS, "").split(",") if text.strip()]
    if wrong := [key for key, equals, _ in given if not equals]:
        raise InvalidInput(f"{_TAGS}: {wrong[0]!r} is no tag; give KEY=VALUE, such as user=alice,host=ci-3")
    try:
        found = check_tags({key: value for key, _, value in given}) if given else {}
    except ValueError as error:
        raise InvalidInput(f"{_TAGS}: {error}") from None
    return {key: value for key, value in found.items() if value}  # `host=$HOST` may have none


def _repeated(draft: Draft, line: Line, durability: str, *, duplicate: bool) -> Receipt:
    """Return the receipt of an event whose id already has a line.

    Raises:
        ConflictingEvent: the line has other content.
    """
    if different := draft.differences(line):
        raise ConflictingEvent(draft.event.workflow_id, draft.id, line["seq"], different)
    return Receipt(draft.event.workflow_id, draft.id, line["seq"], line["hash"], duplicate, durability)


def find(ledger: Bytes, ids: Collection[str], path: Path, start: int = 0) -> dict[str, Line]:
    """Return the first line with each of these ids, from the line that begins at `start` on.

    Each line is verified against the line before it, since a receipt may follow.

    Raises:
        DamagedLedger: one of them does not verify.
    """
    found: dict[str, Line] = {}
    if len(ids) <= _SEARCHED_ONE_BY_ONE_MAX:
        for wanted in ids:
            spelling = orjson.dumps(wanted)
            for at in _lines_with(ledger, b',"id":%b,"type":' % spelling, start):
                begins = _LINE_BEGINS.match(ledger, at)
                line = _line_at(ledger, at) if begins is None or begins[1] == spelling else None
                if line is not None and line.get("id") == wanted:
                    _check(ledger, at, path, line)
                    found.setdefault(wanted, line)
                    break
        return found
    spelled = {orjson.dumps(wanted): wanted for wanted in ids}
    for spelling, at in ids_from(ledger, start):
        wanted = spelled.get(spelling, "")
        if wanted and wanted not in found:
            line = _line_at(ledger, at)
            if line is not None and line.get("id") == wanted:
                _check(ledger, at, path, line)
                found[wanted] = line
    return found


def ids_from(ledger: Bytes, start: int, end: int = sys.maxsize) -> Iterator[tuple[bytes, int]]:
    """Yield the id of each line, as JSON, and the position of the line, between two positions where lines begin."""
    if (first := _LINE_BEGINS.match(ledger, start, end)) is not None:
        yield first[1], start
    for match in _NEXT_LINE.finditer(ledger, start, end):
        yield match[1], match.start() + 1


def _check(ledger: Bytes, at: int, path: Path, line: Line) -> None:
    start, end = at, ledger.find(b"\n", at) + 1
    before = bytes(ledger[max(0, start - ENDING_BYTES) : start])
    problem = problem_of(bytes(ledger[start:end]), before, str(line.get("workflow_id")))
    if problem is not None:
        raise DamagedLedger(path, line.get("seq", 1), start, problem)


def runs_of(ledger: Bytes) -> Runs:
    """Return the current run of a ledger."""
    runs = Runs()
    for at in _lines_with(ledger, b'"type":"workflow_'):
        begins = _LINE_BEGINS.match(ledger, at)
        line = _line_at(ledger, at) if begins is None or begins[2].startswith(b"workflow_") else None
        if line is not None and line.get("type") in LIFECYCLE_TYPES and isinstance(line.get("run"), int):
            runs = runs.after(line["type"], line["run"])
    return runs


def _lines_with(ledger: Bytes, text: bytes, start: int = 0) -> Iterator[int]:
    """Yield the position of each line that contains a text, once even if the fields of a caller repeat it."""
    at = ledger.find(text, start)
    while at >= 0:
        yield ledger.rfind(b"\n", 0, at) + 1
        end = ledger.find(b"\n", at)
        at = ledger.find(text, end) if end >= 0 else -1


def _line_at(ledger: Bytes, at: int) -> Line | None:
    """Return the line at a position."""
    end = ledger.find(b"\n", at)
    try:
        line = orjson.loads(ledger[at : end if end >= 0 else None])
    except orjson.JSONDecodeError:
        return None
    return line if isinstance(line, dict) else None


def with_runs(tail: Tail, ledger: Callable[[], Bytes]) -> Tail:
    """Return a tail with its runs."""
    return tail if tail.runs is not None else tail._replace(runs=runs_of(ledger()) if tail.head.seq else Runs())

"""The end of a ledger, and what comes next: the pure part of an append.

Given where a ledger ends, `compose` decides for each event whether it is there already, contradicts what is
there, or becomes the next line. It knows no file; the journal and the in-memory store share it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from mmap import mmap
from pathlib import Path
from typing import Any, Final

import orjson

from ledger.errors import ConflictingEvent, DamagedLedger, LedgerMoved
from ledger.events.event import LEDGER_OPENED, LIFECYCLE_TYPES, Event, Line
from ledger.events.runs import Runs
from ledger.storage.line import EMPTY, HASH_CHARACTERS, Draft, Head, following, problem_of, seed

__all__ = ["Bytes", "Composed", "Receipt", "Tail", "compose", "drafts", "find", "ids_from", "runs_of", "with_runs"]

Bytes = bytes | bytearray | mmap

_SEARCHED_ONE_BY_ONE_MAX: Final = 8
"""Ids looked up by a scan each; above it one pass collects every id (measured: about the same at eight)."""

_BEGINS: Final = rb'\{"v":[0-9]+,"seq":[0-9]+,"id":("(?:[^"\\\n]|\\[^\n])*"),"type":"'
_LINE_BEGINS: Final = re.compile(_BEGINS + rb"([a-z_]*)")
"""How a line that we write begins; its groups are the id, as JSON, and the type."""

_NEXT_LINE: Final = re.compile(rb"\n" + _BEGINS)
"""The end of a line and the beginning of the next, up to its type; its first group is the id, as JSON.

What a caller's own fields hold looks like this nowhere: a line holds no other newline.
"""


@dataclass(frozen=True, slots=True)
class Receipt:
    """An event is in its ledger.

    Attributes:
        duplicate: it was there before this append.
        durability: "always" (it was synced before this receipt was made), "batch" (it will be by the next
            `flush`) or "none" (whenever the operating system likes).
    """

    workflow_id: str
    id: str
    seq: int
    hash: str
    duplicate: bool
    durability: str


@dataclass(frozen=True, slots=True)
class Tail:
    """Where a ledger ends.

    Attributes:
        recorded_at: of the last line; "" when there is none.
        runs: None when nobody has looked yet.
    """

    head: Head = EMPTY
    recorded_at: str = ""
    runs: Runs | None = None


@dataclass(frozen=True, slots=True)
class Composed:
    """What an append comes to: the lines to write, one receipt per event, and the tail after them."""

    lines: list[bytes]
    receipts: list[Receipt]
    tail: Tail


def drafts(events: Sequence[Event]) -> list[Draft]:
    """Events made ready, each with its id.

    Raises:
        InvalidEvent: a line would be too long, or an unknown field is not plain JSON.
    """
    return [
        Draft(
            event,
            event.id or os.urandom(16).hex(),
            needs_run=event.type in LIFECYCLE_TYPES and "run" not in event.fields,
        )
        for event in events
    ]


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
    """The lines that a batch of one workflow's events adds to a ledger; an empty batch only opens it.

    Args:
        tail: its `runs` must be known when a draft needs a run.
        found: lines of the ledger by those of the batch's ids that it holds.
        now: the clock's reading in the ledger's spelling; a line is never dated before the one above it.

    Raises:
        LedgerMoved: the ledger is not at `expected_seq` and holds nothing of this batch from an earlier attempt.
        ConflictingEvent: an id is taken by other content.
    """
    again = any(draft.written and draft.id in found for draft in batch)
    if expected_seq is not None and expected_seq != tail.head.seq and not again:
        raise LedgerMoved(workflow_id, expected_seq, tail.head.seq)
    recorded_at, runs = max(now, tail.recorded_at), tail.runs or Runs()
    seq, digits = tail.head.seq, tail.head.hash
    written: dict[str, tuple[Draft, int, str, int | None]] = {}
    lines: list[bytes] = []
    receipts: list[Receipt] = []
    if seq == 0:
        named, seq = origin(), 1
        raw, digits = _opening(workflow_id, named).encode(seq, recorded_at, seed(workflow_id, named))
        lines.append(raw)
    for draft in batch:
        line = found.get(draft.id)
        if line is None and draft.id in written:
            line = _told(*written[draft.id])
        if line is not None:
            if different := draft.differences(line):
                raise ConflictingEvent(workflow_id, draft.id, line["seq"], different)
            duplicate = not (draft.written and draft.id in found)
            receipts.append(Receipt(workflow_id, draft.id, line["seq"], line["hash"], duplicate, durability))
            continue
        run = runs.next_run(draft.event.type) if draft.needs_run else None
        seq += 1
        raw, digits = draft.encode(seq, recorded_at, following(digits), run)
        lines.append(raw)
        written[draft.id] = (draft, seq, digits, run)
        if draft.event.type in LIFECYCLE_TYPES:
            runs = runs.after(draft.event.type, run or draft.event.fields["run"])
        receipts.append(Receipt(workflow_id, draft.id, seq, digits, duplicate=False, durability=durability))
    if not lines:
        return Composed(lines, receipts, tail)
    head = Head(seq, tail.head.size + sum(map(len, lines)), digits)
    return Composed(lines, receipts, Tail(head, recorded_at, None if tail.runs is None else runs))


def _opening(workflow_id: str, origin: str) -> Draft:
    opened = Event(workflow_id, LEDGER_OPENED, {"format": 1, "origin": origin})
    return Draft(opened, os.urandom(16).hex(), needs_run=False)


def _told(draft: Draft, seq: int, digits: str, run: int | None) -> Line:
    """What the ledger now says under this id, for a repetition within the same batch."""
    given: dict[str, Any] = orjson.loads(orjson.dumps(dict(draft.event.fields), default=float))
    return given | {"type": draft.event.type, "seq": seq, "hash": digits} | ({} if run is None else {"run": run})


def find(ledger: Bytes, ids: Collection[str], path: Path, start: int = 0) -> dict[str, Line]:
    """The lines of a ledger, from the one that begins at `start`, that carry one of these ids; each id's first one.

    Each is proven against the line before it: a receipt may follow, and what does not verify is nothing to vouch for.

    Raises:
        DamagedLedger: one does not verify.
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
    """Each line's id, as JSON, and where the line begins, of the lines between two places where lines begin."""
    if (first := _LINE_BEGINS.match(ledger, start, end)) is not None:
        yield first[1], start
    for match in _NEXT_LINE.finditer(ledger, start, end):
        yield match[1], match.start() + 1


def _check(ledger: Bytes, at: int, path: Path, line: Line) -> None:
    start, end = at, ledger.find(b"\n", at) + 1
    before = bytes(ledger[max(0, start - HASH_CHARACTERS - 3) : start])
    problem = problem_of(bytes(ledger[start:end]), before, str(line.get("workflow_id")))
    if problem is not None:
        raise DamagedLedger(path, line.get("seq", 1), start, problem)


def runs_of(ledger: Bytes) -> Runs:
    """Which run a ledger is in."""
    runs = Runs()
    for at in _lines_with(ledger, b'"type":"workflow_'):
        begins = _LINE_BEGINS.match(ledger, at)
        line = _line_at(ledger, at) if begins is None or begins[2].startswith(b"workflow_") else None
        if line is not None and line.get("type") in LIFECYCLE_TYPES and isinstance(line.get("run"), int):
            runs = runs.after(line["type"], line["run"])
    return runs


def _lines_with(ledger: Bytes, text: bytes, start: int = 0) -> Iterator[int]:
    """Where each line begins that holds a text, once however often it does: a caller's own fields may be full of it."""
    at = ledger.find(text, start)
    while at >= 0:
        yield ledger.rfind(b"\n", 0, at) + 1
        end = ledger.find(b"\n", at)
        at = ledger.find(text, end) if end >= 0 else -1


def _line_at(ledger: Bytes, at: int) -> Line | None:
    """The line that begins there."""
    end = ledger.find(b"\n", at)
    try:
        line = orjson.loads(ledger[at : end if end >= 0 else None])
    except orjson.JSONDecodeError:
        return None
    return line if isinstance(line, dict) else None


def with_runs(tail: Tail, ledger: Callable[[], Bytes]) -> Tail:
    """The tail with its runs known."""
    return tail if tail.runs is not None else replace(tail, runs=runs_of(ledger()) if tail.head.seq else Runs())

"""A ledger line: its bytes, and the hash that chains it to the line before (`FORMAT.md` is the specification).

    {"v":1,"seq":N,"id":"…","type":"…","workflow_id":"…","recorded_at":"…", … ,"hash":"<64 hex>"}\n

The hash covers the file's raw bytes from the first digit of the previous line's hash up to and including this
line's `,"hash":"`; the first line's covers a fixed text with the workflow id and the origin instead.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

import orjson

from ledger.errors import InvalidEvent
from ledger.events.event import FORMAT_VERSION, LEDGER_OPENED, Event, Line

__all__ = [
    "EMPTY",
    "HASH_CHARACTERS",
    "LINE_BYTES_MAX",
    "Draft",
    "Head",
    "chain_hash",
    "following",
    "is_hash",
    "problem_of",
    "seed",
    "seeded_by",
]

LINE_BYTES_MAX: Final = 256 * 1024
"""So that a reader's memory, and what a torn write can leave, are bounded."""

HASH_CHARACTERS: Final = 64
_BEFORE_HASH: Final = b',"hash":"'
_AFTER_HASH: Final = b'"}\n'
_TRAILER_BYTES: Final = len(_BEFORE_HASH) + HASH_CHARACTERS + len(_AFTER_HASH)
_HASH = re.compile(rb"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class Head:
    """How far: the last line's `seq` and `hash`, and the ledger's size in bytes up to and including it."""

    seq: int
    size: int
    hash: str


EMPTY: Final = Head(0, 0, "")
"""The head of a ledger that has no line yet."""


def seed(workflow_id: str, origin: str) -> bytes:
    """What stands before the first line when its hash is taken."""
    return f"costledger/{FORMAT_VERSION} {workflow_id} {origin}\n".encode()


def chain_hash(before: bytes, body: bytes) -> str:
    """The hash of a line.

    Args:
        before: the raw bytes from the previous line's first hash digit to its end, or the `seed`.
        body: the line's raw bytes up to and including `,"hash":"`.
    """
    digest = hashlib.sha256(before)
    digest.update(body)
    return digest.hexdigest()


def is_hash(digits: bytes) -> bool:
    return _HASH.match(digits) is not None


def seeded_by(body: bytes, workflow_id: str) -> bytes | None:
    """The seed that a first line calls for, or None when it is not a `ledger_opened` of this workflow."""
    try:
        line = orjson.loads(body[: -len(_BEFORE_HASH)] + b"}")
    except orjson.JSONDecodeError:
        return None
    if not isinstance(line, dict) or (line.get("type"), line.get("workflow_id")) != (LEDGER_OPENED, workflow_id):
        return None
    if not isinstance(line.get("origin"), str):
        return None
    return seed(workflow_id, line["origin"])


def problem_of(raw: bytes, before: bytes, workflow_id: str) -> str | None:
    """What is wrong with a line's bytes, or None.

    Args:
        raw: the whole line with its newline.
        before: the previous line's bytes from its first hash digit on; empty for the first line.
    """
    if len(raw) > LINE_BYTES_MAX:
        return f"a line of {len(raw):,} bytes, and none may be above {LINE_BYTES_MAX:,}"
    body, digits = raw[: -(_TRAILER_BYTES - len(_BEFORE_HASH))], raw[-HASH_CHARACTERS - 3 : -3]
    if not (body.endswith(_BEFORE_HASH) and raw.endswith(_AFTER_HASH) and is_hash(digits)):
        return "is not a ledger line: it does not end with its hash"
    start = before or seeded_by(body, workflow_id)
    if start is None:
        return f"is not the opening line of ledger {workflow_id!r}"
    if chain_hash(start, body) != digits.decode():
        return "its hash does not fit its bytes and the line before it"
    return None


class Draft:
    """An event made ready to become a line; everything but `seq`, `run`, `recorded_at` and `hash` is decided.

    Attributes:
        id: the caller's id, or one made here, before any retry.
        search: the id may stand in the ledger already.
        needs_run: a lifecycle event whose run the ledger decides.
        written: this very draft was written by an earlier attempt of the same append.
    """

    __slots__ = ("_opening", "_rest", "event", "id", "id_json", "needs_run", "search", "written")

    def __init__(self, event: Event, made_id: str, *, needs_run: bool) -> None:
        self.event = event
        given = event.id
        self.search = given is not None
        self.id = given or made_id
        self.written = False
        self.needs_run = needs_run
        rest = dict(event.fields)
        rest.pop("id", None)
        if (source := rest.pop("source", None)) is not None:
            rest["source"] = source  # it stands last
        self.id_json = orjson.dumps(self.id)
        self._opening = b',"id":%b,"type":%b,"workflow_id":%b,"recorded_at":"' % (
            self.id_json,
            orjson.dumps(event.type),
            orjson.dumps(event.workflow_id),
        )
        self._rest = b",%b" % _members(rest) if rest else b""
        if len(self._opening) + len(self._rest) > LINE_BYTES_MAX - 256:
            raise InvalidEvent("(the event)", f"its line would be above the limit of {LINE_BYTES_MAX:,} bytes")

    def encode(self, seq: int, recorded_at: str, before: bytes, run: int | None = None) -> tuple[bytes, str]:
        """The line's bytes and its hash, following `before` (see `chain_hash`)."""
        body = b'{"v":%d,"seq":%d%b%b"%b%b%b' % (
            FORMAT_VERSION,
            seq,
            self._opening,
            recorded_at.encode(),
            b"" if run is None else b',"run":%d' % run,
            self._rest,
            _BEFORE_HASH,
        )
        digits = chain_hash(before, body)
        return b"%b%b%b" % (body, digits.encode(), _AFTER_HASH), digits

    def differences(self, line: Line) -> list[str]:
        """The fields in which a line of the same id says something else than this event.

        Only what the caller gave counts: not the place it was read from, and nothing derived.
        """
        given = {n: v for n, v in self.event.fields.items() if n != "source" and n not in self.event.derived}
        told: Line = orjson.loads(b"{%b}" % _members(given))
        different = [name for name, value in told.items() if line.get(name) != value]
        return (["type"] if line.get("type") != self.event.type else []) + different


def following(digits: str) -> bytes:
    """What stands before the next line when its hash is taken: this line's hash and its end."""
    return digits.encode() + _AFTER_HASH


def _members(fields: Line) -> bytes:
    """`"name":value` pairs without the braces."""
    try:
        return orjson.dumps(fields, default=float)[1:-1]
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidEvent("(a field this version does not know)", f"is not plain JSON: {error}") from None

"""A ledger line: its bytes, and the hash that chains it to the line before (`FORMAT.md` is the specification).

    {"v":1,"seq":N,"id":"…","type":"…","workflow_id":"…","recorded_at":"…", … ,"hash":"<64 hex>"}\n

The hash covers the file's raw bytes from the first digit of the previous line's hash up to and including this
line's `,"hash":"`; the first line's covers a fixed text with the workflow id and the origin instead. Only this module
knows the position of the hash in a line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

import orjson

from ledger.errors import InvalidEvent
from ledger.events.event import FORMAT_VERSION, LEDGER_OPENED, LIFECYCLE_TYPES, Event, Line

__all__ = [
    "EMPTY",
    "ENDING_BYTES",
    "LINE_BYTES_MAX",
    "Draft",
    "Head",
    "body_of",
    "chain_hash",
    "ending_of",
    "following",
    "hash_of",
    "possible_ends",
    "problem_of",
    "seed",
    "seeded_by",
]

LINE_BYTES_MAX: Final = 256 * 1024
"""A bound for the memory of a reader and for the remains of a torn write."""

_BEFORE_HASH: Final = b',"hash":"'
_AFTER_HASH: Final = b'"}\n'
ENDING_BYTES: Final = 64 + len(_AFTER_HASH)
"""The size of `ending_of` a line."""

_HASH: Final = re.compile(rb"[0-9a-f]{64}")
_POSSIBLE_END: Final = re.compile(rb'[0-9a-f]{64}"\}')


class Head(NamedTuple):
    """A position in a ledger: the `seq` and `hash` of a line, and the size in bytes of the ledger up to its end."""

    seq: int
    size: int
    hash: str


EMPTY: Final = Head(0, 0, "")
"""The head of a ledger that has no line yet."""


def body_of(raw: bytes) -> bytes:
    """Return the bytes of a line that its hash covers: up to and including `,"hash":"`."""
    return raw[:-ENDING_BYTES]


def ending_of(raw: bytes) -> bytes:
    """Return the end of a line from the first digit of its hash on, which the next line's hash covers."""
    return raw[-ENDING_BYTES:]


def hash_of(raw: bytes) -> str:
    """Return the hash in a line."""
    return raw[-ENDING_BYTES : -len(_AFTER_HASH)].decode("ascii", "replace")


def following(digits: str) -> bytes:
    """Return `ending_of` a line that has this hash."""
    return digits.encode() + _AFTER_HASH


def possible_ends(text: bytes, start: int, stop: int) -> Iterator[int]:
    """Yield the positions in a text, between two positions, where a line could end that lacks its newline."""
    return (match.end() for match in _POSSIBLE_END.finditer(text, start, stop))


def seed(workflow_id: str, origin: str) -> bytes:
    """Return the text that precedes the first line when its hash is computed."""
    return f"costledger/{FORMAT_VERSION} {workflow_id} {origin}\n".encode()


def chain_hash(before: bytes, body: bytes) -> str:
    """Return the hash of a line.

    Args:
        before: `ending_of` the previous line, or the `seed`.
        body: `body_of` the line.
    """
    return hashlib.sha256(before + body).hexdigest()


def seeded_by(body: bytes, workflow_id: str) -> bytes | None:
    """Return the seed of a first line by its body; None when it is not a `ledger_opened` of this workflow."""
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
    """Return what is wrong with the bytes of a line; None for a line that verifies.

    Args:
        raw: the whole line with its newline.
        before: `ending_of` the previous line; empty for the first line.
    """
    if len(raw) > LINE_BYTES_MAX:
        return f"a line of {len(raw):,} bytes, and none may be above {LINE_BYTES_MAX:,}"
    body, digits = body_of(raw), raw[-ENDING_BYTES : -len(_AFTER_HASH)]
    if not (body.endswith(_BEFORE_HASH) and raw.endswith(_AFTER_HASH) and _HASH.fullmatch(digits)):
        return "is not a ledger line: it does not end with its hash"
    start = before or seeded_by(body, workflow_id)
    if start is None:
        return f"is not the opening line of ledger {workflow_id!r}"
    if chain_hash(start, body) != digits.decode():
        return "its hash does not fit its bytes and the line before it"
    return None


class Draft:
    """An event prepared to become a line; only `seq`, `run`, `recorded_at` and `hash` are open.

    Attributes:
        id: the caller's id, or one made here, before any retry.
        search: the ledger may already contain the id.
        needs_run: a lifecycle event whose run the ledger decides.
        written: an earlier attempt of the same append has written this draft.
    """

    __slots__ = ("_opening", "_rest", "event", "id", "needs_run", "search", "written")

    def __init__(self, event: Event, made_id: str) -> None:
        self.event, self.written = event, False
        self.needs_run = event.type in LIFECYCLE_TYPES and "run" not in event.fields
        rest = event.fields.copy()
        given = rest.pop("id", None)
        self.search, self.id = given is not None, given or made_id
        if (source := rest.pop("source", None)) is not None:
            rest["source"] = source  # the last field before the hash
        self._opening = _members({"id": self.id, "type": event.type, "workflow_id": event.workflow_id})
        self._rest = b",%b" % _members(rest) if rest else b""
        if len(self._opening) + len(self._rest) > LINE_BYTES_MAX - 256:
            raise InvalidEvent("(the event)", f"its line would be above the limit of {LINE_BYTES_MAX:,} bytes")

    def encode(self, seq: int, recorded_at: str, before: bytes, run: int | None = None) -> tuple[bytes, str]:
        """Return the bytes of the line after `before` (see `chain_hash`), and its hash."""
        body = b'{"v":%d,"seq":%d,%b,"recorded_at":"%b"%b%b%b' % (
            FORMAT_VERSION,
            seq,
            self._opening,
            recorded_at.encode(),
            b"" if run is None else b',"run":%d' % run,
            self._rest,
            _BEFORE_HASH,
        )
        digits = hashlib.sha256(before + body).hexdigest()
        return body + digits.encode() + _AFTER_HASH, digits

    def differences(self, line: Line) -> list[str]:
        """Return the fields in which a line of the same id differs from this event.

        Only what the caller gave counts: not the `source`, and nothing derived.
        """
        given = {n: v for n, v in self.event.fields.items() if n != "source" and n not in self.event.derived}
        own: Line = orjson.loads(b"{%b}" % _members(given))
        different = [name for name, value in own.items() if line.get(name) != value]
        return (["type"] if line.get("type") != self.event.type else []) + different


def _members(fields: Line) -> bytes:
    """Return `"name":value` pairs without the braces."""
    try:
        return orjson.dumps(fields, default=float)[1:-1]
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidEvent("(a field this version does not know)", f"is not plain JSON: {error}") from None

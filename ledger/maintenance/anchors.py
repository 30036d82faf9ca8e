"""Anchors: one line that proves a whole data directory, to be stored where its writers have no access.

A chain shows every change before its last line, but not that whole lines were cut from its end. An anchor has the
number of ledgers and events, and a root: the SHA-256 over the sorted heads of all ledgers. The heads themselves are in
the data directory, in `anchors/<root>`; the root proves them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ledger.errors import CostledgerError, InvalidAnchor, InvalidInput, LedgerUnavailable, reason
from ledger.events import timestamps as clocks
from ledger.events.timestamps import Clock
from ledger.storage.atomic_files import write_whole
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.line import Head

__all__ = ["Anchor", "anchor", "anchors_in", "broken"]

_LINE = re.compile(
    r"costledger-anchor/1 (?P<origin>[0-9a-f]+) (?P<moment>\S+Z) ledgers=(?P<ledgers>\d+) events=(?P<events>\d+) "
    r"sha256:(?P<root>[0-9a-f]{64})\Z"
)
_HEAD = re.compile(r"(\S+) (\d+) (\d+) ([0-9a-f]{64})\Z")


@dataclass(frozen=True, slots=True)
class Anchor:
    """The contents of a data directory at a moment."""

    origin: str
    moment: str
    ledgers: int
    events: int
    root: str

    def __str__(self) -> str:
        counts = f"ledgers={self.ledgers} events={self.events}"
        return f"costledger-anchor/1 {self.origin} {self.moment} {counts} sha256:{self.root}"


def anchor(store: DirectoryStore, *, clock: Clock = clocks.now) -> Anchor:
    """Verify every ledger of a data directory, record the heads, and return the anchor of them all.

    Raises:
        DamagedLedger, LedgerUnavailable: a ledger does not verify; nothing is anchored.
        InvalidInput: there is no such data directory, and none is made.
    """
    if not store.path.is_dir():
        raise InvalidInput(f"{store.path} is no data directory; name it with --data")
    heads = list(_heads(store))
    text = "".join(f"{name} {head.seq} {head.size} {head.hash}\n" for name, head in heads).encode()
    root = sha256(text).hexdigest()
    path = _path(store, root)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    except OSError as error:
        raise LedgerUnavailable(path, "write", error) from error
    events = sum(head.seq for _, head in heads)
    return Anchor(store.origin, clocks.to_wire(clock()), len(heads), events, root)


def _heads(store: DirectoryStore) -> Iterator[tuple[str, Head]]:
    for name in store.workflow_ids():
        if store.size(name) is not None:
            reader = store.read(name)
            for _ in reader.chunks():
                pass
            yield name, reader.head


def _path(store: DirectoryStore, root: str) -> Path:
    return store.path / "anchors" / root


def anchors_in(text: str) -> list[Anchor]:
    """Return the anchors of a text, one per line, without empty lines and lines that begin with `#`.

    Raises:
        InvalidAnchor: a line is not an anchor, or there is no anchor.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            match = _LINE.match(line.strip())
            if match is None:
                raise InvalidAnchor(number)
            counts = {name: int(match[name]) for name in ("ledgers", "events")}
            found.append(Anchor(match["origin"], match["moment"], counts["ledgers"], counts["events"], match["root"]))
    if not found:
        raise InvalidAnchor(0)
    return found


def broken(store: DirectoryStore, expected: Anchor) -> Iterator[tuple[str, str]]:
    """Yield the ledgers that lost or changed what they contained when an anchor was made, each with what is wrong.

    Only the line at each anchored head is compared; the chain proves all lines before it.
    """
    if expected.origin != store.origin:
        renewed = (
            "; its origin was renewed since, and anchors of the old one are not valid" if _was(store, expected) else ""
        )
        yield "(all)", f"the anchor is of data directory {expected.origin}, and this is {store.origin}{renewed}"
        return
    try:
        text = _path(store, expected.root).read_bytes()
    except OSError as error:
        yield "(all)", f"the heads of the anchor of {expected.moment} cannot be read: {reason(error)}"
        return
    if sha256(text).hexdigest() != expected.root:
        yield "(all)", f"the heads of the anchor of {expected.moment} were changed"
        return
    for name, head in _parsed(text.decode().splitlines()):
        try:
            store.read(name, checkpoint=head)
        except CostledgerError as error:
            yield name, str(error)


def _was(store: DirectoryStore, expected: Anchor) -> bool:
    """Return whether a ledger had the origin of the anchor before a renewal."""
    text = f'"origin":"{expected.origin}"'
    firsts = (next(iter(store.read(name).raw_lines()), b"") for name in store.workflow_ids() if store.size(name))
    try:
        return any(text in first.decode() for first in firsts)
    except CostledgerError:
        return False


def _parsed(lines: Iterable[str]) -> Iterator[tuple[str, Head]]:
    for line in lines:
        if match := _HEAD.match(line):
            yield match[1], Head(int(match[2]), int(match[3]), match[4])

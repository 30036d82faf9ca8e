"""Anchors: one line that vouches for a whole data directory, to be kept where its writers cannot reach.

A chain shows every change before its last line, but not that whole lines were cut from its end. An anchor names how
many ledgers and events there were, and a root: the SHA-256 over the sorted heads of all ledgers. The heads themselves
stay in the data directory, `anchors/<root>`, and are believed because they hash to the root.
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
    """What a data directory held at a moment."""

    origin: str
    moment: str
    ledgers: int
    events: int
    root: str

    def __str__(self) -> str:
        counts = f"ledgers={self.ledgers} events={self.events}"
        return f"costledger-anchor/1 {self.origin} {self.moment} {counts} sha256:{self.root}"


def anchor(store: DirectoryStore, *, clock: Clock = clocks.now) -> Anchor:
    """Anchor a data directory: every ledger is verified, its head written down, and the whole summed up in one line.

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
    """The anchors of a text, one per line; empty lines and lines that begin with `#` are left out.

    Raises:
        InvalidAnchor: another line is none, or there is none at all.
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


def broken(store: DirectoryStore, kept: Anchor) -> Iterator[tuple[str, str]]:
    """Ledgers that do not hold any more what they held when this anchor was made, each with what is wrong.

    It compares the line at each anchored head; that all before it is unchanged is the chain's to prove.
    """
    if kept.origin != store.origin:
        renewed = "; its origin was renewed since, and anchors of the old one do not hold" if _was(store, kept) else ""
        yield "(all)", f"the anchor is of data directory {kept.origin}, and this is {store.origin}{renewed}"
        return
    try:
        text = _path(store, kept.root).read_bytes()
    except OSError as error:
        yield "(all)", f"the heads of the anchor of {kept.moment} cannot be read: {reason(error)}"
        return
    if sha256(text).hexdigest() != kept.root:
        yield "(all)", f"the heads of the anchor of {kept.moment} were changed"
        return
    for name, head in _parsed(text.decode().splitlines()):
        try:
            store.read(name, checkpoint=head)
        except CostledgerError as error:
            yield name, str(error)


def _was(store: DirectoryStore, kept: Anchor) -> bool:
    """Whether a ledger says that it was of the anchor's origin before a renewal."""
    text = f'"origin":"{kept.origin}"'
    firsts = (next(iter(store.read(name).raw_lines()), b"") for name in store.workflow_ids() if store.size(name))
    try:
        return any(text in first.decode() for first in firsts)
    except CostledgerError:
        return False


def _parsed(lines: Iterable[str]) -> Iterator[tuple[str, Head]]:
    for line in lines:
        if match := _HEAD.match(line):
            yield match[1], Head(int(match[2]), int(match[3]), match[4])

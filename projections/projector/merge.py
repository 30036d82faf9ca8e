"""One workflow's row from the chains of all its origins.

Lines are folded in the order `(recorded_at, origin, seq)`; an id counts once across origins; each line's seq is then
its number in that order, so that one origin's row is the one of its own ledger, byte for byte. No file, no network.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from hashlib import sha256
from operator import itemgetter
from typing import Final

import orjson

from ledger.errors import CostledgerError, Diverged
from ledger.events.event import Line
from ledger.replication.chain import Chain
from ledger.storage.line import EMPTY, Head, hash_of
from projections.folding.fold import State, fold, initial
from projections.folding.projection import Projected, projected

__all__ = ["Merge", "merged_head"]

Key = tuple[str, str, int]
"""Recorded_at, origin and seq: the order of a line among those of all origins."""

_KEY: Final = itemgetter(0)


def merged_head(heads: Mapping[str, Head], events: int) -> Head:
    """Return the head of a row that was folded from these chains; of one origin it is that ledger's own head.

    Args:
        events: the number of events folded from all of them.
    """
    if len(heads) == 1:
        return next(iter(heads.values()))
    text = "".join(f"{origin} {head.seq} {head.hash}\n" for origin, head in sorted(heads.items()))
    return Head(events, sum(head.size for head in heads.values()), sha256(text.encode()).hexdigest())


class Merge:
    """The chains of one workflow, each verified line by line, and the state they fold to.

    Attributes:
        incomplete: a second origin came, and the lines of the first were not retained: give all of them to a new
            `Merge` that retains them.

    Args:
        retains_lines: several origins need it, since a line may belong before others.
    """

    def __init__(self, workflow_id: str, *, retains_lines: bool = False) -> None:
        self.workflow_id = workflow_id
        self.incomplete = False
        self._chains: dict[str, Chain] = {}
        self._stopped: dict[str, str] = {}
        self._gaps: set[str] = set()  # origins that stopped because lines are missing
        self._expected: dict[str, Head] = {}
        self._lines: list[tuple[Key, Line]] | None = [] if retains_lines else None
        self._reset()

    def _reset(self) -> None:
        """Return to the state before the first line."""
        self._state: State = initial(self.workflow_id)
        self._failure: CostledgerError | None = None
        self._folded = 0  # of the retained lines, in their order
        self._ids: dict[str, str] = {}

    def expect(self, origin: str, head: Head) -> None:
        """Set how far a chain is in the rows already; until it is that far again, the rows are not replaced."""
        self._expected[origin] = head
        self._chains[origin] = Chain(self.workflow_id, origin)

    @property
    def lags(self) -> bool:
        """Whether a chain does not reach its expected head."""
        return any(self._lacks(origin) for origin in self._expected)

    def reached(self, origin: str) -> bool:
        """Return whether a chain has reached its expected head."""
        return not self._lacks(origin)

    def _lacks(self, origin: str) -> bool:
        return self._chains[origin].head.seq < self._expected[origin].seq

    @property
    def heads(self) -> dict[str, Head]:
        """The head of each chain, reached or expected, by origin; `EMPTY` when its first line was invalid."""
        heads = {origin: chain.head for origin, chain in self._chains.items()}
        return heads | {origin: head for origin, head in self._expected.items() if self._lacks(origin)}

    @property
    def problems(self) -> dict[str, str]:
        """By origin, why its chain does not continue; the next valid line clears that."""
        lost = {origin: self._chains[origin].head.seq + 1 for origin in self._expected if self._lacks(origin)}
        why = "lines from seq {} on are in the rows, and the replica lost some of them"
        return self._stopped | {origin: why.format(seq) for origin, seq in lost.items()}

    @property
    def weight(self) -> int:
        """Roughly its memory, in kilobytes."""
        return 1 + self._state.tree.size + 2 * len(self._lines or ())

    def take(self, origin: str, raw: bytes) -> None:
        """Verify a line of a chain, and add it if it is the next one."""
        chain = self._chains.get(origin)
        if chain is None:
            chain = self._chains[origin] = Chain(self.workflow_id, origin)
        expected = self._expected.get(origin)
        try:
            taken = chain.take(raw)
            if expected is not None and chain.head.seq == expected.seq and chain.head != expected:
                chain.head = EMPTY
                raise Diverged(self.workflow_id, origin, expected.seq, "is another line than the one in the rows")
        except Diverged as error:
            self._stopped[origin] = str(error)
            return
        if taken == "early":
            self._stopped[origin] = f"the line at seq {chain.head.seq + 1} is missing, and later ones are there"
            self._gaps.add(origin)
        elif taken == "next":
            self._stopped.pop(origin, None)
            self._gaps.discard(origin)
            self._add(origin, orjson.loads(raw))
        elif origin not in self._gaps and hash_of(raw) == chain.head.hash:
            self._stopped.pop(origin, None)  # sent again up to its end, after the bad lines

    def _add(self, origin: str, line: Line) -> None:
        if self._lines is None:
            self.incomplete |= len(self._chains) > 1
            if not self.incomplete:
                self._fold(line)
            return
        key = (str(line.get("recorded_at")), origin, line["seq"])
        at = bisect_left(self._lines, key, key=_KEY)
        self._lines.insert(at, (key, line))
        if at < self._folded:
            self._reset()

    def lines(self) -> Iterator[tuple[Head, Line]]:
        """Yield all retained lines in the order they are folded in, an id once, with the row's head after each.

        A line's seq is its number in that order.
        """
        ids, heads = dict[str, str](), dict[str, Head]()
        events = 0
        for (_, origin, seq), line in self._lines or []:
            heads[origin] = Head(seq, 0, line["hash"])
            if ids.setdefault(str(line.get("id")), origin) == origin:
                events += 1
                yield merged_head(heads, events), line | {"seq": events}

    def projected(self) -> Projected:
        """Return the row of all lines so far.

        Raises:
            CostledgerError: a line cannot be folded.
        """
        for (_, origin, _), line in (self._lines or [])[self._folded :]:
            self._folded += 1
            if self._ids.setdefault(str(line.get("id")), origin) == origin:
                self._fold(line | {"seq": self._state.event_count + 1})
        if self._failure is not None:
            raise self._failure
        heads = {origin: head for origin, head in self.heads.items() if head.seq}
        head = merged_head(heads, self._state.event_count)
        return projected(self._state, head)

    def _fold(self, line: Line) -> None:
        """Fold a line; after one that cannot be folded, no more."""
        if self._failure is not None:
            return
        try:
            fold(self._state, line)
        except CostledgerError as error:
            self._failure = error

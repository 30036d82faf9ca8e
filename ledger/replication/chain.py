"""A chain: one origin's lines of one workflow, verified one by one as they come from a replica.

Pure: no file, no network. Lines that repeat are harmless, and so are lines that come too early: the sender repeats
everything from the first missing line on (`ledger/replication/replica.py`), so nothing has to be stored for later.
"""

from __future__ import annotations

from typing import Literal

import orjson

from ledger.errors import BrokenChain
from ledger.storage.line import EMPTY, Head, body_of, following, hash_of, problem_of, seed, seeded_by

__all__ = ["Chain", "Taken"]

Taken = Literal["next", "repeated", "early"]


class Chain:
    """The head of a chain, and the check whether a line extends it.

    Args:
        head: the last line so far; `size` counts the bytes of all lines up to it.
    """

    __slots__ = ("head", "origin", "workflow_id")

    def __init__(self, workflow_id: str, origin: str, head: Head = EMPTY) -> None:
        self.workflow_id, self.origin, self.head = workflow_id, origin, head

    def take(self, raw: bytes) -> Taken:
        """Judge a line; only "next" moves the head.

        Returns:
            "next": it extends the chain. "repeated": its seq is not above the head's. "early": lines between the head
            and this one are missing.

        Raises:
            BrokenChain: it should be the next, and is not.
        """
        seq = self._seq_of(raw)
        if seq <= self.head.seq:
            return "repeated"
        if seq > self.head.seq + 1:
            return "early"
        problem = problem_of(raw, following(self.head.hash) if self.head.seq else b"", self.workflow_id)
        if problem is None and seq == 1 and seeded_by(body_of(raw), self.workflow_id) != self._seed():
            problem = "it was opened by another origin"
        if problem is not None:
            raise BrokenChain(self.workflow_id, self.origin, seq, problem)
        self.head = Head(seq, self.head.size + len(raw), hash_of(raw))
        return "next"

    def _seq_of(self, raw: bytes) -> int:
        try:
            seq = orjson.loads(raw)["seq"]
        except (orjson.JSONDecodeError, TypeError, KeyError):
            seq = None
        if type(seq) is not int:
            raise BrokenChain(self.workflow_id, self.origin, self.head.seq + 1, "is not a ledger line")
        return seq

    def _seed(self) -> bytes:
        return seed(self.workflow_id, self.origin)

"""Codex's token counters: which lines of a rollout are calls, and what each call used. Pure.

A reading is a total, what a counter used so far, with the last call that brought it there. Several counters take turns
in one rollout, a sub-agent's between its parent's, and readings are repeated. So:

- a total that was read before is a repeat, whichever counter was read in between;
- a new total belongs to the counter that was at the total before its last call: it grew by that call;
- a total that is its own last call is a counter's first;
- any other belongs to the highest counter below it, and grew by the difference: readings between were lost. Without one
  below, a counter of another rollout was inherited, and only the last call is known.

Each reading is decided by those before it: a rollout that grew gives the same calls again, and more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ledger.providers.usage import disjoint

__all__ = ["CodexTokens", "Ended", "RolloutCounters"]

_MAX: Final = 2**63


class CodexTokens(NamedTuple):
    """Tokens as Codex counts them: cached ones and cache writes inside the input, reasoning inside the output."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_output_tokens: int = 0

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> CodexTokens:
        """Return the counts of a usage object of Codex.

        Raises:
            ValueError: one of them is no count.
        """
        counts = {bucket: given.get(bucket) or 0 for bucket in cls._fields}
        for bucket, count in counts.items():
            if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count < _MAX:
                raise ValueError(f"{bucket} is no count of tokens")
        return cls(**counts)

    def covers(self, other: CodexTokens) -> bool:
        """Return whether no count is below the other's."""
        return all(mine >= its for mine, its in zip(self, other, strict=True))

    def minus(self, other: CodexTokens) -> CodexTokens:
        """Return the difference, of counts that cover the other's."""
        return CodexTokens(*(mine - its for mine, its in zip(self, other, strict=True)))

    def usage(self) -> dict[str, int]:
        """Return these tokens in our disjoint buckets."""
        reads = min(self.cached_input_tokens, self.input_tokens)
        writes = min(self.cache_write_input_tokens, self.input_tokens - reads)
        return disjoint(self.input_tokens, writes, reads, self.output_tokens)


class Ended(NamedTuple):
    """A call that a line shows to have ended.

    Attributes:
        used: the tokens of the call.
        total: what its counter used so far.
        counter: which counter of the rollout, from 0; with the total it names the call.
    """

    used: CodexTokens
    total: CodexTokens
    counter: int


_ZERO: Final = CodexTokens()


@dataclass(slots=True)
class RolloutCounters:
    """The counters of one rollout, as far as it was read."""

    _at: dict[int, CodexTokens] = field(default_factory=dict)  # the counter that was read last is the last
    _count: int = 0
    _read: set[CodexTokens] = field(default_factory=set)
    _unrecorded: set[CodexTokens] = field(default_factory=set)  # totals whose call no record has named
    _responses: set[str] = field(default_factory=set)

    def read(self, total: CodexTokens, last: CodexTokens | None, *, inherited: bool = False) -> Ended | None:
        """Take a reading; return the call that it shows, None for a repeat.

        Args:
            last: the call that brought the counter there; None when the reading does not name it.
            inherited: the rollout is a fork's or a sub-agent's, whose counter may have started in another rollout.
        """
        if not self._at and inherited and last is not None:
            ended = self._set(None, total, CodexTokens(*map(min, total, last)))
        elif last is None or not total.covers(last):
            ended = self._grown(total)
        elif total in self._read:
            return None
        else:
            ended = self._called(total, last)
        self._read.add(total)
        if not any(ended.used):
            return None
        self._unrecorded.add(total)
        return ended

    def record(self, response_id: str, total: CodexTokens, used: CodexTokens) -> Ended | None:
        """Take the record of one response; return its call, None when that was counted before."""
        if response_id in self._responses:
            return None
        self._responses.add(response_id)
        if total in self._unrecorded:
            self._unrecorded.remove(total)
            return None
        ended = self._set(self._which(total.minus(used)) if total.covers(used) else None, total, used)
        self._read.add(total)
        return ended if any(used) else None

    def _called(self, total: CodexTokens, last: CodexTokens) -> Ended:
        """Move a counter to a new total, by its last call."""
        base = total.minus(last)
        if base in self._read or base == _ZERO:
            return self._set(self._which(base), total, last)
        if not self._at:
            return self._set(None, total, total)
        below = [(at, counter) for counter, at in self._at.items() if total.covers(at)]
        if not below:
            return self._set(None, total, last)
        at, counter = max(below)
        return self._set(counter, total, total.minus(at))

    def _grown(self, total: CodexTokens) -> Ended:
        """Move the newest counter to a total whose last call is unknown; a counter that fell started again."""
        newest = next(reversed(self._at), None)
        if newest is None or not total.covers(self._at[newest]):
            return self._set(None, total, total)
        return self._set(newest, total, total.minus(self._at[newest]))

    def _which(self, total: CodexTokens) -> int | None:
        return next((counter for counter, at in self._at.items() if at == total), None)

    def _set(self, counter: int | None, total: CodexTokens, used: CodexTokens) -> Ended:
        """Set a counter, or for None a new one, to a total."""
        if counter is None:
            counter, self._count = self._count, self._count + 1
        else:
            del self._at[counter]
        self._at[counter] = total
        return Ended(used, total, counter)

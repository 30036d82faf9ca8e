"""The totals that a client wrote into its transcripts, as what each session itself cost.

Claude Code's `cost-state` lines carry the session's total so far. It continues over resumed processes; a killed process
leaves no line, and the next one continues from the last that was written. A fork begins with its parent's total at that
moment and names no parent: its parent is the session whose messages its file copied, and what it carried over is the
total of the parent that leaves exactly the fork's own messages before its first line. Without such a total, because the
parent's file is missing or was read too early, the cost of the fork itself is unknown.

Pure: no file, no ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Final

from ledger.events import money
from ledger.importing.message_index import WrittenTotals
from ledger.sources.findings import Counter, Location, spelled
from ledger.sources.transcript import COPY, Extract, TranscriptMessage, WrittenTotal

__all__ = ["count_totals"]

_SERIES: Final = "cost-state"
_NOTHING: Final = (0, 0)
_TOKENS: Final = ("input_tokens", "cache_write_tokens", "cache_read_tokens", "output_tokens")


def count_totals(
    kind: str,
    files: Sequence[tuple[Path, Extract]],
    owners: Mapping[str, str | None],
    stored: MutableMapping[str, WrittenTotals],
    agent: str,
) -> list[Counter]:
    """Return a counter for the last total of each session, less what it carried over.

    Args:
        files: what was read, with at least one total each.
        owners: the session that each message belongs to, by message id.
        stored: totals that earlier imports read, by session; updated here.
        agent: the name of a session's own agent.
    """
    written: dict[str, tuple[Path, Extract, list[WrittenTotal]]] = {}
    for path, extract in files:
        for total in extract.totals:
            written.setdefault(total.session_id, (path, extract, []))[2].append(total)
    before = {session_id: totals.written[-1] for session_id, totals in stored.items() if totals.written}
    for session_id, (_, extract, totals) in written.items():
        recorded = stored.setdefault(session_id, WrittenTotals())
        if not extract.resumed:
            recorded.written, recorded.short = [], False
            before.pop(session_id, None)
        recorded.written += [(total.nanousd, total.tokens) for total in totals]
    counters: list[Counter] = []
    for session_id, (path, extract, totals) in written.items():
        recorded = stored[session_id]
        if recorded.base is None:
            recorded.base = _base(session_id, extract, totals[0], owners, stored, before.get(session_id))
        if recorded.base is not None:
            recorded.short = recorded.short or _is_short(
                session_id, extract, totals, owners, before.get(session_id, recorded.base)
            )
            counters += _counters(kind, path, totals, recorded, agent)
    return counters


def _base(
    session_id: str,
    extract: Extract,
    first: WrittenTotal,
    owners: Mapping[str, str | None],
    stored: Mapping[str, WrittenTotals],
    before: tuple[int, int] | None,
) -> tuple[int, int] | None:
    """What a session carried over from the one that it was forked from; None when that is unknown."""
    if before is not None:
        return None  # its beginning was read by an import that had no total of the parent
    parents = {
        owner for message in extract.messages if (owner := owners.get(message.message_id)) not in (session_id, None)
    }
    if not parents and not extract.forked:
        return _NOTHING
    room = first.tokens - _own_tokens(session_id, extract.messages, owners, 0, first.line)
    if room <= 0:
        return _NOTHING
    offered = (total for parent in parents if parent in stored for total in stored[parent].written)
    return next((total for total in offered if total[1] == room), None)


def _is_short(
    session_id: str,
    extract: Extract,
    totals: Sequence[WrittenTotal],
    owners: Mapping[str, str | None],
    before: tuple[int, int],
) -> bool:
    """Whether some total leaves out messages that were written before it: those of a process that was killed."""
    line, tokens = 0, before[1]
    for total in totals:
        if _own_tokens(session_id, extract.messages, owners, line, total.line) > total.tokens - tokens:
            return True
        line, tokens = total.line, total.tokens
    return False


def _own_tokens(
    session_id: str, messages: Iterable[TranscriptMessage], owners: Mapping[str, str | None], after: int, before: int
) -> int:
    """The tokens of a session's own messages between two lines of its file."""
    return sum(
        each.usage.get(bucket, 0)
        for each in messages
        if after < each.line < before and each.copied < COPY and owners.get(each.message_id) == session_id
        for bucket in _TOKENS
    )


def _counters(
    kind: str, path: Path, totals: Sequence[WrittenTotal], recorded: WrittenTotals, agent: str
) -> Iterable[Counter]:
    last = max(totals, key=lambda total: total.nanousd)
    base, location = recorded.base or _NOTHING, Location(spelled(path), last.line)
    parts = [(model, nanousd, usage) for model, nanousd, usage in last.models if base == _NOTHING]
    for model, nanousd, usage in (*parts, (None, max(0, last.nanousd - base[0]), None)):
        yield Counter(
            kind,
            _SERIES,
            model,
            usage,
            location,
            agent,
            last.session_id,
            money.to_wire(nanousd),
            last.at or None,
            partial=recorded.short or last.partial,
            client=True,
        )

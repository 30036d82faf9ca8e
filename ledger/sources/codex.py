"""Codex CLI's rollouts: `sessions/YYYY/MM/DD/rollout-….jsonl` and `archived_sessions/…` below CODEX_HOME.

Observed in 30 rollouts of public repositories, written by versions 0.53 to 0.147:

- `token_count` events carry `total_token_usage`, cumulative over the session, are repeated, and may have no `info`;
  a call is what the total grew by; a total that fell is a counter that started again from zero;
- `input_tokens` include cached ones, `output_tokens` include reasoning;
- the model is the one of the last `turn_context`, the service tier the one of the last `thread_settings_applied`;
- a fork begins with a copy of its parent's lines, re-stamped with the fork's own times, the parent's `session_meta`
  among them: the same totals of the same lineage are the same calls.

Nothing names a call. Its id is made from the first session of its lineage and the totals after it. A fork whose rollout
lacks its ancestors' `session_meta` knows its parent only: if that is a fork too, its part is not recognised.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from ledger.errors import InvalidEvent, shown
from ledger.events import check_name
from ledger.sources.findings import Begun, Skipped, digest
from ledger.sources.transcript import BEGINNING, Extract, Lines, Mark, Seen, files_below, moment, name
from ledger.sources.unknown import Unknown, tells_usage
from ledger.usage import usage_of

__all__ = ["CodexRollouts"]

_FOLDERS: Final = ("sessions", "archived_sessions")
_LOOKED_AT_MAX: Final = 3
_WITHOUT_USAGE: Final = ("session_meta", "turn_context", "response_item", "compacted")
"""Kinds of lines that hold what was said and set, whatever that looks like."""
_LINEAGE_MAX: Final = 1000
_STANDARD: Final = frozenset({"default", "auto", "standard"})


class _Totals(NamedTuple):
    """`total_token_usage`: what the session used so far."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_output_tokens: int = 0

    def since(self, before: _Totals) -> dict[str, int]:
        """What was used since, in our buckets."""
        given = _Totals(*(now - then for now, then in zip(self, before, strict=True)))
        reads = min(given.cached_input_tokens, given.input_tokens)
        writes = min(given.cache_write_input_tokens, given.input_tokens - reads)
        usage = {"input_tokens": given.input_tokens - reads - writes, "output_tokens": given.output_tokens}
        return usage_of(usage | {"cache_read_input_tokens": reads, "cache_creation_input_tokens": writes})


@dataclass(slots=True)
class _Rollout:
    """What one file has said so far.

    Attributes:
        parents: the session each session was forked from, "" for none.
        restarts: how often the counter started again.
    """

    session_id: str = ""
    agent: str | None = None
    begun: Begun = field(default_factory=Begun)
    branch: str = ""
    model: str | None = None
    service_tier: str | None = None
    parents: dict[str, str] = field(default_factory=dict)
    thread_id: str = ""
    totals: _Totals | None = None
    restarts: int = 0

    @property
    def lineage(self) -> str:
        """The first session of those this one was forked from, as far as its file says."""
        first = self.thread_id
        for _ in range(_LINEAGE_MAX):
            if not self.parents.get(first):
                break
            first = self.parents[first]
        return first


class CodexRollouts:
    """The transcripts `codex`."""

    agent = "main"

    def identify(self, path: Path) -> bool:
        """See `Transcript.identify`: a file begins with a `session_meta`."""
        for file in self.files(path)[:_LOOKED_AT_MAX]:
            for _, record in Lines(file, BEGINNING):
                return record.get("type") == "session_meta"
        return False

    def places(self) -> list[Path]:
        """See `Transcript.places`: CODEX_HOME, or `~/.codex`."""
        home = Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex").expanduser()
        return [home] if any((home / folder).is_dir() for folder in _FOLDERS) else []

    def files(self, path: Path) -> list[Path]:
        """See `Transcript.files`; of Codex's home only the two folders of sessions hold rollouts."""
        folders = [path / folder for folder in _FOLDERS if (path / folder).is_dir()]
        return sorted(file for folder in folders or [path] for file in files_below(folder))

    def read(self, path: Path, mark: Mark) -> Extract:
        """See `Transcript.read`; from the beginning always, for a delta needs the total before it."""
        found = Lines(
            path, BEGINNING, b'"token_count"', b'"turn_context"', b'"session_meta"', b'"thread_settings', b'usage"'
        )
        rollout, seen, last_at = _Rollout(), list[tuple[Seen, _Totals, int]](), None
        unknown = Unknown(path)
        for number, record in found:
            payload = record.get("payload")
            if not isinstance(payload, dict):
                continue
            last_at = record.get("timestamp", last_at)
            if _is_unknown(record, payload):
                unknown.add(number, f"a {record.get('type')} of type {shown(payload.get('type'))}")
                continue
            try:
                seen += _calls(rollout, record, payload, number)
            except (InvalidEvent, ValueError) as error:
                found.skipped.append(Skipped(path, number, f"a {record.get('type')} that does not fit: {error}"))
        lineage = rollout.lineage
        calls = [
            call._replace(message_id=digest("codex", lineage, restarts, *totals)) for call, totals, restarts in seen
        ]
        begun = {rollout.session_id: rollout.begun} if rollout.session_id else {}
        mark = Mark(found.mark.offset, found.mark.lines, found.mark.ending, begun)
        return Extract(calls, found.skipped + unknown.skipped(), mark, moment(last_at), failed=found.failed)


def _calls(
    rollout: _Rollout, record: Mapping[str, Any], payload: Mapping[str, Any], line: int
) -> Iterator[tuple[Seen, _Totals, int]]:
    """Take a record in; the call that it ends, if it ends one, with the totals that make its id."""
    kind = record.get("type")
    if kind == "session_meta":
        _session_meta(rollout, record, payload)
    elif kind == "turn_context":
        if payload.get("model") is not None:
            rollout.model = None  # rather none than the one before, whose price it is not
            rollout.model = check_name(payload["model"])
    elif kind == "event_msg" and isinstance(payload.get("thread_settings"), dict):
        tier = name(payload["thread_settings"].get("service_tier"))
        rollout.service_tier = None if not tier or tier in _STANDARD else tier
    elif kind == "event_msg" and payload.get("type") == "token_count" and isinstance(payload.get("info"), dict):
        info = payload["info"]
        if not isinstance(info.get("total_token_usage"), dict):
            return
        totals = _totals(info["total_token_usage"])
        before = rollout.totals
        if before is None:
            before = _unseen(rollout, totals, info.get("last_token_usage"))
        elif any(now < then for now, then in zip(totals, before, strict=True)):
            rollout.restarts, before = rollout.restarts + 1, _Totals()
        rollout.totals = totals
        if totals == before:
            return
        if not rollout.session_id:
            raise ValueError("no session_meta before it says whose tokens these are")
        usage = totals.since(before)
        model = name(info.get("model")) or rollout.model
        begun = rollout.begun
        at = moment(record.get("timestamp"))
        seen = Seen(
            "",
            rollout.session_id,
            rollout.agent,
            model,
            usage,
            at,
            rollout.service_tier,
            begun.project,
            rollout.branch,
            line,
        )
        yield seen, totals, rollout.restarts


def _is_unknown(record: Mapping[str, Any], payload: Mapping[str, Any]) -> bool:
    """Whether a line looks as if a newer version had counted tokens there in another way."""
    if record.get("type") == "event_msg" and payload.get("type") == "token_count":
        info = payload.get("info")
        totals = info.get("total_token_usage") if isinstance(info, dict) else None
        if totals is not None:
            return not (isinstance(totals, dict) and totals.keys() & set(_Totals._fields))
    return record.get("type") not in _WITHOUT_USAGE and tells_usage(record)


def _session_meta(rollout: _Rollout, record: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    """The first one is the file's own; those after it are its ancestors', or itself once more."""
    thread_id = name(meta.get("id"))
    if not thread_id:
        raise ValueError("it names no session")
    rollout.parents.setdefault(thread_id, name(meta.get("forked_from_id")))
    if rollout.thread_id:
        return
    git = meta.get("git")
    rollout.thread_id = thread_id
    parent = _parent_of(meta)
    rollout.session_id = parent or thread_id
    if parent:
        rollout.agent = name(meta.get("agent_nickname")) or name(meta.get("agent_role")) or thread_id
    at = moment(meta.get("timestamp")) or moment(record.get("timestamp"))
    rollout.branch = name(git.get("branch")) if isinstance(git, dict) else ""
    rollout.begun = Begun(at, name(meta.get("cwd")))


def _parent_of(meta: Mapping[str, Any]) -> str:
    """The session that a sub-agent's thread works for; "" for a session of its own."""
    whole, thread_id = name(meta.get("session_id")), name(meta.get("id"))
    if whole and whole != thread_id:
        return whole
    source = meta.get("source")
    spawned = isinstance(source, dict) and "subagent" in source
    return name(meta.get("parent_thread_id")) if spawned else ""


def _unseen(rollout: _Rollout, totals: _Totals, last: object) -> _Totals:
    """What a counter showed before its first line: zero, but in a fork that copied only its parent's last turns."""
    if not rollout.parents.get(rollout.thread_id) or not isinstance(last, dict):
        return _Totals()
    return _Totals(*(max(0, now - used) for now, used in zip(totals, _totals(last), strict=True)))


def _totals(given: Mapping[str, Any]) -> _Totals:
    counts = {bucket: given.get(bucket) or 0 for bucket in _Totals._fields}
    for bucket, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count < 2**63:
            raise ValueError(f"{bucket} is no count of tokens")
    return _Totals(**counts)

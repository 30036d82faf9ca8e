"""Codex CLI's rollouts: `sessions/YYYY/MM/DD/rollout-….jsonl` and `archived_sessions/…` below CODEX_HOME.

Observed in rollouts of versions 0.50 to 0.171:

- `token_count` events carry `total_token_usage`, cumulative over a thread, with the `last_token_usage` that brought it
  there; they are repeated, several counters may take turns in one file (`codex_counters`), and `info` may be null;
- from about 0.17x a `token_usage_record` gives the usage of each response, with its `response_id`, its thread and the
  total after it, which a `token_count` then repeats;
- `input_tokens` include cached ones and cache writes, `output_tokens` include reasoning;
- the model is the one of the last `turn_context`;
- a `response_item` of type `web_search_call` is a web search, which costs a fee, or the opening of a page, which does
  not; observed from 0.63 on, and not up to 0.58, which leaves no trace of it;
- the service tier of the last `thread_settings_applied` is what the thread is set to ask for. The client leaves it out
  of the request for models that lack it, and no line says which tier served a call;
- a fork begins with a copy of its parent's lines, re-stamped with the fork's own times, the parent's `session_meta`
  among them: the same totals of the same lineage are the same calls, whether or not the parent's file is there. Other
  forks and sub-agents repeat nothing and continue the parent's counter: their first total is more than its last call.

A call's id is made from its thread, or where no record names that from the first session of its lineage, and the total
after it, so that it is the same with the record and without. A fork whose rollout repeats its parent's calls and not
its ancestors' `session_meta` names only its parent: if that is a fork too, its part is not recognised.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from ledger.errors import InvalidEvent, shown
from ledger.events.fields import check_name
from ledger.events.ids import digest
from ledger.providers.further_costs import searches_in
from ledger.providers.service_tiers import service_tier_of
from ledger.sources.claude_totals import version_of
from ledger.sources.codex_counters import CodexTokens, Ended, RolloutCounters
from ledger.sources.findings import Beginning, Skipped
from ledger.sources.formats.folders import is_folder, may_exist
from ledger.sources.names import branch_name, moment, name
from ledger.sources.transcript import BEGINNING, Extract, Mark, TranscriptMessage
from ledger.sources.transcript_reader import TranscriptLines, files_below
from ledger.sources.unknown_usage import UnknownUsage, has_usage

__all__ = ["CodexRollouts"]

_FOLDERS: Final = ("sessions", "archived_sessions")
_IDENTIFIED_FILES_MAX: Final = 3
_WITHOUT_USAGE: Final = ("session_meta", "turn_context", "response_item", "compacted")
"""Kinds of lines with the conversation and its settings, which never report usage."""
_LINEAGE_MAX: Final = 1000
_RECORD: Final = "token_usage_record"
_SEARCHES_FROM: Final = (0, 63, 0)
"""The first version in whose rollouts web searches were observed."""


@dataclass(slots=True)
class _Rollout:
    """What one file contained so far.

    Attributes:
        root: the session that a sub-agent's thread works for; "" for a session's own thread.
        forked_from: the session each session was forked from, "" for none.
        spawned_by: the session that a sub-agent's thread works for, and may repeat.
        service_tier: what the thread is set to ask for; None for the standard one.
        searches: how many web searches there were; hides_searches: its version leaves no trace of them.
    """

    root: str = ""
    agent: str | None = None
    beginning: Beginning = field(default_factory=Beginning)
    branch: str = ""
    model: str | None = None
    service_tier: str | None = None
    forked_from: dict[str, str] = field(default_factory=dict)
    spawned_by: dict[str, str] = field(default_factory=dict)
    thread_id: str = ""
    searches: int = 0
    hides_searches: bool = False
    counters: RolloutCounters = field(default_factory=RolloutCounters)

    def lineage(self) -> str:
        """Return the first session of those this thread repeats, as far as the file names them.

        A fork names its parent; a sub-agent repeats its parent's calls only where it repeats its `session_meta`.
        """
        first = self.thread_id
        for _ in range(_LINEAGE_MAX):
            spawner = self.spawned_by.get(first, "")
            parent = self.forked_from.get(first) or (spawner if spawner in self.forked_from else "")
            if not parent:
                break
            first = parent
        return first

    def is_child(self) -> bool:
        """Return whether the thread may continue another thread's counter."""
        return bool(self.forked_from.get(self.thread_id) or self.spawned_by.get(self.thread_id))


class _RolloutCall(NamedTuple):
    """A call before it has an id, since that takes the whole file's lineage.

    Attributes:
        native: what the call is called in its lineage.
        thread_id: the thread of the call, where its line names it; a fork's line may repeat its parent's call.
    """

    message: TranscriptMessage
    native: tuple[object, ...]
    thread_id: str = ""

    def named(self, lineage: str) -> TranscriptMessage:
        """Return the message with its id."""
        return self.message._replace(message_id=digest("codex", self.thread_id or lineage, *self.native))


class CodexRollouts:
    """The transcripts `codex`."""

    agent = "main"

    def __init__(self, kind: str = "codex") -> None:
        self.kind = kind

    def identify(self, path: Path) -> bool:
        """See `Transcript.identify`: a file begins with a `session_meta`."""
        for file in self.files(path)[:_IDENTIFIED_FILES_MAX]:
            for _, record in TranscriptLines(file, BEGINNING):
                return record.get("type") == "session_meta"
        return False

    def existing_folders(self) -> list[Path]:
        """See `Transcript.existing_folders`: CODEX_HOME, or `~/.codex`."""
        folders = self.default_folders()
        return [folders[0].parent] if any(map(may_exist, folders)) else []

    def default_folders(self) -> list[Path]:
        """See `Transcript.default_folders`."""
        home = Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex").expanduser()
        return [home / folder for folder in _FOLDERS]

    def files(self, path: Path, skipped: list[Skipped] | None = None) -> list[Path]:
        """See `Transcript.files`; of Codex's home only the two folders of sessions contain rollouts."""
        folders = [path / folder for folder in _FOLDERS if is_folder(path / folder)]
        return files_below(*(folders or [path]), skipped=skipped)

    def read(self, path: Path, mark: Mark) -> Extract:
        """See `Transcript.read`; always from the beginning, since a delta needs the total before it."""
        found = TranscriptLines(
            path,
            BEGINNING,
            b'"token_count"',
            b'"turn_context"',
            b'"session_meta"',
            b'"thread_settings',
            b'usage"',
            b'"web_search_call"',
        )
        rollout, calls, last_at = _Rollout(), list[_RolloutCall](), None
        unknown, taken, own = UnknownUsage(path), False, False
        for number, record in found:
            taken, own = True, own or _is_own(record)
            payload = record.get("payload")
            if not isinstance(payload, dict):
                continue
            last_at = record.get("timestamp", last_at)
            if _is_unknown(record, payload):
                unknown.add(number, f"a {record.get('type')} of type {shown(payload.get('type'))}")
                continue
            try:
                calls += _calls(rollout, record, payload, number)
            except (InvalidEvent, ValueError) as error:
                found.skipped.append(Skipped(path, number, f"a {record.get('type')} that does not fit: {error}"))
        beginnings = {rollout.thread_id: rollout.beginning} if rollout.thread_id else {}
        mark = Mark(found.mark.offset, found.mark.lines, found.mark.ending, beginnings)
        lineage = rollout.lineage()
        messages = [call.named(lineage) for call in calls]
        skipped, foreign = found.skipped + unknown.skipped(), taken and not own
        return Extract(messages, skipped, mark, moment(last_at), failed=found.failed, foreign=foreign)


def _is_own(record: Mapping[str, Any]) -> bool:
    """Whether a line is Codex's; those of its first versions have no `payload`, and no usage."""
    return "payload" in record or "record_type" in record or {"id", "timestamp"} <= record.keys()


def _calls(
    rollout: _Rollout, record: Mapping[str, Any], payload: Mapping[str, Any], line: int
) -> Iterator[_RolloutCall]:
    """Take a record in; yield the call that it ends, if it ends one."""
    kind = record.get("type")
    if kind == "session_meta":
        _session_meta(rollout, record, payload)
    elif kind == "turn_context":
        if payload.get("model") is not None:
            rollout.model = None  # rather none than the one before, which may have another price
            rollout.model = check_name(payload["model"])
    elif kind == "event_msg" and isinstance(payload.get("thread_settings"), dict):
        rollout.service_tier = service_tier_of(name(payload["thread_settings"].get("service_tier")))
    elif kind == _RECORD:
        thread_id, response_id = name(payload.get("thread_id")), name(payload.get("response_id"))
        total, used = CodexTokens.of(payload["thread_token_usage"]), CodexTokens.of(payload["usage"])
        ended = rollout.counters.record(response_id or f"line {line}", total, used)
        if ended is not None:
            message = _message(rollout, record, rollout.model, ended.used.usage(), line)
            yield _RolloutCall(message, (ended.counter, *ended.total), thread_id)
    elif kind == "event_msg" and payload.get("type") == "token_count" and isinstance(payload.get("info"), dict):
        info = payload["info"]
        if not isinstance(info.get("total_token_usage"), dict):
            return
        ended = _reading(rollout, info)
        if ended is not None:
            model = name(info.get("model")) or rollout.model
            message = _message(rollout, record, model, ended.used.usage(), line)
            yield _RolloutCall(message, (ended.counter, *ended.total))
    elif kind == "response_item" and searches_in({"output": [payload]}):
        rollout.searches += 1
        message = _message(rollout, record, rollout.model, {"web_search_requests": 1}, line)
        yield _RolloutCall(message, ("search", name(payload.get("id")) or rollout.searches))


def _reading(rollout: _Rollout, info: Mapping[str, Any]) -> Ended | None:
    """The call that a `token_count` ends.

    Codex gives `total_tokens` in every usage. A last call without it that equals the total repeats the total, and does
    not show what the call used.
    """
    total, given = CodexTokens.of(info["total_token_usage"]), info.get("last_token_usage")
    last = CodexTokens.of(given) if isinstance(given, dict) else None
    if isinstance(given, dict) and last == total and "total_tokens" not in given:
        last = None
    return rollout.counters.read(total, last, inherited=rollout.is_child())


def _message(
    rollout: _Rollout, record: Mapping[str, Any], model: str | None, usage: dict[str, int], line: int
) -> TranscriptMessage:
    if not rollout.thread_id:
        raise ValueError("no session_meta before it names the session of these tokens")
    return TranscriptMessage(
        "",
        rollout.thread_id,
        None,
        model,
        usage,
        moment(record.get("timestamp")),
        rollout.service_tier,
        rollout.beginning.project,
        rollout.branch,
        line,
        subagent=rollout.agent,
        partial=rollout.hides_searches or rollout.service_tier is not None,
        tier_asked=rollout.service_tier is not None,
        root=rollout.root,
    )


def _is_unknown(record: Mapping[str, Any], payload: Mapping[str, Any]) -> bool:
    """Whether a line looks as if a newer version had counted tokens there in another way."""
    if record.get("type") == "event_msg" and payload.get("type") == "token_count":
        info = payload.get("info")
        totals = info.get("total_token_usage") if isinstance(info, dict) else None
        if totals is not None:
            return not _counts_tokens(totals)
    if record.get("type") == _RECORD:
        return not all(_counts_tokens(payload.get(field)) for field in ("usage", "thread_token_usage"))
    return record.get("type") not in _WITHOUT_USAGE and has_usage(record)


def _counts_tokens(usage: object) -> bool:
    return isinstance(usage, dict) and not usage.keys().isdisjoint(CodexTokens._fields)


def _session_meta(rollout: _Rollout, record: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    """The first one is the file's own; those after it are its ancestors', or itself once more."""
    thread_id = name(meta.get("id"))
    if not thread_id:
        raise ValueError("it names no session")
    rollout.forked_from.setdefault(thread_id, name(meta.get("forked_from_id")))
    if spawner := _spawner(meta):
        rollout.spawned_by.setdefault(thread_id, spawner)
    if rollout.thread_id:
        return
    git = meta.get("git")
    rollout.thread_id = thread_id
    version = version_of(meta.get("cli_version"))
    rollout.hides_searches = version is not None and version < _SEARCHES_FROM
    rollout.root = _root_of(meta)
    if rollout.root:
        rollout.agent = name(meta.get("agent_nickname")) or name(meta.get("agent_role")) or thread_id
    at = moment(meta.get("timestamp")) or moment(record.get("timestamp"))
    rollout.branch = name(git.get("branch")) if isinstance(git, dict) else ""
    rollout.beginning = Beginning(at, name(meta.get("cwd")), branch_name(rollout.branch))


def _root_of(meta: Mapping[str, Any]) -> str:
    """The session that a sub-agent's thread works for; "" for a session of its own."""
    whole, thread_id = name(meta.get("session_id")), name(meta.get("id"))
    if whole and whole != thread_id:
        return whole
    return _spawner(meta)


def _spawner(meta: Mapping[str, Any]) -> str:
    """The thread that started a sub-agent's; "" for one that no other thread started."""
    source = meta.get("source")
    if not isinstance(source, dict) or "subagent" not in source:
        return ""
    spawn = source["subagent"].get("thread_spawn") if isinstance(source["subagent"], dict) else None
    parent = spawn.get("parent_thread_id") if isinstance(spawn, dict) else None
    return name(meta.get("parent_thread_id")) or name(parent)

"""Kimi Code's sessions: `~/.kimi-code/sessions/<workspace>/<session>/agents/<agent>/wire.jsonl`.

Source of the format: MoonshotAI/kimi-code, `packages/agent-core/src` (`agent/records/types.ts`, `agent/usage`,
`session/store/session-store.ts`) and the manifest of `packages/agent-core-v2/docs`; protocols 1.4 and 1.5:

- a `usage.record` is one call, also of a compaction; `step.end` repeats its figures. The kinds are disjoint;
- it names a model by the user's alias; the `llm.request` before it has the alias and the provider's name;
- a record has no id: its moment, agent, model and figures are the identity of a call;
- each agent of a session has a file; `main` is the session's own;
- a fork is a copy of the session's folder. Its `state.json` names the session that it is copied from, and when: older
  records are copies.

No line names money; a failed request leaves no usage, so a session is a lower bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ledger.events.ids import digest
from ledger.sources.kimi import small_document, wire_text
from ledger.sources.names import moment, name
from ledger.sources.session_log import LogReading, SessionLog, call, count, mapping, unix_moment, used
from ledger.sources.transcript import TranscriptMessage

__all__ = ["KimiCodeSessions"]

_AGENTS: Final = "agents"
_MAIN: Final = "main"
_STATE: Final = "state.json"
_WIRE: Final = "wire.jsonl"
_ALIASES_MAX: Final = 100


class KimiCodeSessions(SessionLog):
    """The logs `kimi-code`."""

    ignored = frozenset({"tasks", "cron", "logs", "media", "node_modules"})

    def is_log(self, path: str) -> bool:
        """See `SessionLog.is_log`."""
        folders = path.split("/")
        return folders[-1] == _WIRE and folders[-3:-2] == [_AGENTS]

    def recognises(self, log: LogReading) -> bool:
        """See `SessionLog.recognises`: the first line has the protocol, and when the agent was created."""
        first = next((record for _, record in log.lines(b'"metadata"')), {})
        return {"protocol_version", "created_at"} <= first.keys() and log.path.parent.parent.name == _AGENTS

    def extract(self, log: LogReading) -> None:
        """See `SessionLog.extract`."""
        session = _Session(log.path.parent.parent.parent)
        for number, record in log.lines(b'"usage.record"', b'"llm.request"', b'"profileName"'):
            session.begin(log)
            kind = record.get("type")
            if kind == "llm.request" and (alias := name(record.get("modelAlias"))):
                known = dict(list(log.state.get("models", {}).items())[-_ALIASES_MAX:])
                log.state["models"] = known | {alias: name(record.get("model")) or alias}
            elif kind in ("config.update", "profile.bind") and (profile := name(record.get("profileName"))):
                log.state["profile"] = profile
            elif kind == "usage.record":
                log.add(number, _call, session, log, record)

    def title(self, log: LogReading, session_id: str) -> str:  # noqa: ARG002
        """See `SessionLog.title`: the one that the client gave the session, else the first words of the user."""
        agents = log.path.parent.parent
        if given := name(small_document(agents.parent / _STATE).get("title")):
            return given
        records = (record for _, record in LogReading(agents / _MAIN / _WIRE).lines(b'"turn.prompt"'))
        turns = (record for record in records if record.get("type") == "turn.prompt")
        return next((text for turn in turns if (text := wire_text(turn.get("input")))), "")


class _Session:
    """What the file of a session's state shows: of a fork, also the session that its older records belong to."""

    def __init__(self, folder: Path) -> None:
        state = small_document(folder / _STATE)
        parent = name(state.get("forkedFrom"))
        self.id, self.parent = name(folder.name), "" if "/" in parent else parent
        self.created, self._project = moment(state.get("createdAt")), name(state.get("workDir"))
        source = small_document(folder.with_name(self.parent) / _STATE) if self.parent else {}
        self._source_created = moment(source.get("createdAt"))

    def begin(self, log: LogReading) -> None:
        """Add when the session began, and the one that it was copied from."""
        log.begin(self.id, self.created, self._project)
        if self.parent:
            log.begin(self.parent, self._source_created, self._project)

    def is_copy(self, at: str) -> bool:
        """Return whether a record was written before the session was copied."""
        return bool(self.parent) and at < self.created


def _call(session: _Session, log: LogReading, record: Mapping[str, Any]) -> TranscriptMessage | None:
    """The call that a record of usage is; None for one that used nothing."""
    usage, at, agent = mapping(record.get("usage")), record.get("time"), name(log.path.parent.name)
    fresh, output = count(usage.get("inputOther")), count(usage.get("output"))
    reads, writes = count(usage.get("inputCacheRead")), count(usage.get("inputCacheCreation"))
    alias, spent = name(record.get("model")), unix_moment(at, milliseconds=True)
    is_copy = session.is_copy(spent)
    found = call(
        digest("kimi-code", "call", at, agent, alias, fresh, output, reads, writes),
        session.parent if is_copy else session.id,
        log.state.get("models", {}).get(alias, alias),
        used(fresh, output, reads=reads, writes=writes),
        spent,
        subagent=None if agent == _MAIN else log.state.get("profile") or agent,
        partial=True,
    )
    return None if found is None else found._replace(copied=int(is_copy))

"""Sessions of pi, Oh My Pi and OpenClaw, which write the same: `sessions/<folder>/<time>_<session>.jsonl`.

Source of the format: earendil-works/pi (earlier badlogic/pi-mono), `packages/coding-agent/docs/session-format.md` and
`src/core/session-manager.ts`; can1357/oh-my-pi, `packages/coding-agent/src/session/session-entries.ts`; observed in
sessions of pi up to version 0.73:

- a file has a header and a tree of entries. Branches that were left remain in it, and were paid;
- a message of the assistant is one call; an aborted one may have usage, too. `input` has no cached tokens, and `output`
  includes reasoning;
- a fork, or a branch that becomes a session, has `parentSession`, which is a file, and copies of entries with their ids
  and times, which are older than its header;
- without a `responseId` a call is recognised by its moments, model and figures. An entry's id is unique in its file
  only, and is made when a file of version 1 is opened by a newer one;
- `cost.total` is computed by the client from a price list of its own, also for a subscription; it takes 1-hour cache
  writes for 5-minute ones. 0 is a model without a price there;
- a summary of a branch or of a compaction has `usage` in newer versions, without a model, and none in older ones;
- the `usage` of a tool's result is that of calls which may be in another file, and is not counted;
- Oh My Pi: an entry `model_usage` is a call outside of the conversation; a sub-agent's file is in the folder that is
  named as the file of the session that it works for, and names its kind in `session_init`;
- OpenClaw: a session that was reset or deleted is renamed to `….jsonl.reset.<time>` or `.deleted`. From version
  2026.8 the entries are rows of `transcript_events` in `agent/openclaw-agent.sqlite`, from 2026.9.6 partly compressed.
  Those of a deleted session move to an archive, which is not read.

Missing calls and 1-hour cache writes make a session a lower bound.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from ledger.events.ids import digest
from ledger.sources.names import moment, name
from ledger.sources.session_log import LogReading, SessionLog, call, count, dollars, items, mapping, unix_moment, used
from ledger.sources.transcript import DATABASE_SUFFIXES, TranscriptMessage

if TYPE_CHECKING:
    import sqlite3

__all__ = ["PiSessions"]

_DATABASE: Final = "openclaw-agent.sqlite"
_SUMMARIES: Final = ("compaction", "branch_summary")
_TITLES: Final = ("session", "session_info", "title", "title_change")
_WANTED: Final = (b'"usage"', b'"session_init"')
_FILE: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d)-(\d\d)-(\d\d)(?:-(\d+))?Z?_(.+)")
"""The name of a session's file without its suffix, which is also that of the folder of its sub-agents."""
_RENAMED: Final = (".jsonl.reset.", ".jsonl.deleted.")
_ROWS_PER_QUERY: Final = 5000
"""Each query is a transaction of its own, so that the agent can write and truncate its log between them."""
_HEAD_ROWS: Final = 2

_Session = dict[str, Any]
"""What the entries of a session need of those before: `id`, `born`, `parent`, `root` and `subagent`."""


class PiSessions(SessionLog):
    """The logs `pi`, `omp` and `openclaw`."""

    ignored = frozenset({"node_modules", "blobs"})

    def is_log(self, path: str) -> bool:
        """See `SessionLog.is_log`."""
        file = path.rsplit("/", 1)[-1]
        if file == _DATABASE:
            return True
        is_session = file.endswith(".jsonl") or any(part in file for part in _RENAMED)
        return is_session and ".trajectory." not in file

    def recognises(self, log: LogReading) -> bool:
        """See `SessionLog.recognises`: a header, or the table that has replaced it."""
        if _is_database(log.path):
            with log.database() as db:
                return db is not None and _has_table(db)
            return False
        head = next((record for _, record in log.lines(b'"session"') if record.get("type") == "session"), {})
        return {"id", "timestamp", "cwd"} <= head.keys()

    def extract(self, log: LogReading) -> None:
        """See `SessionLog.extract`."""
        if not _is_database(log.path):
            for number, record in log.lines(*_WANTED):
                _take(log, log.state, record, number)
            return
        with log.database() as db:
            if db is not None and _has_table(db):
                _read_database(log, db)
            elif db is not None and db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                log.problem(None, "is a database of another program, or of a version that is not known")

    def title(self, log: LogReading, session_id: str) -> str:
        """See `SessionLog.title`: the one that the session was given last, else the first words of the user."""
        given = first = ""
        for record in _records_of(log, session_id):
            if record.get("type") in _TITLES:
                given = name(record.get("name")) or name(record.get("title")) or given
            elif not first and mapping(record.get("message")).get("role") == "user":
                first = _text(mapping(record["message"]).get("content"))
        return given or first


def _is_database(path: Path) -> bool:
    return path.name.endswith(DATABASE_SUFFIXES)


def _has_table(db: sqlite3.Connection) -> bool:
    wanted = ("session_id", "seq", "event_json", "created_at")
    found = {name for (name,) in db.execute("SELECT name FROM pragma_table_info('transcript_events')")}
    return found.issuperset(wanted)


def _records_of(log: LogReading, session_id: str) -> list[Mapping[str, Any]]:
    """The entries of a session that may have its title."""
    if not _is_database(log.path):
        return [record for _, record in log.lines(b'"user"', b'"session_info"', b'"title_change"')]
    with log.database() as db:
        if db is not None:
            query = """
                SELECT event_json FROM transcript_events
                WHERE session_id = ? AND (event_json LIKE '%"user"%' OR event_json LIKE '%"session_info"%')
                ORDER BY seq
            """
            return [_parsed(text) for (text,) in db.execute(query, (session_id,))]
    return []


def _read_database(log: LogReading, db: sqlite3.Connection) -> None:
    """Add the entries that were written since the mark; a header shows whether its session is a fork."""
    log.since(lambda state: type(state.get("written")) is int)
    latest = written = log.state.get("written", 0) if log.resumed else 0
    sessions: dict[str, _Session] = {}
    heads = "SELECT session_id, event_json FROM transcript_events WHERE seq < ? ORDER BY session_id, seq"
    for id, text in db.execute(heads, (_HEAD_ROWS,)).fetchall():
        _take(log, sessions.setdefault(id, {"id": name(id)}), _parsed(text), 1)
    last = -1
    while True:
        query = f"""
            SELECT rowid, session_id, event_json, created_at FROM transcript_events
            WHERE rowid > ? AND created_at >= ? AND seq >= {_HEAD_ROWS} ORDER BY rowid LIMIT {_ROWS_PER_QUERY}
        """
        rows = db.execute(query, (last, written)).fetchall()
        for last, id, text, created in rows:  # noqa: B007
            latest = max(latest, created) if isinstance(created, int) else latest
            if isinstance(text, str) and '"usage"' in text:
                _take(log, sessions.setdefault(id, {"id": name(id)}), _parsed(text), 1)
        if len(rows) < _ROWS_PER_QUERY:
            break
    compressed = db.execute("SELECT count(*) FROM transcript_events WHERE event_json IS NULL").fetchone()[0]
    if compressed:
        log.problem(None, f"{compressed:,} of its entries are compressed, and are not read")
    log.state = {"written": latest}
    log.count = db.execute("""SELECT count(*) FROM transcript_events WHERE event_json LIKE '%"usage"%'""").fetchone()[0]


def _parsed(text: object) -> Mapping[str, Any]:
    try:
        return mapping(orjson.loads(text)) if isinstance(text, str) else {}
    except orjson.JSONDecodeError:
        return {}


def _take(log: LogReading, session: _Session, record: Mapping[str, Any], line: int) -> None:
    kind = record.get("type")
    if kind == "session":
        _begin(log, session, record)
    elif kind == "session_init":
        session["subagent"] = name(record.get("agent")) or session.get("subagent", "")
    elif kind == "message":
        message = mapping(record.get("message")) or record
        if message.get("role") == "assistant":
            log.add(line, _call, session, record, message)
    elif kind == "model_usage" or (kind in _SUMMARIES and "usage" in record):
        log.add(line, _call, session, record, record)


def _begin(log: LogReading, session: _Session, header: Mapping[str, Any]) -> None:
    """Note a session by its header; the file of a sub-agent is in the folder of the session that it works for."""
    session.setdefault("id", name(header.get("id")))
    session["born"], folder = moment(header.get("timestamp")), name(header.get("cwd"))
    if session["id"]:
        log.begin(session["id"], session["born"], folder)
    works_for = None if _is_database(log.path) else _FILE.fullmatch(log.path.parent.name)
    if works_for is not None:
        session |= {"root": name(works_for[5]), "subagent": session.get("subagent") or name(log.path.stem)}
    copied_from = _FILE.fullmatch(Path(str(header.get("parentSession"))).stem)
    if copied_from is not None and (parent := name(copied_from[5])):
        hour, minute, second, fraction, _ = copied_from.groups()
        session["parent"] = parent
        log.begin(parent, moment(f"{hour}:{minute}:{second}.{fraction or 0}Z"), folder)


def _call(session: _Session, record: Mapping[str, Any], message: Mapping[str, Any]) -> TranscriptMessage | None:
    """The call that an entry is; None for one that used nothing."""
    usage, written = mapping(message.get("usage")), moment(record.get("timestamp"))
    fresh, output = count(usage.get("input")), count(usage.get("output"))
    reads, writes = count(usage.get("cacheRead")), count(usage.get("cacheWrite"))
    cost = usage.get("cost")
    nanousd = dollars(cost.get("total") if isinstance(cost, dict) else cost)
    model, at = message.get("model"), message.get("timestamp")
    figures = (fresh, output, reads, writes, nanousd)
    is_copy = "parent" in session and written < session["born"]
    found = call(
        name(message.get("responseId")) or digest("pi", "call", written, at, message.get("provider"), model, *figures),
        session["parent"] if is_copy else session.get("id"),
        model,
        used(fresh, output, reads=reads, writes=writes),
        written or unix_moment(at, milliseconds=True),
        nanousd=nanousd,
        subagent=session.get("subagent"),
        root=session.get("root"),
        partial=True,
    )
    return found._replace(copied=1) if found is not None and is_copy else found


def _text(content: object) -> str:
    """The text of a message, which is one, or a list of parts."""
    parts = [content] if isinstance(content, str) else [each.get("text") for each in items(content)]
    return next((part for part in parts if isinstance(part, str) and part.strip()), "")

"""OpenCode's sessions, and those of its family, Kilo CLI and MiMo Code, which write the same.

Source of the format: anomalyco/opencode (earlier sst/opencode), `session.ts` and `message-v2.ts` of
`packages/opencode/src/session`; observed in databases of versions 1.2 and 7.0 (Kilo) and in the files of 1.0:

- from version 1.2 a SQLite database `<name>*.db` with the tables `session` and `message`; before, one file for each
  message, `storage/message/<session>/<message>.json`, and for each session, `storage/session/<project>/<session>.json`;
  `export` writes one document with the messages of a session. A session may be in all three, with the same ids;
- a message of the assistant is one call; parts of the kind `step-finish` repeat its figures. One that is running has no
  `time.completed` and no tokens;
- a fork copies messages under new ids into a session without a parent: times, model, tokens and cost stay, so these are
  the identity of a call;
- a child session (`parent_id`) has its calls for itself;
- `cost` is computed by the client from a price list of its own; 0 is a subscription, or a model without a price there;
- up to version 1.3 `output` includes `reasoning`, and from 1.4 it does not; `tokens.total` shows which. Where it is
  included, the client charged it twice: such a cost is too high, and the call is priced from its tokens. Anthropic's
  interface counted no reasoning;
- the client takes 1-hour cache writes for 5-minute ones, and calls for titles and summaries are in no message: so a
  session is a lower bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from ledger.events.ids import digest
from ledger.sources.formats.regular_files import open_regular
from ledger.sources.names import name
from ledger.sources.session_log import LogReading, SessionLog, call, count, dollars, items, mapping, unix_moment, used
from ledger.sources.transcript import DATABASE_SUFFIXES, TranscriptMessage

if TYPE_CHECKING:
    import sqlite3

__all__ = ["OpenCodeSessions"]

_DATABASES: Final = ("opencode", "kilo", "mimocode")
_OTHERS: Final = (("kilo", "kilo"), ("mimocode", "mimo"))
"""What the folders of the others of the family are called, as their databases begin, and their kinds."""
_EXPORTS: Final = ("export", "ses_")
"""How the names of exports begin, among other files; an export that is named by the caller may be called anything."""
_SEPARATE_FROM: Final = (1, 4)
"""The version from which `output` does not include reasoning."""
_ROWS_PER_QUERY: Final = 5000
"""Each query is a transaction of its own, so that the agent can write and truncate its log between them."""
_SESSION_BYTES_MAX: Final = 1024 * 1024


class OpenCodeSessions(SessionLog):
    """The logs `opencode`, `kilo` and `mimo`."""

    ignored = frozenset({"part", "session_diff", "snapshot", "tool-output", "log", "bin", "node_modules"})

    def is_log(self, path: str) -> bool:
        """See `SessionLog.is_log`."""
        *folders, file = path.split("/")
        if file.endswith(DATABASE_SUFFIXES):
            return file.startswith(_DATABASES)
        if not file.endswith(".json"):
            return False
        return folders[-3:-1] == ["storage", "message"] or ("storage" not in folders and file.startswith(_EXPORTS))

    def recognises(self, log: LogReading) -> bool:
        """See `SessionLog.recognises`."""
        if _kind_of(log.path) != self.kind:
            return False
        if _is_database(log.path):
            with log.database() as db:
                return db is not None and _has_tables(db)
            return False
        document = mapping(log.document())
        info = mapping(document.get("info"))
        return _is_message(document) or ("id" in info and isinstance(document.get("messages"), list))

    def extract(self, log: LogReading) -> None:
        """See `SessionLog.extract`."""
        if _is_database(log.path):
            with log.database() as db:
                if db is not None and _has_tables(db):
                    _read_database(log, db)
                elif db is not None and db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    log.problem(None, "is a database of another program, or of a version that is not known")
            return
        document = mapping(log.document())
        if "info" in document:
            session = mapping(document["info"])
            for message in items(document.get("messages")):
                _add(log, 1, session, mapping(message.get("info")))
        elif document:
            _add(log, 1, _stored_session(log.path, document), document)

    def title(self, log: LogReading, session_id: str) -> str:
        """See `SessionLog.title`: the one that the client gave the session."""
        if not _is_database(log.path):
            document = mapping(log.document())
            session = mapping(document.get("info")) or _stored_session(log.path, document)
            return name(session.get("title"))
        with log.database() as db:
            if db is not None:
                rows = db.execute("SELECT title FROM session WHERE id = ?", (session_id,)).fetchall()
                return next((name(title) for (title,) in rows), "")
        return ""


def _kind_of(path: Path) -> str:
    """The one of the family whose log this is, by the name of the database or by its folder."""
    by_name = (kind for start, kind in _OTHERS if _is_database(path) and path.name.startswith(start))
    by_folder = (kind for folder, kind in _OTHERS if folder in path.parts[:-1])
    return next(by_name, None) or next(by_folder, "opencode")


def _is_database(path: Path) -> bool:
    return path.name.endswith(DATABASE_SUFFIXES)


def _has_tables(db: sqlite3.Connection) -> bool:
    query = "SELECT name FROM pragma_table_info('message') INTERSECT VALUES ('id'), ('session_id'), ('data')"
    return len(db.execute(query).fetchall()) == len(("id", "session_id", "data"))


def _is_message(document: Mapping[str, Any]) -> bool:
    return "sessionID" in document and "role" in document


def _read_database(log: LogReading, db: sqlite3.Connection) -> None:
    """Add the messages that were written since the mark; those of the older session first, which a fork copied."""
    log.since(lambda state: type(state.get("written")) is int)
    written = latest = log.state.get("written", 0) if log.resumed else 0
    sessions = {row["id"]: row for row in _rows(db, "session", 0)}
    found: list[tuple[int, str, str]] = []
    for row in _rows(db, "message", written):
        latest = max(latest, _whole(row.get("time_updated")))
        session_id = row.get("session_id")
        created = _whole(sessions.get(session_id, {}).get("time_created"))
        if isinstance(session_id, str) and isinstance(row.get("data"), str) and '"assistant"' in row["data"]:
            found.append((created, session_id, row["data"]))
    for _, session_id, data in sorted(found, key=itemgetter(0)):
        try:
            message = mapping(orjson.loads(data))
        except orjson.JSONDecodeError as error:
            log.problem(None, f"a message of session {session_id} is no JSON: {error}")
            continue
        _add(log, 1, sessions.get(session_id, {}), {"sessionID": session_id, **message})
    log.state = {"written": latest}
    log.count = db.execute("""SELECT count(*) FROM message WHERE data LIKE '%"assistant"%'""").fetchone()[0]


def _rows(db: sqlite3.Connection, table: str, written: int) -> Iterator[dict[str, Any]]:
    """The rows of a table that were written at a moment or later, in the order of their numbers."""
    columns = [name for (name,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,))]
    since = f"time_updated >= {written} AND" if "time_updated" in columns and written else ""
    last = -1
    while True:
        query = f"SELECT rowid, * FROM {table} WHERE {since} rowid > ? ORDER BY rowid LIMIT {_ROWS_PER_QUERY}"
        rows = db.execute(query, (last,)).fetchall()
        for number, *values in rows:
            last = number
            yield dict(zip(columns, values, strict=True))
        if len(rows) < _ROWS_PER_QUERY:
            return


def _stored_session(path: Path, message: Mapping[str, Any]) -> Mapping[str, Any]:
    """The session of a message in the older store of files; an empty one where its file is missing or damaged."""
    session_id, storage = name(message.get("sessionID")), path.parent.parent.parent
    if not session_id or "/" in session_id:
        return {}
    for file in storage.glob(f"session/*/{session_id}.json"):
        try:
            with open_regular(file) as opened:
                return mapping(orjson.loads(opened.read(_SESSION_BYTES_MAX)))
        except (OSError, orjson.JSONDecodeError):
            continue
    return {}


def _add(log: LogReading, line: int, session: Mapping[str, Any], message: Mapping[str, Any]) -> None:
    session_id = name(message.get("sessionID")) or name(session.get("id"))
    if session_id and message.get("role") == "assistant":
        folder = name(session.get("directory")) or name(mapping(message.get("path")).get("cwd"))
        created = session.get("time_created") or mapping(session.get("time")).get("created")
        log.begin(session_id, unix_moment(created, milliseconds=True), folder)
        log.add(line, _call, session_id, session, message)


def _call(session_id: str, session: Mapping[str, Any], message: Mapping[str, Any]) -> TranscriptMessage | None:
    """The call that a message of the assistant is; None for one that is running, or used nothing."""
    times, tokens = mapping(message.get("time")), mapping(message.get("tokens"))
    created, completed = times.get("created"), times.get("completed")
    if completed is None:
        return None
    cache, reasoning = mapping(tokens.get("cache")), count(tokens.get("reasoning"))
    fresh, output = count(tokens.get("input")), count(tokens.get("output"))
    reads, writes = count(cache.get("read")), count(cache.get("write"))
    nanousd = dollars(message.get("cost"))
    given = (created, completed, message.get("providerID"), message.get("modelID"))
    id = digest("opencode", "call", *given, fresh, output, reasoning, reads, writes, nanousd)
    included = _is_included(session, tokens, fresh + output + reads + writes)
    if reasoning and included and message.get("providerID") != "anthropic":
        nanousd = None
    parent = session.get("parent_id") or session.get("parentID")
    return call(
        id,
        session_id,
        message.get("modelID"),
        used(fresh, output if included else output + reasoning, reads=reads, writes=writes),
        unix_moment(created, milliseconds=True),
        nanousd=nanousd,
        subagent=(message.get("agent") or message.get("mode")) if parent else None,
        root=parent,
        partial=True,
    )


def _is_included(session: Mapping[str, Any], tokens: Mapping[str, Any], without_reasoning: int) -> bool:
    """Whether a message's output includes its reasoning: as its total shows, else as its version did."""
    reasoning, total = count(tokens.get("reasoning")), count(tokens.get("total"))
    if total in (without_reasoning, without_reasoning + reasoning):
        return total == without_reasoning
    if reasoning > count(tokens.get("output")):
        return False
    parts = str(session.get("version")).split(".")[:2]
    return not (len(parts) > 1 and all(map(str.isdecimal, parts)) and tuple(map(int, parts)) >= _SEPARATE_FROM)


def _whole(value: object) -> int:
    return value if type(value) is int else 0

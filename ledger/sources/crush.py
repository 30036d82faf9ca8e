"""Crush's sessions, `<project>/.crush/crush.db`, and those of its predecessor, the OpenCode written in Go.

Source of the format: charmbracelet/crush, `internal/db/migrations`, `internal/agent/agent.go`,
`internal/projects/projects.go`, and opencode-ai/opencode; observed in databases of Crush of 2025 and 2026:

- a row of `sessions` has the cost of its session so far, in dollars, computed by the client from its own price list;
- `prompt_tokens` and `completion_tokens` are those of the last step alone: they are no sums, and none is taken;
- when a child session (`parent_session_id`) ends, its cost is added to its parent's: only a parent's cost counts. If
  the parent was deleted, what its children cost is what remains of it;
- a session's cost includes calls of another model, such as the one for its title, that no message shows: so which model
  cost how much is unknown;
- a cost of 0 is a model that is free, or has no price there: it is unknown;
- moments are seconds, although the schema names milliseconds;
- `projects.json` in the client's data folder lists the projects with their data folders.

A step that was interrupted, and a child of a killed run, are in no cost: so a session is a lower bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from ledger.errors import NoLogs, SourceUnreadable
from ledger.events.ids import digest
from ledger.sources.findings import Skipped
from ledger.sources.formats.folders import unreadable
from ledger.sources.formats.regular_files import open_regular
from ledger.sources.names import name
from ledger.sources.session_log import LogReading, SessionLog, call, dollars, items, mapping, unix_moment
from ledger.sources.transcript import TranscriptMessage

if TYPE_CHECKING:
    import sqlite3

__all__ = ["CrushSessions"]

_DATABASES: Final = {"crush.db": ".crush", "opencode.db": ".opencode"}
"""Databases, each with the folder of a project that it is in; Crush's may be in another folder."""
_LIST: Final = "projects.json"
_LIST_BYTES_MAX: Final = 16 * 1024 * 1024
_COLUMNS: Final = ("id", "parent_session_id", "cost", "created_at", "updated_at")
_MILLISECONDS_FROM: Final = 100_000_000_000
"""As seconds, the year 5138."""


class CrushSessions(SessionLog):
    """The logs `crush`."""

    ignored = frozenset({"node_modules", ".git", ".venv", "logs", "commands"})

    def is_log(self, path: str) -> bool:
        """See `SessionLog.is_log`."""
        *folders, file = path.split("/")
        return file == "crush.db" or (file in _DATABASES and folders[-1:] == [_DATABASES[file]])

    def files(self, path: Path, skipped: list[Skipped] | None = None) -> list[Path]:
        """See `SessionLog.files`; with the databases of the projects that the client lists."""
        unread: list[Skipped] = []
        listed = _listed(path, unread)
        try:
            found = super().files(path, unread)
        except NoLogs:
            if not listed and unread:
                raise SourceUnreadable(unread[0].path, unread[0].reason) from None
            if not listed:
                raise
            found = []
        if skipped is not None:
            skipped += unread
        return sorted({*found, *listed})

    def recognises(self, log: LogReading) -> bool:
        """See `SessionLog.recognises`."""
        with log.database() as db:
            return db is not None and _has_sessions(db)
        return False

    def extract(self, log: LogReading) -> None:
        """See `SessionLog.extract`."""
        with log.database() as db:
            if db is not None and _has_sessions(db):
                _read_sessions(log, db)
            elif db is not None and db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                log.problem(None, "is a database of another program, or of a version that is not known")

    def title(self, log: LogReading, session_id: str) -> str:
        """See `SessionLog.title`: the one that the client gave the session."""
        with log.database() as db:
            if db is not None:
                rows = db.execute("SELECT title FROM sessions WHERE id = ?", (session_id,)).fetchall()
                return next((name(title) for (title,) in rows), "")
        return ""


def _listed(folder: Path, unread: list[Skipped]) -> list[Path]:
    """The databases of the projects in the client's list; none without a list, or with a damaged one.

    A list that the operating system does not let us read, and a project, is added to what was not read.
    """
    try:
        with open_regular(folder / _LIST) as file:
            projects = items(mapping(orjson.loads(file.read(_LIST_BYTES_MAX))).get("projects"))
    except (FileNotFoundError, NotADirectoryError, orjson.JSONDecodeError):
        return []
    except OSError as error:
        unread.append(unreadable(folder / _LIST, error))
        return []
    found = []
    for place in [Path(data) / "crush.db" for each in projects if (data := name(each.get("data_dir")))]:
        try:
            if place.is_absolute() and place.is_file():
                found.append(place)
        except OSError as error:
            unread.append(unreadable(place, error))
    return found


def _has_sessions(db: sqlite3.Connection) -> bool:
    found = {column for (column,) in db.execute("SELECT name FROM pragma_table_info('sessions')")}
    return found.issuperset(_COLUMNS)


def _read_sessions(log: LogReading, db: sqlite3.Connection) -> None:
    """Add what each session without a parent cost, and what is left of each parent that was deleted."""
    rows = db.execute(f"SELECT {', '.join(_COLUMNS)} FROM sessions ORDER BY created_at, rowid").fetchall()
    sessions = {row[0]: dict(zip(_COLUMNS, row, strict=True)) for row in rows}
    used = {each for (each,) in db.execute("SELECT DISTINCT session_id FROM messages WHERE role = 'assistant'")}
    orphans: dict[str, list[Mapping[str, Any]]] = {}
    project = _project_of(log.path)
    for id, session in sessions.items():
        parent = session["parent_session_id"]
        if parent is not None and parent not in sessions:
            orphans.setdefault(parent, []).append(session)
        elif parent is None:
            log.begin(id, _at(session["created_at"]), project)
            log.add(1, _total, id, [session], id in used)
    for id, children in orphans.items():
        log.begin(id, _at(children[0]["created_at"]), project)
        log.add(1, _total, id, children, any(each["id"] in used for each in children))


def _total(id: object, sessions: list[Mapping[str, Any]], is_used: bool) -> TranscriptMessage | None:
    """What a session cost so far, under an id that is made from the session's; None for one without a message."""
    costs = [dollars(session["cost"]) or 0 for session in sessions]
    last = max((_at(session["updated_at"]) for session in sessions), default="")
    return call(digest("crush", "session", id), id, None, {}, last, nanousd=sum(costs), partial=True, unknown=is_used)


def _at(value: object) -> str:
    milliseconds = isinstance(value, int | float) and value >= _MILLISECONDS_FROM
    return unix_moment(value, milliseconds=milliseconds)


def _project_of(database: Path) -> str:
    """The folder that a database's data folder is in; "" for a data folder that is somewhere else."""
    folder = database.absolute().parent
    return str(folder.parent) if folder.name == _DATABASES.get(database.name) else ""

"""Titles of workflows, read from their sessions' transcripts when they are shown, and stored on this machine only.

They are in the SQLite file `titles.db` of the data directory and nowhere else: no ledger, row, replica, webhook or
answer of the server has one. The file may be deleted at any time; `titles = false` in the configuration deletes it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from ledger.importing.message_index import INDEX_FILE
from ledger.sources import TRANSCRIPT_KINDS
from ledger.sources.names import name_id
from ledger.sources.titles import title_of

__all__ = ["TITLES_FILE", "forget_titles", "titles_of"]

TITLES_FILE: Final = "titles.db"
_VERSION: Final = 2
_WAIT_SECONDS: Final = 0.2
"""Short: titles are not worth waiting for an import or another reader."""

_READ_MAX: Final = 500
"""Transcripts read at once, some 100 ms; the titles of more are read the next time."""

_PER_QUERY: Final = 500
_SHORT_ID: Final = 8


def titles_of(data: Path, heads: Mapping[str, int]) -> dict[str, str]:
    """Return the titles of workflows of one session each, as far as its transcript is on this machine.

    Never raises: a title that cannot be read, or stored, is left out.

    Args:
        data: the data directory.
        heads: how far each workflow's ledger was folded, those to be read first in front; the title of a workflow whose
            ledger has grown is read again.
    """
    if not (data / INDEX_FILE).is_file():
        return {}
    stored, titles = _stored(data, heads), dict[str, str]()
    missing = [id for id, seq in heads.items() if stored.get(id, (0, ""))[0] != seq][:_READ_MAX]
    files = _transcripts(data, missing)
    if missing and files is not None:
        found = {id: title_of(*files[id]) if id in files else "" for id in missing}
        titles = {id: title or stored.get(id, (0, ""))[1] for id, title in found.items()}
        _store(data, ((id, heads[id], title) for id, title in titles.items()))
    every = {id: title for id, (_, title) in stored.items()} | titles
    return {id: title for id, title in every.items() if title}


def forget_titles(data: Path) -> None:
    """Delete the stored titles."""
    with contextlib.suppress(OSError):
        (data / TITLES_FILE).unlink(missing_ok=True)


def _stored(data: Path, ids: Iterable[str]) -> dict[str, tuple[int, str]]:
    """The stored titles of these workflows, and how far their ledgers had been folded."""
    try:
        with _opened(data / TITLES_FILE) as db:
            if db.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                return {}
            rows = _some(db, "SELECT workflow_id, ledger_seq, title FROM titles WHERE workflow_id", ids)
            return {id: (seq, title) for id, seq, title in rows}
    except sqlite3.Error:
        return {}


def _store(data: Path, rows: Iterable[tuple[str, int, str]]) -> None:
    """Store titles in a file that only its owner may read; where that fails they are read again the next time."""
    file = data / TITLES_FILE
    try:
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        with contextlib.closing(sqlite3.connect(file, timeout=_WAIT_SECONDS)) as db, db:
            db.execute("PRAGMA synchronous = OFF")  # it can be rebuilt
            db.execute("BEGIN IMMEDIATE")
            if db.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                db.execute("DROP TABLE IF EXISTS titles")
                db.execute("CREATE TABLE titles (workflow_id TEXT PRIMARY KEY, ledger_seq INTEGER, title TEXT)")
                db.execute(f"PRAGMA user_version = {_VERSION}")
            db.executemany("INSERT OR REPLACE INTO titles VALUES (?,?,?)", rows)
    except sqlite3.OperationalError:
        return  # another process writes, or nothing can be written here
    except sqlite3.DatabaseError:
        forget_titles(data)  # it is no database, or a damaged one
    except OSError:
        return


def _transcripts(data: Path, workflow_ids: Iterable[str]) -> dict[str, tuple[str, Path, str]] | None:
    """Kind, file and session of the transcript of each workflow that is one session; None while the index is locked."""
    sessions: dict[str, set[tuple[str, str]]] = {}
    files: dict[tuple[str, str], Path] = {}
    try:
        with _opened(data / INDEX_FILE) as db:
            rows = _some(db, "SELECT workflow_id, session_id, kind FROM sessions WHERE workflow_id", workflow_ids)
            for workflow_id, session_id, kind in rows:
                sessions.setdefault(workflow_id, set()).add((session_id, kind))
            of = {id: found for id, each in sessions.items() if (found := _only(id, each)) is not None}
            wanted = set(of.values())
            if wanted:
                for path, kind, sessions_shown in db.execute("SELECT path, kind, begun FROM files ORDER BY path"):
                    _take_file(files, wanted, Path(os.fsdecode(path)), kind, sessions_shown)
    except (sqlite3.Error, orjson.JSONDecodeError):
        return None
    return {id: (session[1], files[session], session[0]) for id, session in of.items() if session in files}


def _only(workflow_id: str, given: Iterable[tuple[str, str]]) -> tuple[str, str] | None:
    """The one session of a workflow, with the kind of its transcript; None when it has several, or no transcript.

    Of several, the one that the workflow is named by started the others.
    """
    sessions = list(given)
    sessions = [session for session in sessions if name_id(session[0]) == workflow_id] or sessions
    found = {session for session in sessions if session[1] in TRANSCRIPT_KINDS}
    return next(iter(found)) if len({id for id, _ in sessions}) == 1 and len(found) == 1 else None


def _take_file(
    files: dict[tuple[str, str], Path], wanted: set[tuple[str, str]], path: Path, kind: str, sessions_shown: str
) -> None:
    """Note a file of the sessions that it shows: the one that is named by the session, else no sub-agent's."""
    for session_id in orjson.loads(sessions_shown):
        session = (session_id, kind)
        if session in wanted and (session_id in path.name or not path.name.startswith("agent-")):
            had = files.get(session)
            if had is None or _likeness(session_id, path) > _likeness(session_id, had):
                files[session] = path


def _likeness(session_id: str, path: Path) -> int:
    """How far the name of a file names a session: by its id, or by the beginning of it."""
    return (session_id in path.name) + (session_id[:_SHORT_ID] in path.name)


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    """A database that is only read."""
    url = f"{file.absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(url, uri=True, timeout=_WAIT_SECONDS)) as db:
        yield db


def _some(db: sqlite3.Connection, query: str, values: Iterable[str]) -> Iterator[tuple[Any, ...]]:
    wanted = list(values)
    for start in range(0, len(wanted), _PER_QUERY):
        some = wanted[start : start + _PER_QUERY]
        yield from db.execute(f"{query} IN ({','.join('?' * len(some))})", some)

"""Applications with a table `workflow_history` of their own, as the design story's, in SQLite and in PostgreSQL."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Protocol

import psycopg
from psycopg.rows import dict_row

__all__ = ["POSTGRES_KINDS", "Application", "PostgresApplication", "SqliteApplication"]

_STORY: Final = """CREATE TABLE workflow_history (
    id INTEGER PRIMARY KEY AUTOINCREMENT, adw_id TEXT NOT NULL UNIQUE, issue_number INTEGER, nl_input TEXT,
    workflow_template TEXT, status TEXT NOT NULL CHECK(status IN ('pending','running','completed','failed')),
    start_time TEXT, end_time TEXT, duration_seconds INTEGER, error_message TEXT, model_used TEXT,
    input_tokens INTEGER DEFAULT 0, cached_tokens INTEGER DEFAULT 0, cache_hit_tokens INTEGER DEFAULT 0,
    cache_miss_tokens INTEGER DEFAULT 0, output_tokens INTEGER DEFAULT 0, total_tokens INTEGER DEFAULT 0,
    cache_efficiency_percent REAL DEFAULT 0.0, estimated_cost_total REAL, actual_cost_total REAL DEFAULT 0.0,
    cost_breakdown TEXT, created_at TEXT DEFAULT (datetime('now')), updated_at TEXT DEFAULT (datetime('now')))"""
_POSTGRES: Final = """CREATE TABLE workflow_history (
    id serial PRIMARY KEY, adw_id varchar(64) NOT NULL UNIQUE, issue_number integer, nl_input text,
    status text NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed')),
    start_time {moment}, end_time {moment}, model_used text, input_tokens integer DEFAULT 0,
    total_tokens integer DEFAULT 0, actual_cost_total {money} DEFAULT 0.0, cost_breakdown {json},
    created_at {moment} DEFAULT CURRENT_TIMESTAMP, updated_at {moment})"""
_ROWS: Final = """INSERT INTO workflow_history (adw_id, issue_number, nl_input, status, actual_cost_total,
    cost_breakdown, start_time) VALUES
    ('a5b80595', 17, 'do it', 'completed', 0.09, '{"by_phase": {"plan": 0.0900}}', '2025-11-20 09:00:00'),
    ('going', 20, 'go', 'running', 5.0, NULL, NULL), ('waiting', 18, 'later', 'pending', NULL, NULL, NULL),
    ('not-ours', 19, 'boom', 'failed', NULL, 'null', NULL)"""
POSTGRES_KINDS: Final = {
    "as a Django model": {"moment": "timestamptz", "money": "numeric(10,2)", "json": "jsonb"},
    "as an old script": {"moment": "timestamp", "money": "real", "json": "text"},
    "as it should be": {"moment": "timestamptz", "money": "double precision", "json": "json"},
}


class Application(Protocol):
    """An application, which keeps its database open all the time."""

    spelling: str
    """What `--history` is given."""

    def execute(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """A statement of the application's own; `?` is where a value goes."""
        ...

    def digest(self) -> str:
        """Of every byte that it has stored."""
        ...

    def tables(self) -> set[str]:
        """The names of all tables."""
        ...

    def close(self) -> None: ...


class SqliteApplication:
    """One like the design story's."""

    def __init__(self, path: Path, *, journal_mode: str = "delete") -> None:
        self.path, self.spelling = path, f"sqlite:{path}"
        self.db = sqlite3.connect(path, isolation_level=None, timeout=20, check_same_thread=False)
        self.db.row_factory = sqlite3.Row
        self.db.execute(f"PRAGMA journal_mode = {journal_mode}")
        self.db.execute(_STORY)
        self.db.execute(_ROWS)

    def execute(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in self.db.execute(statement, values)]

    def digest(self) -> str:
        files = sorted(self.path.parent.glob(f"{self.path.name}*"))
        return str(
            [(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files if "-shm" not in file.name]
        )

    def tables(self) -> set[str]:
        return {row["name"] for row in self.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def close(self) -> None:
        self.db.close()


class PostgresApplication:
    """One in PostgreSQL, whose columns are of some kinds."""

    def __init__(self, url: str, kinds: dict[str, str]) -> None:
        self.spelling = url
        self.db = psycopg.connect(url, autocommit=True, row_factory=dict_row)
        self.execute(_POSTGRES.format(**kinds))
        self.execute(_ROWS)

    def execute(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        found = self.db.execute(statement.replace("?", "%s"), values or None)
        return found.fetchall() if found.description else []

    def digest(self) -> str:
        return str([self.execute("SELECT xmin, t::text FROM workflow_history t ORDER BY 2"), sorted(self.tables())])

    def tables(self) -> set[str]:
        query = "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
        return {row["relname"] for row in self.execute(query)}

    def close(self) -> None:
        self.db.close()


def row_of(application: Application, adw_id: str) -> dict[str, Any]:
    """A row as the application reads it."""
    (found,) = application.execute("SELECT * FROM workflow_history WHERE adw_id = ?", adw_id)
    return found


def restored(backup: Path, path: Path) -> None:
    """A SQLite backup, put back by SQLite's own backup API."""
    with closing(sqlite3.connect(backup)) as before, closing(sqlite3.connect(path)) as database:
        before.backup(database)

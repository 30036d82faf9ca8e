"""The tables of a history in PostgreSQL: versions of the rows, and the views that show one of them.

A rebuild fills the tables of a new version, such as `workflow_history_7`, and then points the views at them: readers,
their grants and their open statements use one version or the other, as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, Final

import orjson

from ledger.errors import HistoryUnavailable
from projections.folding.row import COLUMNS, Row
from projections.history.postgres.connection import Cursor
from projections.history.sql_scripts import statements
from projections.history.store import FOLD_VERSION

__all__ = ["BUILDING", "ROW", "VERSIONS", "Tables", "only", "records"]

SCHEMA_VERSION: Final = 7
VERSIONS: Final = {"schema_version": SCHEMA_VERSION, "fold_version": FOLD_VERSION}
BUILDING: Final = "building_version"
"""The key in `costledger_meta` of the version that projectors are filling."""

_RELATION: Final = "SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname = %s"
"""Not `to_regclass`, whose cache may be older than a table that another session created."""
_VERSIONED: Final = re.compile(r"CREATE (?:TABLE|INDEX) (\w+)_N\b")
_MOMENTS: Final = frozenset({"start_time", "end_time", "last_activity", "created_at", "updated_at"})
_TEXT_OF_MOMENT: Final = """'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""
_KINDS: Final = {column.name: str(column.type).partition(" ")[0] for column in fields(Row)}


class Tables:
    """Our tables in the schema that a session's `search_path` names first."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._shared = [text for text in statements("postgres") if not _VERSIONED.match(text)]
        self._versioned = [text for text in statements("postgres") if _VERSIONED.match(text)]
        made = [match for text in self._versioned if (match := _VERSIONED.match(text))]
        self.names: Final = tuple(match[1] for match in made if "TABLE" in match[0])

    def prepare(self, cursor: Cursor) -> None:
        """Create our tables, or bring them to the versions of this program.

        Raises:
            HistoryUnavailable: the tables are another application's, or of a newer version.
        """
        if self.is_of_another(cursor):
            raise HistoryUnavailable(
                self._where,
                "its table workflow_history is another application's and was left as it is; name another database or "
                "schema (?options=-csearch_path%3DSCHEMA)",
            )
        if not self.meta(cursor).items() >= VERSIONS.items():
            self.lock(cursor)
            versions = self.meta(cursor)
            if not versions.items() >= VERSIONS.items():
                self.make_shared(cursor)
            if versions:
                self._store_rows_before(cursor)
            if versions.get("schema_version") != VERSIONS["schema_version"]:
                self.drop_views(cursor)
            if not versions.items() >= VERSIONS.items():
                self.forget(cursor, BUILDING)
                self.show(cursor, self.make(cursor))
                self.remember(cursor, **VERSIONS)

    def _store_rows_before(self, cursor: Cursor) -> None:
        """Store what rows show before every ledger is folded again."""
        cursor.execute(
            "INSERT INTO costledger_upgrade SELECT h.adw_id, actual_cost_total, actual_cost_nanousd, status, c.seq "
            "FROM workflow_history h JOIN costledger_checkpoint c ON c.workflow_id = h.adw_id "
            "WHERE c.seq > 0 ON CONFLICT DO NOTHING"
        )

    def lock(self, cursor: Cursor) -> None:
        """Let no other session prepare this schema until the transaction ends."""
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('costledger ' || current_schema(), 0))")

    def lock_against_swaps(self, cursor: Cursor) -> None:
        """Let no other session change the shown version until the transaction ends; the first lock of any writer."""
        cursor.execute("LOCK TABLE costledger_meta IN ROW SHARE MODE")

    def lock_against_writers(self, cursor: Cursor) -> None:
        """Let no other session write until the transaction ends; readers go on."""
        cursor.execute("LOCK TABLE costledger_meta IN EXCLUSIVE MODE")

    def exists(self, cursor: Cursor, name: str) -> bool:
        """Return whether the schema has a table or view of this name."""
        return bool(only(cursor.execute(f"SELECT count(*) FROM ({_RELATION}) found", (name,))))

    def is_of_another(self, cursor: Cursor) -> bool:
        """Return whether there is a table `workflow_history` of another application."""
        # In this order: another process may be creating ours meanwhile, all in one transaction.
        return self.exists(cursor, "workflow_history") and "rows_version" not in self.meta(cursor)

    def meta(self, cursor: Cursor) -> dict[str, int]:
        """Return the versions that this history was written by; empty when it is not one of ours.

        Raises:
            HistoryUnavailable: they are newer than this program.
        """
        if not self.exists(cursor, "costledger_meta"):
            return {}
        found: dict[str, int] = dict(cursor.execute("SELECT key, value FROM costledger_meta").fetchall())
        if found.get("schema_version", 0) > SCHEMA_VERSION or found.get("fold_version", 0) > FOLD_VERSION:
            raise HistoryUnavailable(
                self._where,
                f"was written by a newer version (schema {found.get('schema_version')}, this one reads up to "
                f"{SCHEMA_VERSION}); upgrade costledger, or name another database or schema",
            )
        return found

    def make_shared(self, cursor: Cursor) -> None:
        """Create the tables that all versions share."""
        for statement in self._shared:
            cursor.execute(statement)

    def remember(self, cursor: Cursor, **values: int) -> None:
        """Store values that `meta` reads."""
        upsert = (
            "INSERT INTO costledger_meta (key, value) VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = "
            "excluded.value"
        )
        cursor.executemany(upsert, list(values.items()))

    def forget(self, cursor: Cursor, key: str) -> None:
        """Delete a value that `meta` reads."""
        cursor.execute("DELETE FROM costledger_meta WHERE key = %s", (key,))

    def make(self, cursor: Cursor) -> int:
        """Create the empty tables of a new version, which is not shown yet, and return its number."""
        version = int(only(cursor.execute("SELECT nextval('costledger_version')")))
        for statement in self._versioned:
            cursor.execute(statement.replace("_N ", f"_{version} "))
        return version

    def show(self, cursor: Cursor, version: int) -> None:
        """Point the views at a version; the previous one stays, older ones are dropped."""
        self.drop(cursor, [old for old in self.old_versions(cursor) if old != version])
        for name in self.names:
            cursor.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM {name}_{version}")
        self.remember(cursor, rows_version=version)

    def drop(self, cursor: Cursor, versions: Iterable[int]) -> None:
        """Drop the tables of these versions."""
        for version in versions:
            for name in self.names:
                cursor.execute(f"DROP TABLE IF EXISTS {name}_{version}")

    def drop_views(self, cursor: Cursor) -> None:
        """Drop the views, so that views of other columns can be created."""
        for name in self.names:
            cursor.execute(f"DROP VIEW IF EXISTS {name}")

    def old_versions(self, cursor: Cursor) -> list[int]:
        """Return the versions that were replaced, in order."""
        meta = self.meta(cursor)
        found = cursor.execute(
            "SELECT substring(relname FROM '[0-9]+$')::bigint FROM pg_class WHERE relkind IN ('r', 'p') "
            "AND relnamespace = current_schema()::regnamespace AND relname ~ '^workflow_history_[0-9]+$' ORDER BY 1"
        )
        return [int(version) for (version,) in found if version not in (meta.get("rows_version"), meta.get(BUILDING))]


def records(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows for `json_populate_recordset`, so that one statement takes many of them."""
    return orjson.dumps([dict(zip(columns, row, strict=True)) for row in rows]).decode()


def _read(name: str) -> str:
    """Return the expression that gives a column's value of a `Row`."""
    if name in _MOMENTS:
        return f"to_char({name} AT TIME ZONE 'UTC', {_TEXT_OF_MOMENT})"
    return f"{name}::{ {'int': 'bigint', 'float': 'float8', 'str': 'text'}[_KINDS[name]] }"


ROW: Final = ", ".join(map(_read, COLUMNS))
"""The expressions that give the values of a `Row`."""


def only(cursor: Cursor) -> Any:
    """Return the value of a query with one row and one column."""
    values = cursor.fetchone()
    assert values is not None
    return values[0]

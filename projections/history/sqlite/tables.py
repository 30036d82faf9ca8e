"""The tables of a history in SQLite, and the values of their rows."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Final

from ledger.errors import HistoryUnavailable
from ledger.events.timestamps import Clock
from projections.folding.row import COLUMNS
from projections.history.sql_scripts import statements
from projections.history.sqlite import chunks, pages
from projections.history.sqlite.connection import SqliteConnection
from projections.history.store import FOLD_VERSION, KNOWN, Stored, stored_cost

__all__ = ["BEFORE", "SCHEMA_VERSION", "STORED", "UPSERT", "make_tables", "stored_of", "values_of"]

SCHEMA_VERSION: Final = 10
_OLD_SUMS: Final = (
    "costledger_spend_hour",
    "costledger_spend_hour_agent",
    "costledger_spend_workflow",
    "costledger_stale_hour",
    "costledger_stale_workflow",
)
"""Tables of version 9."""
VERSIONS: Final = {"schema_version": SCHEMA_VERSION, "fold_version": FOLD_VERSION}

STORED: Final = f"SELECT adw_id, actual_cost_total, actual_cost_nanousd, status, {KNOWN} FROM workflow_history"
"""The rows that `stored_of` reads."""

MAYBE_EDITED: Final = (
    f"(actual_cost_total IS NOT actual_cost_nanousd / 1e9 OR actual_cost_nanousd >= {2**53})"  # exact below
)
"""The rows of which `stored_of` may say that their cost was edited."""

BEFORE: Final = "SELECT adw_id, actual_cost_total, actual_cost_nanousd, status, TRUE, seq FROM costledger_upgrade"
"""The same as they were before an upgrade, and the seq of their checkpoint."""

UPSERT: Final = (
    f"INSERT INTO workflow_history ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "
    f"ON CONFLICT (adw_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in COLUMNS[1:])}"
)

values_of: Final = attrgetter(*COLUMNS)
"""Return a row's values in the order of its columns."""


def stored_of(values: tuple[Any, ...]) -> Stored:
    """Return what a row of `STORED` shows."""
    _, total, exact, status, known = values
    return stored_cost(total, exact, status, known=bool(known))


def make_tables(connection: SqliteConnection, clock: Clock) -> None:
    """Create our tables in an empty database, or bring ours to the versions of this program.

    Raises:
        HistoryUnavailable: the tables are another application's, or of a newer version.
    """
    db = connection.db
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and ("costledger_meta" not in tables or "costledger_column" in tables):
        raise HistoryUnavailable(
            connection.path,
            "is a database of another application and was left as it is; use another data directory, or "
            f"have its table kept right with --history sqlite:{connection.path}",
        )
    versions = _versions(connection) if tables else {}
    if versions == VERSIONS:
        return
    connection.use_write_ahead_log()
    with connection.transaction():
        if versions:
            _store_rows_before(connection)
        if versions.get("schema_version", SCHEMA_VERSION) < SCHEMA_VERSION:
            db.execute("DROP TABLE workflow_history")
            for table in (
                "costledger_spend",
                "costledger_total",
                "costledger_part",
                "costledger_move",
                *chunks.TABLES,
                *_OLD_SUMS,
            ):
                db.execute(f"DROP TABLE IF EXISTS {table}")
        pages.make_changes(db, clock())
        for statement in (*statements("sqlite"), *pages.statements(), *chunks.statements()):
            db.execute(statement)
        db.execute("DELETE FROM costledger_checkpoint")  # so that every ledger is folded again
        db.execute(
            "INSERT OR REPLACE INTO costledger_meta (key, value) VALUES ('schema_version', ?), ('fold_version', ?)",
            (SCHEMA_VERSION, FOLD_VERSION),
        )


def _versions(connection: SqliteConnection) -> dict[str, int]:
    """Return the versions that a database was written by.

    Raises:
        HistoryUnavailable: they are newer than this program.
    """
    versions: dict[str, int] = dict(connection.db.execute("SELECT key, value FROM costledger_meta"))
    if versions.get("schema_version", 0) > SCHEMA_VERSION or versions.get("fold_version", 0) > FOLD_VERSION:
        raise HistoryUnavailable(
            connection.path,
            f"was written by a newer version (schema {versions.get('schema_version')}, this one reads up to "
            f"{SCHEMA_VERSION}); upgrade costledger, or delete the file: `costledger refresh` makes a new one",
        )
    return versions


def _store_rows_before(connection: SqliteConnection) -> None:
    """Store what rows show before every ledger is folded again."""
    for statement in statements("sqlite"):
        if "costledger_upgrade" in statement:
            connection.db.execute(statement)
    connection.db.execute(
        "INSERT OR IGNORE INTO costledger_upgrade SELECT h.adw_id, h.actual_cost_total, h.actual_cost_nanousd, "
        "h.status, c.seq FROM workflow_history h JOIN costledger_checkpoint c ON c.workflow_id = h.adw_id"
    )

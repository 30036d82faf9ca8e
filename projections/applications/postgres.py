"""An application's table in PostgreSQL: the session's first schema, read in read-only transactions."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

from psycopg import sql

from ledger.errors import HistoryUnavailable
from ledger.events import timestamps as clocks
from projections.applications.database import RunStatement
from projections.history.postgres.connection import Cursor, PostgresConnection
from projections.history.postgres.tables import Tables

__all__ = ["PostgresDatabase"]

T = TypeVar("T")

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('costledger application ' || current_schema(), 0))"
_WAIT: Final = "SET LOCAL lock_timeout = '10s'"
_READ_WAIT: Final = "SET LOCAL lock_timeout = '2s'"
"""The time to wait for a lock of the application; shorter for a reader, since a page may be waiting for it."""

_COLUMNS: Final = (
    "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = (SELECT oid FROM pg_class "
    "WHERE relnamespace = current_schema()::regnamespace AND relname = ?) AND attnum > 0 AND NOT attisdropped "
    "AND attgenerated = '' ORDER BY attnum"
)
"""All but generated columns, which cannot be written."""
_UNIQUE: Final = (
    "SELECT a.attname FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_attribute a ON a.attrelid = "
    "i.indrelid AND a.attnum = i.indkey[0] WHERE c.relnamespace = current_schema()::regnamespace "
    "AND c.relname = 'workflow_history' AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1 "
    "AND i.indpred IS NULL AND i.indexprs IS NULL"
)
"""The columns that are a key by themselves."""
_NUMBERS: Final = ("numeric", "double precision", "real", "bigint", "integer")
_CHANGES: Final = "SELECT count(*), max(xmin::text::bigint) FROM workflow_history"
_TEXT_OF_MOMENT: Final = """'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""


class PostgresDatabase:
    """A `Database` in the schema that a session's `search_path` names first.

    A session of its own writes, so that readers do not wait for a write that waits for a lock.

    Args:
        url: as `PostgresConnection` reads it.

    Raises:
        HistoryUnavailable: by every method.
    """

    serial = "bigserial PRIMARY KEY"
    for_update = " FOR UPDATE"

    def __init__(self, url: str) -> None:
        self._reader, self._writer = PostgresConnection(url), PostgresConnection(url)
        self.where = self._reader.where

    @property
    def is_ours(self) -> bool:
        """Whether there is no table `workflow_history`, or it is a history of our own."""
        return not self._reader.run(Tables(self.where).is_of_another)

    def check(self) -> None:
        """Check that the table can be a copy of our rows.

        Raises:
            HistoryUnavailable: it cannot.
        """
        unique, columns = self.read(lambda run: (run(_UNIQUE), self.columns(run, "workflow_history")))
        if ("adw_id",) not in unique:
            raise HistoryUnavailable(self.where, "has no table workflow_history whose adw_id is unique")
        kind = columns.get("actual_cost_total", "numeric")
        if not kind.startswith(_NUMBERS):
            raise HistoryUnavailable(self.where, f"its column actual_cost_total is {kind}, not a number")

    def read(self, work: Callable[[RunStatement], T]) -> T:
        """See `Database.read`."""

        def reading(cursor: Cursor) -> T:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute(_READ_WAIT)
            return work(_runs(cursor))

        return self._reader.run(reading)

    def write(self, work: Callable[[RunStatement], T]) -> T:
        """See `Database.write`."""

        def writing(cursor: Cursor) -> T:
            cursor.execute(_WAIT)
            cursor.execute(_LOCK)
            return work(_runs(cursor))

        return self._writer.run(writing)

    def columns(self, run: RunStatement, table: str) -> dict[str, str]:
        """See `Database.columns`."""
        return dict(run(_COLUMNS, (table,)))

    def reads(self, name: str, kind: str) -> str:
        """See `Database.reads`."""
        if kind.startswith("timestamp"):
            utc = f"{name} AT TIME ZONE 'UTC'" if kind.endswith("with time zone") else name
            return f"to_char({utc}, {_TEXT_OF_MOMENT})"
        return f"{name}::text" if kind in ("json", "jsonb") else name

    def as_column(self, kind: str, value: Any) -> Any:
        """See `Database.as_column`."""
        if not isinstance(value, int | float):
            return value
        name, _, rest = kind.partition("(")
        if name == "numeric" and rest:
            scale = int(rest.rstrip(")").partition(",")[2] or 0)
            return Decimal(repr(value)).quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)
        if name == "real":
            return _shortest(struct.pack("f", value))
        return round(value) if name in ("bigint", "integer", "smallint") else value

    def back_up(self, run: RunStatement, folder: Path, columns: Sequence[str]) -> Path:
        """See `Database.back_up`: SQL that sets the columns back, of every row, and drops our table."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"workflow_history-{clocks.now():%Y%m%dT%H%M%S_%fZ}.sql"
        [(schema,)] = run("SELECT current_schema()::text")
        texts = ", ".join(f"{name}::text" for name in columns)
        with path.open("x", encoding="utf-8") as file:
            file.write(f"-- The values of these columns of workflow_history in {self.where} before the first write.\n")
            file.write(f"BEGIN;\nSET LOCAL search_path = {sql.Identifier(schema).as_string()};\n")
            file.write("DROP TABLE IF EXISTS costledger_written;\n")
            for adw_id, *values in run(f"SELECT adw_id, {texts} FROM workflow_history ORDER BY adw_id"):
                parts = [
                    sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value))
                    for name, value in zip(columns, values, strict=True)
                ]
                statement = sql.SQL("UPDATE workflow_history SET {} WHERE adw_id = {};\n")
                file.write(statement.format(sql.SQL(", ").join(parts), sql.Literal(adw_id)).as_string())
            file.write("COMMIT;\n")
        return path

    def state(self) -> object:
        """See `Database.state`: the newest transaction that wrote a row, and how many there are."""
        return self.read(lambda run: run(_CHANGES))

    def close(self) -> None:
        """See `Database.close`."""
        self._reader.close()
        self._writer.close()


def _shortest(single: bytes) -> float:
    """Return the shortest decimal of a number of single precision, as PostgreSQL does (nine digits suffice)."""
    (value,) = struct.unpack("f", single)
    found = (float(f"{value:.{digits}g}") for digits in range(6, 10))
    return next(each for each in found if struct.pack("f", each) == single)


def _runs(cursor: Cursor) -> RunStatement:
    def run(statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        found = cursor.execute(statement.replace("?", "%s"), list(values) or None)
        return found.fetchall() if found.description else []

    return run

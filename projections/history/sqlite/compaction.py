"""Compaction: makes the chunks of spend again for the workflows that triggers have marked since."""

from __future__ import annotations

import contextlib
import sqlite3
import struct
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, Final, TypeVar

from projections.folding.spend import AMOUNTS, NAMES
from projections.history.packed import pack
from projections.history.sqlite.chunks import (
    CHUNKS,
    COLUMNS,
    LEVELS,
    NUMBERS,
    SIZE,
    STALE,
    Level,
    SpendRow,
    encoded,
    json_of,
)

__all__ = ["compact", "marked"]

_T = TypeVar("_T")
_COMPACTING: Final = threading.Lock()

_CHUNKS_AT_ONCE: Final = 4
_WAIT_MS: Final = 100
"""How long it waits for a writer that comes between its transactions."""

_LANES: Final = struct.Struct(">" + "4xQ" * len(AMOUNTS))
_REVERSED: Final = ", ".join(f"s.{name}" for name in reversed(AMOUNTS))
_NAMED: Final = ", ".join(f"s.{name}" for name in NAMES)


def compact(db: sqlite3.Connection) -> None:
    """Make the chunks again of what is marked, a few in each transaction, unless another connection writes.

    Nothing else depends on it: a query reads the spend of what stays marked. Threads of one process wait for the one
    that makes them, since each would read the spend of all that is marked meanwhile.
    """
    with _COMPACTING:
        if db.in_transaction or not db.execute(f"SELECT 1 FROM {STALE} LIMIT 1").fetchall():
            return
        (wait,) = db.execute("PRAGMA busy_timeout").fetchone()
        try:
            db.execute("PRAGMA busy_timeout = 0")
            chunks = _in_transaction(db, _number_marked)
            db.execute(f"PRAGMA busy_timeout = {_WAIT_MS}")
            for at in range(0, len(chunks), _CHUNKS_AT_ONCE):
                _in_transaction(db, partial(_make, chunks=chunks[at : at + _CHUNKS_AT_ONCE]))
        except sqlite3.Error:
            return
        finally:
            db.execute(f"PRAGMA busy_timeout = {wait}")


def _in_transaction(db: sqlite3.Connection, step: Callable[[sqlite3.Connection], _T]) -> _T:
    db.execute("BEGIN IMMEDIATE")
    try:
        result = step(db)
        db.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    return result


def _number_marked(db: sqlite3.Connection) -> list[int]:
    """Give numbers to workflows that have spend, unmark those that never had any, and return the chunks to make."""
    spent = "(SELECT max(quarter) FROM costledger_spend AS s WHERE s.adw_id = stale.adw_id)"
    db.execute(
        f"INSERT OR IGNORE INTO {NUMBERS} (adw_id) SELECT adw_id FROM {STALE} AS stale "
        f"WHERE {spent} IS NOT NULL ORDER BY {spent}, adw_id"
    )
    db.execute(f"DELETE FROM {STALE} WHERE adw_id NOT IN (SELECT adw_id FROM {NUMBERS})")
    found = db.execute(f"SELECT DISTINCT number / {SIZE} FROM {NUMBERS} JOIN {STALE} USING (adw_id) ORDER BY 1")
    return [chunk for (chunk,) in found]


def _make(db: sqlite3.Connection, chunks: Iterable[int]) -> None:
    """Make chunks from the spend of their workflows, and unmark those."""
    for chunk in chunks:
        first, number = chunk * LEVELS, chunk * SIZE
        within = f"number BETWEEN {number} AND {number + SIZE - 1}"
        db.execute(f"DELETE FROM {STALE} WHERE adw_id IN (SELECT adw_id FROM {NUMBERS} WHERE {within})")
        db.execute(
            f"DELETE FROM {NUMBERS} WHERE {within} "
            f"AND NOT EXISTS (SELECT 1 FROM costledger_spend AS s WHERE s.adw_id = {NUMBERS}.adw_id)"
        )
        db.execute(f"DELETE FROM {CHUNKS} WHERE number BETWEEN {first} AND {first + LEVELS - 1}")
        for at, level in enumerate(_levels_of(db, f"(SELECT number, adw_id FROM {NUMBERS} WHERE {within})")):
            values: dict[str, Any] = {
                **level._asdict(),
                "number": first + at,
                **{str(name): text for name, text in level.columns.items()},
            }
            del values["columns"]
            marks = ", ".join(f":{name}" for name in values)
            db.execute(f"INSERT INTO {CHUNKS} ({', '.join(values)}) VALUES ({marks})", values)


def _levels_of(db: sqlite3.Connection, numbers: str) -> list[Level]:
    """Return the levels of the workflows of a table of numbers and ids; nothing when they spent nothing."""
    other = ", ".join(COLUMNS[1:])
    found = db.execute(f"SELECT number, adw_id, {other} FROM {numbers} LEFT JOIN workflow_history USING (adw_id)")
    columns_of = {number: values for number, *values in found}
    spend = db.execute(
        f"SELECT n.number, {_NAMED}, {_REVERSED} FROM {numbers} AS n "
        "CROSS JOIN costledger_spend AS s ON s.adw_id = n.adw_id ORDER BY n.number"
    )
    rows, columns = list[list[SpendRow]](), list[list[Any]]()
    for number, spent in groupby(spend, itemgetter(0)):
        rows.append([(row[1], (row[2], row[4], row[5], row[6]), row[3], _packed(row[7:])) for row in spent])
        rows[-1].sort(key=itemgetter(0))
        columns.append(columns_of[number])
    if not rows:
        return []
    quarters: dict[int, list[SpendRow]] = {}
    for row in sorted(chain.from_iterable(rows), key=itemgetter(0)):
        quarters.setdefault(row[0], []).append(row)
    named = {name: json_of(values) for name, values in zip(COLUMNS, zip(*columns, strict=True), strict=True)}
    each_quarter = list(quarters.values())
    return [
        encoded(each_quarter, [_summed(of, _without_run) for of in each_quarter], named),
        encoded(rows, [_summed(each, _without_agent) for each in rows], named),
        encoded(rows, [_summed(each, itemgetter(1, 2)) for each in rows], named),
        encoded(rows, rows, named),
    ]


def _without_run(row: SpendRow) -> tuple[tuple[Any, ...], None]:
    return (None, *row[1][1:3], None), None


def _without_agent(row: SpendRow) -> tuple[tuple[Any, ...], None]:
    return (None, *row[1][1:]), None


def _summed(
    rows: Sequence[SpendRow], key_of: Callable[[SpendRow], tuple[tuple[Any, ...], str | None]]
) -> list[SpendRow]:
    """Return the sums of rows by a name and a session, at the last quarter hour of each."""
    sums: dict[tuple[tuple[Any, ...], str | None], tuple[int, int]] = {}
    for row in rows:
        key = key_of(row)
        before = sums.get(key)
        sums[key] = (row[0], row[3] if before is None else row[3] + before[1])
    return [(quarter, *key, packed) for key, (quarter, packed) in sums.items()]


def _packed(figures: Sequence[int]) -> int:
    """Return figures in the reverse order of `AMOUNTS` as a packed integer."""
    try:
        return int.from_bytes(_LANES.pack(*figures))
    except struct.error:  # a negative one
        return pack(reversed(figures))


def marked(db: sqlite3.Connection) -> tuple[frozenset[str], list[Level]]:
    """Return the workflows that are marked, and the levels of their spend; nothing when there is none."""
    ids = frozenset([adw_id for (adw_id,) in db.execute(f"SELECT adw_id FROM {STALE}")])
    if not ids:
        return ids, []
    return ids, _levels_of(db, f"(SELECT row_number() OVER (ORDER BY adw_id) AS number, adw_id FROM {STALE})")

"""Spend in chunks that answer every question of sums without a scan of `costledger_spend`.

A chunk has the spend of 128 workflows in a few values, since one row of a table takes longer to read than fifty numbers
of a value do: the columns of their rows, and of their spend the quarter hours, names and figures. It is stored at four
levels: the sums of all its workflows by quarter hour, model and evidence; the sums of each workflow by model, evidence
and run; its sums by agent and session, too; and the rows of `costledger_spend` as they are, which only those workflows
need that are not within one of the periods that are asked for.

Triggers mark the workflows whose spend or whose row changed, in the same transaction. A query reads the spend of what
is marked, and the chunks of all else; `compact` makes the chunks of what is marked again, when nothing else writes.
"""

from __future__ import annotations

import contextlib
import sqlite3
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple, get_args

import orjson

from projections.folding.spend import AMOUNTS, NAMES
from projections.history.packed import LANE_BYTES, pack
from projections.history.spend_groups import OWN, Group

__all__ = [
    "COLUMNS",
    "QUARTERS",
    "ROWS",
    "SUMS",
    "SUMS_BY_AGENT",
    "TABLES",
    "Level",
    "compact",
    "marked",
    "statements",
    "stored",
]

_CHUNKS: Final = "costledger_chunk"
_NUMBERS: Final = "costledger_number"
_STALE: Final = "costledger_stale"
TABLES: Final = (_CHUNKS, _NUMBERS, _STALE)

LEVELS: Final = 4
QUARTERS, SUMS, SUMS_BY_AGENT, ROWS = range(LEVELS)

_COMPACTING: Final = threading.Lock()

SIZE: Final = 128
"""The workflows of a chunk; to make one again takes 10 ms."""

COLUMNS: Final[tuple[Group, ...]] = tuple(name for name in get_args(Group) if name not in OWN)
"""The columns of a workflow's row that a chunk has."""

_SECTIONS: Final = 3
_INT: Final = 4
_SIGNED_WIDTH: Final = 128
"""The bytes of the figures of a row where some are negative; all ten lanes have 120."""
_LANES: Final = struct.Struct(">" + "4xQ" * len(AMOUNTS))
_REVERSED: Final = ", ".join(f"s.{name}" for name in reversed(AMOUNTS))
_NAMED: Final = ", ".join(f"s.{name}" for name in NAMES)


_Row = tuple[int, tuple[Any, ...], str | None, int]
"""A row of a level: its quarter hour, its agent, model, evidence and run, its session, and its packed figures."""


class Level(NamedTuple):
    """A level of the spend of a chunk, by workflow and within it in the order of quarter hours.

    Of `QUARTERS`, a quarter hour is in the place of a workflow.

    Attributes:
        number: that it is stored with.
        first, last: quarter hours of all of them.
        workflows: how many.
        names: JSON; lists of agent, model, evidence and run.
        numbers: integers of 32 bits. By workflow: the first and the last quarter hour, and how many rows it has; by
            row: its quarter hour or last one, and which of the names and of the sessions it has.
        figures: of each row as a packed integer, in equally many bytes.
        sessions: JSON; of the rows.
        columns: JSON by column; a list of the workflows' values.
    """

    number: int
    first: int
    last: int
    workflows: int
    names: str
    numbers: bytes
    figures: bytes
    sessions: str
    columns: Mapping[Group, str]

    def of_workflows(self, section: int) -> tuple[int, ...]:
        """Return the first quarter hours of the workflows, or the last ones, or the numbers of their rows."""
        return struct.unpack_from(f"<{self.workflows}i", self.numbers, section * _INT * self.workflows)

    def of_rows(self, section: int, runs: Iterable[slice]) -> list[int]:
        """Return the quarter hours of some runs of rows, or which names they have, or which sessions."""
        rows = (len(self.numbers) // _INT - _SECTIONS * self.workflows) // _SECTIONS
        begin, found = _SECTIONS * self.workflows + section * rows, list[int]()
        for run in runs:
            found += struct.unpack_from(f"<{run.stop - run.start}i", self.numbers, (begin + run.start) * _INT)
        return found

    def packed(self, runs: Iterable[slice]) -> Iterator[int]:
        """Yield the figures of some runs of rows."""
        rows = (len(self.numbers) // _INT - _SECTIONS * self.workflows) // _SECTIONS
        width = len(self.figures) // rows
        parts = b"".join([self.figures[run.start * width : run.stop * width] for run in runs])
        each = chain.from_iterable(struct.iter_unpack(f"{width}s", parts))
        return map(partial(int.from_bytes, signed=True) if width == _SIGNED_WIDTH else int.from_bytes, each)


def statements() -> Iterator[str]:
    """Yield the statements that create the tables and the triggers."""
    columns = ", ".join(f"{name} TEXT NOT NULL" for name in COLUMNS)
    yield (
        f"CREATE TABLE IF NOT EXISTS {_CHUNKS} (number INTEGER PRIMARY KEY, first INTEGER NOT NULL, "
        f"last INTEGER NOT NULL, workflows INTEGER NOT NULL, {columns}, names TEXT NOT NULL, numbers BLOB NOT NULL, "
        "figures BLOB NOT NULL, sessions TEXT NOT NULL) STRICT"
    )
    yield f"CREATE TABLE IF NOT EXISTS {_NUMBERS} (number INTEGER PRIMARY KEY, adw_id TEXT NOT NULL UNIQUE) STRICT"
    yield f"CREATE TABLE IF NOT EXISTS {_STALE} (adw_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID"
    changed = " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in COLUMNS)
    for table, updated, when in (
        ("costledger_spend", "UPDATE", ""),
        ("workflow_history", f"UPDATE OF {', '.join(COLUMNS)}", f"WHEN {changed}"),
    ):
        for name, event, condition, rows in (
            ("added", "INSERT", "", ("NEW",)),
            ("removed", "DELETE", "", ("OLD",)),
            ("changed", updated, when, ("OLD", "NEW")),
        ):
            body = " ".join(f"INSERT INTO {_STALE} VALUES ({row}.adw_id) ON CONFLICT DO NOTHING;" for row in rows)
            yield (f"CREATE TRIGGER IF NOT EXISTS {table}_{name} AFTER {event} ON {table} {condition} BEGIN {body} END")


def compact(db: sqlite3.Connection) -> None:
    """Make the chunks again of what is marked, unless another connection writes.

    Nothing else depends on it: a query reads the spend of what stays marked. Threads of one process wait for the one
    that makes them, since each would read the spend of all that is marked meanwhile.
    """
    with _COMPACTING:
        if not db.in_transaction and db.execute(f"SELECT 1 FROM {_STALE} LIMIT 1").fetchall():
            _try_to_compact(db)


def _try_to_compact(db: sqlite3.Connection) -> None:
    (wait,) = db.execute("PRAGMA busy_timeout").fetchone()
    db.execute("PRAGMA busy_timeout = 0")
    try:
        db.execute("BEGIN IMMEDIATE")
        _compact(db)
        db.execute("COMMIT")
    except sqlite3.Error:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
    finally:
        db.execute(f"PRAGMA busy_timeout = {wait}")


def _compact(db: sqlite3.Connection) -> None:
    spent = "(SELECT max(quarter) FROM costledger_spend AS s WHERE s.adw_id = stale.adw_id)"
    numbered = f"SELECT number FROM {_NUMBERS} JOIN {_STALE} USING (adw_id)"
    db.execute(
        f"INSERT OR IGNORE INTO {_NUMBERS} (adw_id) SELECT adw_id FROM {_STALE} AS stale "
        f"WHERE {spent} IS NOT NULL ORDER BY {spent}, adw_id"
    )
    chunks = [chunk for (chunk,) in db.execute(f"SELECT DISTINCT number / {SIZE} FROM ({numbered}) ORDER BY 1")]
    db.execute(
        f"DELETE FROM {_NUMBERS} WHERE number IN ({numbered}) "
        f"AND NOT EXISTS (SELECT 1 FROM costledger_spend AS s WHERE s.adw_id = {_NUMBERS}.adw_id)"
    )
    for chunk in chunks:
        first = chunk * LEVELS
        db.execute(f"DELETE FROM {_CHUNKS} WHERE number BETWEEN {first} AND {first + LEVELS - 1}")
        within = f"number BETWEEN {chunk * SIZE} AND {chunk * SIZE + SIZE - 1}"
        for at, level in enumerate(_encoded(db, f"(SELECT number, adw_id FROM {_NUMBERS} WHERE {within})")):
            values: dict[str, Any] = {
                **level._asdict(),
                "number": first + at,
                **{str(name): text for name, text in level.columns.items()},
            }
            del values["columns"]
            marks = ", ".join(f":{name}" for name in values)
            db.execute(f"INSERT INTO {_CHUNKS} ({', '.join(values)}) VALUES ({marks})", values)
    db.execute(f"DELETE FROM {_STALE}")


def _encoded(db: sqlite3.Connection, numbers: str) -> list[Level]:
    """Return the levels of the workflows of a table of numbers and ids; nothing when they spent nothing."""
    other = ", ".join(COLUMNS[1:])
    found = db.execute(f"SELECT number, adw_id, {other} FROM {numbers} LEFT JOIN workflow_history USING (adw_id)")
    columns_of = {number: values for number, *values in found}
    spend = db.execute(
        f"SELECT n.number, {_NAMED}, {_REVERSED} FROM {numbers} AS n "
        "CROSS JOIN costledger_spend AS s ON s.adw_id = n.adw_id ORDER BY n.number"
    )
    rows, columns = list[list[_Row]](), list[list[Any]]()
    for number, spent in groupby(spend, itemgetter(0)):
        rows.append([(row[1], (row[2], row[4], row[5], row[6]), row[3], _packed(row[7:])) for row in spent])
        rows[-1].sort(key=itemgetter(0))
        columns.append(columns_of[number])
    if not rows:
        return []
    quarters: dict[int, list[_Row]] = {}
    for row in sorted(chain.from_iterable(rows), key=itemgetter(0)):
        quarters.setdefault(row[0], []).append(row)
    named = {name: _json(values) for name, values in zip(COLUMNS, zip(*columns, strict=True), strict=True)}
    each_quarter = list(quarters.values())
    return [
        _level(
            each_quarter, [_summed(of, lambda row: ((None, *row[1][1:3], None), None)) for of in each_quarter], named
        ),
        _level(rows, [_summed(each, _without_agent) for each in rows], named),
        _level(rows, [_summed(each, itemgetter(1, 2)) for each in rows], named),
        _level(rows, rows, named),
    ]


def _without_run(row: _Row) -> tuple[tuple[Any, ...], None]:
    return (None, *row[1][1:3], None), None


def _without_agent(row: _Row) -> tuple[tuple[Any, ...], None]:
    return (None, *row[1][1:]), None


def _summed(rows: Sequence[_Row], key_of: Callable[[_Row], tuple[tuple[Any, ...], str | None]]) -> list[_Row]:
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


def _json(values: Sequence[Any]) -> str:
    return orjson.dumps(values).decode()


def _level(bounds: Sequence[Sequence[_Row]], rows: Sequence[Sequence[_Row]], columns: Mapping[Group, str]) -> Level:
    """Return a level.

    Args:
        bounds: rows of each workflow, or quarter hour, in the order of quarter hours.
        rows: of each of them, those of the level.
    """
    firsts, lasts = [each[0][0] for each in bounds], [each[-1][0] for each in bounds]
    quarters, names, sessions, figures = zip(*chain.from_iterable(rows), strict=True)
    name_at = {name: at for at, name in enumerate(dict.fromkeys(names))}
    session_at = {session: at for at, session in enumerate(dict.fromkeys(sessions))}
    of_rows = (*quarters, *map(name_at.__getitem__, names), *map(session_at.__getitem__, sessions))
    numbers = (*firsts, *lasts, *map(len, rows), *of_rows)
    signed, bits = min(figures) < 0, max(map(int.bit_length, figures))
    width = _SIGNED_WIDTH if signed else LANE_BYTES * max(1, -(-bits // (8 * LANE_BYTES)))
    return Level(
        0,
        min(firsts),
        max(lasts),
        len(rows),
        _json(list(name_at)),
        struct.pack(f"<{len(numbers)}i", *numbers),
        b"".join([packed.to_bytes(width, signed=signed) for packed in figures]),
        _json(list(session_at)),
        columns,
    )


def stored(
    db: sqlite3.Connection,
    level: int,
    columns: Sequence[Group],
    *,
    sessions: bool = False,
    first: int | None = None,
    last: int | None = None,
    number: int | None = None,
) -> Iterator[Level]:
    """Yield a level of the chunks that are stored.

    Args:
        columns: to read.
        sessions: also read these.
        first, last: leave out the chunks before and after these quarter hours.
        number: only the chunk that has another level with this one.
    """
    terms = [f"number % {LEVELS} = {level}"]
    if number is not None:
        terms = [f"number = {number // LEVELS * LEVELS + level}"]
    terms += [] if first is None else [f"last >= {first}"]
    terms += [] if last is None else [f"first <= {last}"]
    values = [*Level._fields[:-2], "sessions" if sessions else "'[]'", *columns]
    for found in db.execute(f"SELECT {', '.join(values)} FROM {_CHUNKS} WHERE {' AND '.join(terms)}"):
        named = found[len(found) - len(columns) :]
        yield Level._make([*found[: len(found) - len(columns)], dict(zip(columns, named, strict=True))])


def marked(db: sqlite3.Connection) -> tuple[frozenset[str], list[Level]]:
    """Return the workflows that are marked, and the levels of their spend; nothing when there is none."""
    ids = frozenset([adw_id for (adw_id,) in db.execute(f"SELECT adw_id FROM {_STALE}")])
    if not ids:
        return ids, []
    return ids, _encoded(db, f"(SELECT row_number() OVER (ORDER BY adw_id) AS number, adw_id FROM {_STALE})")

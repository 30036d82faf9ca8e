"""Spend in chunks that answer every question of sums without a scan of `costledger_spend`.

A chunk has the spend of 128 workflows in a few values, since one row of a table takes longer to read than fifty numbers
of a value do: the columns of their rows, and of their spend the quarter hours, names and figures. It is stored at four
levels: the sums of all its workflows by quarter hour, model and evidence; the sums of each workflow by model, evidence
and run; its sums by agent and session, too; and the rows of `costledger_spend` as they are, which only those workflows
need that are not within one of the periods that are asked for.

Triggers mark the workflows whose spend or whose row changed, in the same transaction. A query reads the spend of what
is marked, and the chunks of all else; `compaction.compact` makes the chunks of what is marked again.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, compress
from typing import Any, Final, NamedTuple, get_args

import orjson

from projections.history.packed import LANE_BYTES
from projections.history.spend_groups import OWN, Group

__all__ = [
    "CHUNKS",
    "COLUMNS",
    "LEVELS",
    "NUMBERS",
    "QUARTERS",
    "ROWS",
    "SIZE",
    "STALE",
    "SUMS",
    "SUMS_BY_AGENT",
    "TABLES",
    "Level",
    "SpendRow",
    "encoded",
    "json_of",
    "statements",
    "stored",
]

CHUNKS: Final = "costledger_chunk"
NUMBERS: Final = "costledger_number"
STALE: Final = "costledger_stale"
TABLES: Final = (CHUNKS, NUMBERS, STALE)

LEVELS: Final = 4
QUARTERS, SUMS, SUMS_BY_AGENT, ROWS = range(LEVELS)

SIZE: Final = 128
"""The workflows of a chunk; to make one again takes 10 ms."""

COLUMNS: Final[tuple[Group, ...]] = tuple(name for name in get_args(Group) if name not in OWN)
"""The columns of a workflow's row that a chunk has."""

_SECTIONS: Final = 3
_INT: Final = 4
_SIGNED_WIDTH: Final = 128
"""The bytes of the figures of a row where some are negative; all ten lanes have 120."""

SpendRow = tuple[int, tuple[Any, ...], str | None, int]
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

    def packed(self, runs: Iterable[slice], selected: Iterable[bool] | None = None) -> Iterator[int]:
        """Yield the figures of some runs of rows; only of those that are selected."""
        rows = (len(self.numbers) // _INT - _SECTIONS * self.workflows) // _SECTIONS
        width = len(self.figures) // rows
        parts = b"".join([self.figures[run.start * width : run.stop * width] for run in runs])
        each: Iterator[bytes] = chain.from_iterable(struct.iter_unpack(f"{width}s", parts))
        each = each if selected is None else compress(each, selected)
        return map(partial(int.from_bytes, signed=True) if width == _SIGNED_WIDTH else int.from_bytes, each)


def statements() -> Iterator[str]:
    """Yield the statements that create the tables and the triggers."""
    columns = ", ".join(f"{name} TEXT NOT NULL" for name in COLUMNS)
    yield (
        f"CREATE TABLE IF NOT EXISTS {CHUNKS} (number INTEGER PRIMARY KEY, first INTEGER NOT NULL, "
        f"last INTEGER NOT NULL, workflows INTEGER NOT NULL, {columns}, names TEXT NOT NULL, numbers BLOB NOT NULL, "
        "figures BLOB NOT NULL, sessions TEXT NOT NULL) STRICT"
    )
    yield f"CREATE TABLE IF NOT EXISTS {NUMBERS} (number INTEGER PRIMARY KEY, adw_id TEXT NOT NULL UNIQUE) STRICT"
    yield f"CREATE TABLE IF NOT EXISTS {STALE} (adw_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID"
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
            body = " ".join(f"INSERT INTO {STALE} VALUES ({row}.adw_id) ON CONFLICT DO NOTHING;" for row in rows)
            yield (f"CREATE TRIGGER IF NOT EXISTS {table}_{name} AFTER {event} ON {table} {condition} BEGIN {body} END")


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
    for found in db.execute(f"SELECT {', '.join(values)} FROM {CHUNKS} WHERE {' AND '.join(terms)}"):
        named = found[len(found) - len(columns) :]
        yield Level._make([*found[: len(found) - len(columns)], dict(zip(columns, named, strict=True))])


def json_of(values: Sequence[Any]) -> str:
    """Return values as the text of a column."""
    return orjson.dumps(values).decode()


def encoded(
    bounds: Sequence[Sequence[SpendRow]], rows: Sequence[Sequence[SpendRow]], columns: Mapping[Group, str]
) -> Level:
    """Return a level, which has no number yet.

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
        json_of(list(name_at)),
        struct.pack(f"<{len(numbers)}i", *numbers),
        b"".join([packed.to_bytes(width, signed=signed) for packed in figures]),
        json_of(list(session_at)),
        columns,
    )

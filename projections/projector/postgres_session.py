"""The shared state of projectors in PostgreSQL: the partitions of a replica, how far each was read, and the rows.

A partition belongs to the session that has its advisory lock, and only that session writes its rows. A process that
dies releases the lock with its connection, without any clock or lease.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from ledger.errors import HistoryUnavailable
from ledger.replication.replica import PARTITIONS
from ledger.storage.line import Head
from projections.folding.projection import Projected
from projections.history.postgres.connection import Cursor, PostgresConnection
from projections.history.postgres.history import PostgresHistory
from projections.history.postgres.tables import Tables, only, records
from projections.history.store import CostChange
from projections.projector.projector import ChainState, PartitionsMoved, Shared

_log = logging.getLogger("costledger")

__all__ = ["FREEZE", "PartitionState", "PostgresShared", "projection_of"]

_MEMBER: Final = 1_000_000
FREEZE: Final = 1_000_001
"""In addition to the partitions' numbers: a lock that every projector shares, so that they can count each other; and
one that every commit to the shown rows shares, and a rebuild takes exclusively for its last lines."""

_SILENT_SECONDS_MAX: Final = 60.0
"""How long a projector may be silent until it counts as stopped for good; it sends a query each second."""

_LOCKS: Final = (
    "FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid::bigint = %s::bigint & 4294967295 "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_SILENT: Final = "round(extract(epoch FROM clock_timestamp() - state_change), 3)::float8"
_UPSERT_CHAIN: Final = (
    "INSERT INTO {table} (workflow_id, origin, seq, size, hash, problem) "
    "SELECT workflow_id, origin, seq, size, hash, problem FROM json_populate_recordset(NULL::{table}, %s) "
    "ON CONFLICT (workflow_id, origin) DO UPDATE SET seq = excluded.seq, size = excluded.size, hash = excluded.hash, "
    "problem = excluded.problem"
)


class PartitionState(NamedTuple):
    """How far a partition was read, and the projector that has it.

    Attributes:
        projector: its database session; None: the partition is free.
        silent_seconds: the time since its last query, if this user may read it.
    """

    partition: int
    position: int
    projector: int | None
    silent_seconds: float | None = None


def projection_of(url: str) -> tuple[list[PartitionState], list[ChainState]]:
    """Return how far the projectors of a history are, and the chains that do not continue.

    Raises:
        HistoryUnavailable: it cannot be read.
    """
    connection = PostgresConnection(url)
    try:
        PostgresHistory(connection)
        return connection.run(_projection)
    finally:
        connection.close()


def _projection(cursor: Cursor) -> tuple[list[PartitionState], list[ChainState]]:
    version = Tables("").meta(cursor).get("rows_version", 0)
    partitions = cursor.execute(
        f"SELECT partition, position, pid, {_SILENT} FROM costledger_partition LEFT JOIN "
        f"(SELECT objid::bigint AS partition, pid {_LOCKS}) locks USING (partition) "
        "LEFT JOIN pg_stat_activity USING (pid) ORDER BY partition",
        (_lock_class(cursor, version),),
    ).fetchall()
    blocked = cursor.execute(
        "SELECT workflow_id, origin, seq, size, hash, problem FROM costledger_chain WHERE problem IS NOT NULL "
        "ORDER BY workflow_id, origin"
    ).fetchall()
    return [PartitionState(*values) for values in partitions], [ChainState(*values) for values in blocked]


def _lock_class(cursor: Cursor, version: object) -> int:
    """Return the first number of all advisory locks of a version of the rows in this schema."""
    name = "SELECT hashtext('costledger ' || current_schema() || ' ' || %s::text)"
    return int(only(cursor.execute(name, (str(version),))))


class PostgresShared(Shared):
    """One projector's session.

    Args:
        identity: of the replica that the rows come from.
        silent_seconds_max: a projector that is silent for longer loses its session, and so its partitions; what it
            was about to write is refused.

    Raises:
        HistoryUnavailable: at construction and by every method; then the session cannot be used again.
    """

    def __init__(self, url: str, identity: str, *, silent_seconds_max: float = _SILENT_SECONDS_MAX) -> None:
        self._silent_seconds_max = silent_seconds_max
        self._connection = PostgresConnection(url, reconnects=False)
        self._tables = Tables(self._connection.where)
        self._identity = identity
        self._history = PostgresHistory(self._connection)
        try:
            self._version = self._connection.run(self._begin)
        except BaseException:
            self.close()
            raise
        self._mine: set[int] = set()

    _hidden = ""
    _key = "rows_version"

    def _begin(self, cursor: Cursor) -> int:
        version = self._tables.meta(cursor).get(self._key, 0)
        self._join(cursor, version)
        return version

    def _join(self, cursor: Cursor, version: int) -> None:
        """Join the projectors of a version, and create its partitions where they are missing."""
        self._locks, self._schema = _lock_class(cursor, version), _lock_class(cursor, "rows")
        cursor.execute("SELECT pg_advisory_lock_shared(%s, %s)", (self._locks, _MEMBER))
        self._check_rows(cursor)
        cursor.execute(
            f"INSERT INTO costledger_partition{self._hidden} (partition, position, replica) "
            "SELECT number, 0, %s FROM generate_series(0, %s) AS number ON CONFLICT DO NOTHING",
            (self._identity, PARTITIONS - 1),
        )
        replicas = cursor.execute(f"SELECT DISTINCT replica FROM costledger_partition{self._hidden}").fetchall()
        if replicas != [(self._identity,)]:
            raise HistoryUnavailable(
                self._connection.where,
                f"its rows come from another replica ({replicas[0][0]}), and this is {self._identity}; replay this one "
                "into new rows: costledger project --rebuild",
            )

    def _check_rows(self, cursor: Cursor) -> None:
        """Refuse rows that a refresh made; another application's table may be written.

        Raises:
            HistoryUnavailable: a refresh made them.
        """
        refreshed = "SELECT EXISTS (TABLE costledger_checkpoint) AND NOT EXISTS (TABLE costledger_partition)"
        if not self._hidden and only(cursor.execute(refreshed)):
            raise HistoryUnavailable(
                self._connection.where,
                "its rows come from a refresh of one host's ledgers; name another database or schema, or replay the "
                "replica into new rows: costledger project --rebuild",
            )

    def close(self) -> None:
        """End the session, and release all partitions; idempotent."""
        self._connection.close()

    def claim(self) -> dict[int, int]:
        return self._connection.run(self._claim)

    def _claim(self, cursor: Cursor) -> dict[int, int]:
        self._check_version(cursor)
        found = cursor.execute(f"SELECT objid::bigint, mode {_LOCKS}", (self._locks,)).fetchall()
        members = sum(1 for number, _ in found if number == _MEMBER)
        share = -(-PARTITIONS // max(1, members))
        for number in sorted(self._mine)[share:]:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", (self._locks, number))
            self._mine.discard(number)
        taken = {number for number, _ in found}
        if len(self._mine) < share:
            self._end_silent(cursor)
        for number in range(PARTITIONS):
            if len(self._mine) >= share:
                break
            if number not in taken and only(
                cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", (self._locks, number))
            ):
                self._mine.add(number)
        query = f"SELECT partition, position FROM costledger_partition{self._hidden} WHERE partition = ANY(%s)"
        return dict(cursor.execute(query, (list(self._mine),)).fetchall())

    def _end_silent(self, cursor: Cursor) -> None:
        """End the sessions of projectors that hang: stopped, or cut off without notice to the server.

        Their partitions are free at the next claim.
        """
        ended = cursor.execute(
            f"SELECT pid, {_SILENT}, pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user "
            f"AND pid <> pg_backend_pid() AND state <> 'active' AND {_SILENT} > %s "
            f"AND pid IN (SELECT pid {_LOCKS})",
            (self._silent_seconds_max, self._locks),
        ).fetchall()
        for pid, seconds, _ in ended:
            _log.warning("projector %d has been silent for %.0f s: its partitions are taken over", pid, seconds)

    def alive(self) -> None:
        self._connection.run(lambda cursor: cursor.execute("SELECT 1"))

    def has_read(self, ends: Mapping[int, int]) -> bool:
        """Return whether the rows have every line up to these positions, by any projector.

        Raises:
            PartitionsMoved: the rows were replaced.
        """

        def work(cursor: Cursor) -> bool:
            self._check_version(cursor)
            query = f"SELECT partition, position FROM costledger_partition{self._hidden}"
            positions: dict[int, int] = dict(cursor.execute(query).fetchall())
            return all(end <= positions[number] for number, end in ends.items())

        return self._connection.run(work)

    def furthest(self) -> tuple[int, str | None]:
        query = f"SELECT position, mark FROM costledger_partition{self._hidden} ORDER BY position DESC LIMIT 1"

        def work(cursor: Cursor) -> tuple[int, str | None]:
            position, mark = cursor.execute(query).fetchall()[0]
            return position, mark

        return self._connection.run(work)

    def chains(self, workflow_ids: Collection[str]) -> dict[str, dict[str, Head]]:
        query = (
            f"SELECT workflow_id, origin, seq, size, hash FROM costledger_chain{self._hidden} "
            "WHERE workflow_id = ANY(%s)"
        )
        found = self._connection.run(lambda cursor: cursor.execute(query, (list(workflow_ids),)).fetchall())
        chains: dict[str, dict[str, Head]] = defaultdict(dict)
        for workflow_id, origin, seq, size, digits in found:
            chains[workflow_id][origin] = Head(seq, size, digits)
        return chains

    def commit(
        self,
        rows: Sequence[Projected],
        chains: Sequence[ChainState],
        *,
        before: Mapping[int, int],
        after: Mapping[int, int],
        mark: str,
    ) -> list[CostChange]:
        def work(cursor: Cursor) -> list[CostChange]:
            if not self._hidden:
                cursor.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", (self._schema, FREEZE))
            self._tables.lock_against_swaps(cursor)
            self._move(cursor, before, after, mark)
            table = f"costledger_chain{self._hidden}"
            cursor.execute(_UPSERT_CHAIN.format(table=table), (records(ChainState._fields, chains),))
            return self._history.write_in(cursor, rows, pure=bool(self._hidden), reason="project")

        return self._connection.run(work)

    def _move(self, cursor: Cursor, before: Mapping[int, int], after: Mapping[int, int], mark: str = "") -> None:
        """Write the new positions over the ones that were read from."""
        self._check_version(cursor)
        moved = cursor.execute(
            f"UPDATE costledger_partition{self._hidden} p SET position = moved.after, "
            "mark = CASE WHEN moved.after > moved.before THEN %s ELSE mark END "
            "FROM unnest(%s::integer[], %s::bigint[], %s::bigint[]) AS moved (partition, before, after) "
            "WHERE p.partition = moved.partition AND p.position = moved.before",
            (mark, list(before), list(before.values()), [after[number] for number in before]),
        )
        if moved.rowcount != len(before):
            raise PartitionsMoved("another projector has read further in a partition of this one")

    def _check_version(self, cursor: Cursor) -> None:
        if self._tables.meta(cursor).get(self._key, 0) != self._version:
            raise PartitionsMoved("a rebuild has replaced the rows")

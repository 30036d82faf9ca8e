"""A new version of the rows that projectors fill, until they show it instead of the current one."""

from __future__ import annotations

from typing import NamedTuple

from projections.history.postgres.connection import Cursor
from projections.history.postgres.history import PostgresHistory
from projections.history.postgres.tables import BUILDING, only
from projections.history.store import CostChange
from projections.projector.postgres_session import FREEZE, PostgresShared

__all__ = ["MissingEnd", "PostgresVersion"]


class MissingEnd(NamedTuple):
    """A chain that the shown rows come from up to the event `shown`, and that ends at `seq` now."""

    workflow_id: str
    origin: str
    seq: int
    shown: int


class PostgresVersion(PostgresShared):
    """One projector's session that fills a new version of the rows.

    All projectors that rebuild at the same time fill the same version, in shares.
    """

    _key = BUILDING

    def __init__(self, url: str, identity: str) -> None:
        super().__init__(url, identity)
        self._shown, self._history = self._history, PostgresHistory(self._connection, version=self._version)
        # A chain that ends earlier than in the shown rows has lost lines, unless a renewed origin has carried all of
        # them over; each chain starts with an opening line of its own, which does not count.
        self._further = (
            f"FROM costledger_chain c LEFT JOIN costledger_chain{self._hidden} n USING (workflow_id, origin) "
            "LEFT JOIN workflow_history shown ON shown.adw_id = workflow_id "
            f"LEFT JOIN workflow_history{self._hidden} made ON made.adw_id = workflow_id "
            "WHERE (n.seq IS NULL OR n.seq < c.seq) AND (made.actual_cost_nanousd >= shown.actual_cost_nanousd "
            f"AND made.ledger_seq - (SELECT count(*) FROM costledger_chain{self._hidden} o WHERE o.workflow_id = "
            "c.workflow_id) >= shown.ledger_seq - (SELECT count(*) FROM costledger_chain o WHERE o.workflow_id = "
            "c.workflow_id)) IS NOT TRUE"
        )
        self._freezes = False

    def _begin(self, cursor: Cursor) -> int:
        self._tables.lock(cursor)
        version = self._tables.meta(cursor).get(BUILDING)
        if version is not None and self._is_of_another_replica(cursor, version):
            self._tables.drop(cursor, [version])
            version = None
        if version is None:
            version = self._tables.make(cursor)
            self._tables.remember(cursor, **{BUILDING: version})
        self._hidden = f"_{version}"
        self._join(cursor, version)
        return version

    def _is_of_another_replica(self, cursor: Cursor, version: int) -> bool:
        query = f"SELECT count(*) FROM costledger_partition_{version} WHERE replica <> %s"
        return bool(only(cursor.execute(query, (self._identity,))))

    def abandon(self) -> None:
        """Drop the version that is being filled: the next rebuild starts from scratch."""

        def work(cursor: Cursor) -> None:
            self._tables.lock(cursor)
            self._tables.lock_against_writers(cursor)
            if self._tables.meta(cursor).get(BUILDING) == self._version:
                self._tables.forget(cursor, BUILDING)
                self._tables.drop(cursor, [self._version])

        self._connection.run(work)

    def freeze(self) -> bool:
        """Block projectors of the shown rows until this session ends, to catch up with them.

        One of several sessions that rebuild does this.

        Returns:
            Whether this one does.
        """

        def work(cursor: Cursor) -> bool:
            if not self._freezes and only(cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", (self._locks, FREEZE))):
                cursor.execute("SELECT pg_advisory_lock(%s, %s)", (self._schema, FREEZE))
                self._freezes = True
            return self._freezes

        return self._connection.run(work)

    def missing(self) -> list[MissingEnd]:
        """Return the chains that the shown rows have read further."""
        query = f"SELECT workflow_id, origin, coalesce(n.seq, 0), c.seq {self._further} ORDER BY workflow_id, origin"
        return self._connection.run(lambda cursor: [MissingEnd(*one) for one in cursor.execute(query).fetchall()])

    def show(self, *, accept_lost: bool = False) -> list[CostChange] | None:
        """Show the new rows, once every partition was read to its end; the old ones remain.

        Args:
            accept_lost: even when the shown rows are further.

        Returns:
            The visible changes of cost; None while the shown rows are further.

        Raises:
            PartitionsMoved: another session has shown them.
        """

        def work(cursor: Cursor) -> list[CostChange] | None:
            self._tables.lock_against_writers(cursor)
            self._check_version(cursor)
            if not (accept_lost and self._freezes) and only(cursor.execute(f"SELECT count(*) {self._further}")):
                return None
            changes = self._shown.changes_of_swap(cursor, self._version, "project --rebuild")
            self._tables.forget(cursor, BUILDING)
            self._tables.show(cursor, self._version)
            return changes

        return self._connection.run(work)

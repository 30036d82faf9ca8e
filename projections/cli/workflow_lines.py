"""The lines of a workflow: of its ledger, or of all hosts where projectors write the rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from ledger.replication.open import open_replica
from projections.cli.session import CommandSession
from projections.projector.row_lines import RowLines, lines_of

__all__ = ["workflow_lines"]


@contextmanager
def workflow_lines(
    session: CommandSession, workflow_id: str, replica_name: str | None, credentials: str | None
) -> Iterator[RowLines]:
    """Open the lines that a workflow's row was folded from; a replica only for rows that projectors write."""
    if not (replica_name and session.history.shared):
        yield lines_of(workflow_id, session.ledgers, session.history, None)
        return
    with closing(open_replica(replica_name, credentials=credentials)) as replica:
        yield lines_of(workflow_id, session.ledgers, session.history, replica)

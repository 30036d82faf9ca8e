"""Projecting a replica into a shared history: continuously, once, or into new rows that then replace the old ones."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

from ledger.errors import CostledgerError, HistoryUnavailable, ReplicaUnavailable
from ledger.replication.replica import Replica
from projections.history.store import CostChange
from projections.projector.postgres_session import PostgresShared
from projections.projector.postgres_version import MissingEnd, PostgresVersion
from projections.projector.projector import PartitionsMoved, Projector, ReplicaWentBack

__all__ = ["ProjectReport", "ReplicaFallsShort", "project_again", "project_on"]

_SHOWN: Final = 3

S = TypeVar("S", bound=PostgresShared)

_AWAY_SECONDS_MAX: Final = 15.0
WAIT_SECONDS: Final = 1.0
"""How long a read waits for a line; partitions of a dead process are taken over as fast."""

_IDLE_STEPS_MAX: Final = 10
"""Reads without a line, of a replay that blocks all other projectors, before missing lines count as lost."""

_log = logging.getLogger("costledger")


class ReplicaFallsShort(CostledgerError):
    """The rows that are shown were made from lines that the replica has lost since."""

    def __init__(self, address: str, missing: Sequence[MissingEnd]) -> None:
        shown = [
            f"{one.workflow_id} of origin {one.origin} ends at {one.seq} of {one.shown}" for one in missing[:_SHOWN]
        ]
        more = f", and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        super().__init__(
            f"replica {address} has lost lines that the rows come from ({', '.join(shown)}{more}): the rows stay as "
            "they are; run `costledger replicate --repair` on the hosts of these origins, then this again; where a "
            "host is gone for good: costledger project --rebuild --accept-lost shows the rows without these lines"
        )


@dataclass(slots=True)
class ProjectReport:
    """The number of lines read, of workflows that wait for repair, and of changed costs."""

    lines: int = 0
    workflows_held: int = 0
    costs_changed: int = 0


def project_on(
    replica: Replica,
    url: str,
    *,
    once: bool = False,
    wait_seconds: float = WAIT_SECONDS,
    stop: Callable[[], bool] = bool,
) -> ProjectReport:
    """Project lines as they come; wait for a database or a replica that is away.

    Args:
        once: end when all lines of the replica are projected, by this projector or by others.
        wait_seconds: how long to wait for a line.
        stop: called between two steps.

    Raises:
        HistoryUnavailable, ReplicaUnavailable, ReplicaWentBack: with `once`.
    """
    report, away, ends = ProjectReport(), 0.0, dict[int, int]()
    while not stop():
        try:
            with _projecting(PostgresShared, replica, url, report) as (shared, projector):
                while not stop():
                    read = projector.step(wait_seconds)
                    if away:
                        _log.warning("%s is projected again", replica.address)
                    away = 0.0
                    if once and read < projector.lines_max and shared.has_read(ends := ends or replica.ends()):
                        return report
        except PartitionsMoved as moved:
            _log.info("%s; starting again", moved)
        except (HistoryUnavailable, ReplicaUnavailable, ReplicaWentBack) as error:
            if once:
                raise
            away = min(max(2 * away, 0.5), _AWAY_SECONDS_MAX)
            _log.warning("%s; again in %.0f s", error, away)
            time.sleep(away)
    return report


def project_again(
    replica: Replica,
    url: str,
    *,
    accept_lost: bool = False,
    wait_seconds: float = WAIT_SECONDS,
    stop: Callable[[], bool] = bool,
) -> ProjectReport:
    """Replay the replica into new rows; any number of processes can share this work.

    The new rows are shown when all is read; the old ones remain until `rebuild --drop-old`. The next call resumes.

    Args:
        accept_lost: show the new rows even where the old ones come from lines that the replica has lost.

    Raises:
        HistoryUnavailable, ReplicaUnavailable: run it again.
        ReplicaFallsShort: the shown rows come from lines that it does not have; they remain.
        ReplicaWentBack: the new rows were dropped; run it again.
        InvalidInput: the rows are in another application's table.
    """
    report, idle, ends = ProjectReport(), 0, dict[int, int]()
    with _projecting(PostgresVersion, replica, url, report) as (version, projector):
        while not stop():
            try:
                read = projector.step(wait_seconds)
                idle = 0 if read else idle + 1
                if read == projector.lines_max or not version.has_read(ends := ends or replica.ends()):
                    continue
                ends = {}
                changes = _show(version, replica, is_idle=idle > _IDLE_STEPS_MAX, accept_lost=accept_lost)
                if changes is not None:
                    report.costs_changed = len(changes)
                    return report
            except PartitionsMoved:
                return report  # another one has shown the rows that this one helped to fill
            except ReplicaWentBack:
                version.abandon()
                raise
    return report


def _show(version: PostgresVersion, replica: Replica, *, is_idle: bool, accept_lost: bool) -> list[CostChange] | None:
    """Show the new rows; return the changes of cost, None while the shown rows are further."""
    changes = version.show()
    if changes is None and version.freeze() and is_idle:
        if not accept_lost and (missing := version.missing()):
            raise ReplicaFallsShort(replica.address, missing)
        changes = version.show(accept_lost=accept_lost)
    return changes


@contextmanager
def _projecting(shares: type[S], replica: Replica, url: str, report: ProjectReport) -> Iterator[tuple[S, Projector]]:
    """Open a session and its projector, and add its counts to the report at the end."""
    shared = shares(url, replica.identity)
    projector = Projector(replica, shared)
    try:
        yield shared, projector
    finally:
        shared.close()
        report.lines += projector.lines
        report.workflows_held = projector.workflows_held

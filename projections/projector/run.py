"""Projecting a replica into a shared history: on and on, once, or into new rows that then replace the old ones."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

from ledger.errors import CostledgerError, HistoryUnavailable, ReplicaUnavailable
from ledger.replication.replica import Replica
from projections.projector.postgres_session import PostgresShared
from projections.projector.postgres_version import MissingEnd, PostgresVersion
from projections.projector.projector import PartitionsMoved, Projector, ReplicaWentBack

__all__ = ["ProjectReport", "ReplicaFallsShort", "project_again", "project_on"]

_TOLD: Final = 3

S = TypeVar("S", bound=PostgresShared)

_AWAY_SECONDS_MAX: Final = 15.0
WAIT_SECONDS: Final = 1.0
"""How long a read waits for a line; partitions of a dead process are taken over as fast."""

_IDLE_STEPS_MAX: Final = 10
"""So often a replay that has all other projectors wait finds nothing new, until what is missing is held to be lost."""

_log = logging.getLogger("costledger")


class ReplicaFallsShort(CostledgerError):
    """The rows that are shown were made from lines that the replica has lost since."""

    def __init__(self, address: str, missing: Sequence[MissingEnd]) -> None:
        told = [f"{one.workflow_id} of origin {one.origin} ends at {one.seq} of {one.shown}" for one in missing[:_TOLD]]
        more = f", and {len(missing) - _TOLD} more" if len(missing) > _TOLD else ""
        super().__init__(
            f"replica {address} has lost lines that the rows come from ({', '.join(told)}{more}): the rows stay as "
            "they are; run `costledger replicate --repair` on the hosts of these origins, then this again; where a "
            "host is gone for good: costledger project --rebuild --accept-lost shows the rows without these lines"
        )


@dataclass(slots=True)
class ProjectReport:
    """What was read, and how many workflows wait for repair."""

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
    """Project lines as they come; a database or a replica that is away is waited for.

    Args:
        once: end when everything that lay there is projected, by this one or by others.
        wait_seconds: how long to wait for a line.
        stop: asked between two steps.

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
            _log.info("%s; beginning again", moved)
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
    """Replay the replica into new rows, beside the ones that are shown and any number of others that do the same.

    When all of it is read, the new rows are shown; the ones before stay until `rebuild --drop-old`. What an
    interruption leaves is gone on with by the next one.

    Args:
        accept_lost: show the new rows even where the ones before come from lines that the replica has lost.

    Raises:
        HistoryUnavailable, ReplicaUnavailable: run it again.
        ReplicaFallsShort: the rows that are shown know of lines that it has not; they stay.
        ReplicaWentBack: what was filled so far was dropped; run it again.
        InvalidInput: the rows are in another application's table.
    """
    report, idle, ends = ProjectReport(), 0, dict[int, int]()
    with _projecting(PostgresVersion, replica, url, report) as (version, projector):
        while not stop():
            try:
                read = projector.step(wait_seconds)
                idle = 0 if read else idle + 1
                if read == projector.lines_max:
                    continue
                ends = ends or replica.ends()
                if not version.has_read(ends):
                    continue
                ends = {}
                changes = version.show()
                if changes is None and version.freeze() and idle > _IDLE_STEPS_MAX:
                    if not accept_lost and (missing := version.missing()):
                        raise ReplicaFallsShort(replica.address, missing)
                    changes = version.show(accept_lost=accept_lost)
                if changes is not None:
                    report.costs_changed = len(changes)
                    return report
            except PartitionsMoved:
                return report  # another one has shown the rows that this one helped to fill
            except ReplicaWentBack:
                version.abandon()
                raise
    return report


@contextmanager
def _projecting(shares: type[S], replica: Replica, url: str, report: ProjectReport) -> Iterator[tuple[S, Projector]]:
    """A session and its projector, counted in the end."""
    shared = shares(url, replica.identity)
    projector = Projector(replica, shared)
    try:
        yield shared, projector
    finally:
        shared.close()
        report.lines += projector.lines
        report.workflows_held = projector.workflows_held

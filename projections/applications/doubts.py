"""Doubts about an application's table: what it shows other than our rows, and who keeps setting it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from ledger import clock as clocks
from ledger import money
from projections.applications.plan import Compared
from projections.stale import Doubt
from projections.workflow_history import Row

__all__ = ["doubts_of_copies"]

_RECENT: Final = timedelta(hours=1)
_OVERWRITES_MIN: Final = 2
"""A single edit by hand is put right and is none."""


def doubts_of_copies(
    rows: Iterable[Row], compared: Mapping[str, Compared], where: str, *, now: datetime
) -> Iterator[Doubt]:
    """Every doubt about what an application's table shows of these rows.

    Args:
        where: the database, as it is shown.
    """
    since = clocks.to_wire(now - _RECENT)
    for row in rows:
        found = compared.get(row.adw_id)
        if found is None:
            continue
        if found.overwrites >= _OVERWRITES_MIN and (found.overwritten_at or "") > since:
            by = "nothing" if found.overwritten_nanousd is None else f"${money.to_wire(found.overwritten_nanousd)}"
            why = (
                f"another writer of {where} keeps overwriting it: {found.overwrites:,} times, last with {by} at "
                f"{(found.overwritten_at or '')[:19]}Z"
            )
            yield _doubt(row, why, "stop the application's own sync of costs (docs/operations.md)")
        if found.held:
            yield _doubt(row, f"held: {found} in {where}", f"costledger resync --force -- {row.adw_id}")
        elif found.wrong:
            what = f"{found}" if found.differs_in_cost else f"{', '.join(found.wrong)} wrong"
            why = f"{what} in {where}"
            if found.waits:
                why += "; this version reads its ledger in another way than the one that wrote it"
            yield _doubt(row, why, f"costledger resync -- {row.adw_id}")


def _doubt(row: Row, why: str, next_step: str) -> Doubt:
    return Doubt(row.adw_id, row.status, row.actual_cost_nanousd, why, next_step)

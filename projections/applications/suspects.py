"""Findings about an application's table: differences from our rows, and other writers that repeat them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from ledger.events import money
from ledger.events import timestamps as clocks
from projections.applications.plan import Compared
from projections.folding.row import Row
from projections.history.suspects import Suspect, covering, is_accepted

__all__ = ["suspects_of_copies"]

_RECENT: Final = timedelta(hours=1)
_BREAKDOWN: Final = "cost_breakdown"
_OVERWRITES_MIN: Final = 2
"""A single edit by hand is corrected and is no finding."""


def suspects_of_copies(
    rows: Iterable[Row], compared: Mapping[str, Compared], where: str, *, now: datetime
) -> Iterator[Suspect]:
    """Yield every finding about an application's table for these rows that was not accepted.

    Args:
        where: the database, without any password.
    """
    since = clocks.to_wire(now - _RECENT)
    for row in rows:
        if (found := compared.get(row.adw_id)) is not None:
            yield from (one for one in _suspects(row, found, where, since) if not is_accepted(one))


def _suspects(row: Row, found: Compared, where: str, since: str) -> Iterator[Suspect]:
    if found.overwrites >= _OVERWRITES_MIN and (found.overwritten_at or "") > since:
        by = "nothing" if found.overwritten_nanousd is None else f"${money.to_wire(found.overwritten_nanousd)}"
        why = (
            f"another writer of {where} keeps overwriting it: {found.overwrites:,} times, last with {by} at "
            f"{(found.overwritten_at or '')[:19]}Z"
        )
        next_step = "stop the application's own sync of costs (docs/operations.md)"
        yield Suspect(row, "copy_overwritten", why, next_step, covering(where))
    if found.held:
        next_step = f"costledger resync --force -- {row.adw_id}"
        yield Suspect(row, "copy_held", f"held: {found} in {where}", next_step, covering(found))
    elif found.wrong:
        what = f"{found}" if found.differs_in_cost else f"{', '.join(found.wrong)} wrong"
        why = f"{what} in {where}"
        if found.waits:
            why += "; this version reads its ledger in another way than the one that wrote it"
        # An acceptance is in the breakdown, too, and must cover the state before it.
        covers = covering(found) if found.differs_in_cost else covering(*(n for n in found.wrong if n != _BREAKDOWN))
        yield Suspect(row, "copy_wrong", why, f"costledger resync -- {row.adw_id}", covers)

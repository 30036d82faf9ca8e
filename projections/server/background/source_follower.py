"""The follower: a thread that imports sources into their ledgers as they grow.

It appends and wakes the row refresher, which alone writes rows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from ledger.importing.source_follower import Look, SourceFollower
from ledger.importing.source_registry import SourceEntry
from projections.replay.file_watcher import FileWatcher
from projections.server.background.worker import Worker
from projections.server.service.service import Service

__all__ = ["Follower"]

_SLOW_SECONDS: Final = 60.0
"""A source that is read for longer hangs (its file system may not answer), or is very large."""

_log = logging.getLogger("costledger")


class Follower(Worker):
    """The followed sources of a service.

    Args:
        appended: called with the id of a workflow whose ledger has grown, in the follower's thread.
    """

    def __init__(self, service: Service, appended: Callable[[str], None]) -> None:
        super().__init__("follower")
        self._appended, self._wake = appended, FileWatcher(self._stopped)
        self._sources = service.sources
        self._following = SourceFollower(service.ledgers, self._entries, prices=service.prices)
        self._entries_now: list[SourceEntry] = []
        self._troubles: dict[str, str] = {}

    def followed(self) -> list[dict[str, Any]]:
        """Return each source, and why it cannot be followed as it is."""
        troubles = dict(self._troubles)
        if (slow := self._following.slow(_SLOW_SECONDS)) is not None:
            entry, took = slow
            problem = f"has been read for {took:,.0f} seconds, and the other sources wait for it"
            troubles[f"{entry.kind}:{entry.path}"] = problem
        return [
            {"kind": entry.kind, "path": entry.path, "trouble": troubles.get(f"{entry.kind}:{entry.path}")}
            for entry in list(self._entries_now)
        ]

    def _entries(self) -> list[SourceEntry]:
        self._entries_now = self._sources.entries()
        return self._entries_now

    def _look(self) -> None:
        look = Look()
        self._following.look(look)
        for entry, report in look.imported:
            self._troubles.pop(f"{entry.kind}:{entry.path}", None)
            for name, counts in report.workflows.items():
                if counts.appended:
                    self._appended(name)
        for trouble in look.troubles:
            _log.warning("%s: %s", trouble.where, trouble.problem)
            self._troubles[trouble.where] = trouble.problem
        for skipped in look.skipped:
            _log.info("%s, line %s: skipped: %s", skipped.path, skipped.line, skipped.reason)
        self._wake.wait(self._following.paths, look.look_seconds, look.due_seconds)

"""The service behind the handlers: ledgers, the history, sources, prices and tokens. One for each server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

from starlette.concurrency import run_in_threadpool

from ledger.config.schema import Config
from ledger.errors import HistoryReplaced
from ledger.importing.importer import configured
from ledger.importing.source_registry import SourceEntry, SourceRegister
from ledger.pricing.genai_book import GenaiPrices
from ledger.pricing.price_book import PriceBook
from ledger.replication.replica import Replica
from ledger.storage.directory_store import DirectoryStore
from projections.applications.plan import Compared
from projections.applications.table import ApplicationTable
from projections.documents.rows import RowDocument, row_document
from projections.folding.row import Row
from projections.history.idle import is_idle
from projections.history.store import HistoryStore
from projections.projector.row_lines import RowLines, lines_of
from projections.replay.fold_cache import FoldCache
from projections.reports.attention import Attention
from projections.reports.tags import TagRules
from projections.server.service.settings import Settings
from projections.server.service.tokens import TokenRegister

__all__ = ["Service"]

_LONG_BYTES: Final = 8 * 1024 * 1024
"""A longer ledger has about 20,000 events or more; the fold of a million events needs a gigabyte."""

_LONG_EVENTS: Final = 20_000

_REPLAYS_AT_ONCE: Final = 4
"""Of short ledgers, for requests: more at once take as long, and each needs up to 60 MB."""


class Service:
    """The library, opened for one data directory.

    Args:
        open_history: opens one more connection to the history; each thread gets one of its own.
        config: sources to follow, budgets and webhooks.
        prices: for what sources name no cost for.
        watched: sources that are followed in addition to those that are configured or registered.
        replica: the shared engine whose lines projectors fold; closed with the service.
        application: another application's table that is a copy of the history; closed with the service.
    """

    def __init__(
        self,
        settings: Settings,
        open_history: Callable[[], HistoryStore],
        *,
        config: Config | None = None,
        prices: PriceBook | None = None,
        watched: Sequence[SourceEntry] = (),
        replica: Replica | None = None,
        application: ApplicationTable | None = None,
    ) -> None:
        self.settings, self.application = settings, application
        self.needs_tokens = settings.needs_tokens
        self.config = config or Config()
        self.prices = prices or GenaiPrices()
        self.ledgers = DirectoryStore(settings.data)
        self.folds = FoldCache()
        self.attention = Attention(self.prices, self.ledgers)
        self.tokens = TokenRegister(settings.data)
        self.sources = _Sources(watched, self.config, SourceRegister(settings.data))
        self.background = ThreadPoolExecutor(2, "background")
        self._open_history = open_history
        self._of_thread = threading.local()
        self._opened: list[HistoryStore] = []
        self._in_use: object = None
        self.when_replaced: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._replica, self._replica_lock = replica, threading.Lock()
        self._short_replays, self._long_replay = asyncio.Semaphore(_REPLAYS_AT_ONCE), asyncio.Semaphore(1)

    @asynccontextmanager
    async def replay_turn(self, workflow_id: str, *, events_max: int | None = None) -> AsyncIterator[None]:
        """Wait for the turn of a request that replays a ledger: long ones are replayed one at a time, short ones a few.

        So requests under way need the memory of one long replay, however many there are. One that waits occupies no
        thread, and short ledgers do not wait for long ones.

        Args:
            events_max: how many events it replays at most; None for all.

        Raises:
            LedgerUnavailable, HistoryUnavailable: how long it is cannot be read.
        """
        is_long = await run_in_threadpool(self._is_long, workflow_id, events_max)
        async with self._long_replay if is_long else self._short_replays:
            yield

    def _is_long(self, workflow_id: str, events_max: int | None) -> bool:
        if heads := self.history.origins(workflow_id):  # their chains are read whole
            return sum(head.size for head in heads.values()) > _LONG_BYTES
        if events_max is not None and events_max <= _LONG_EVENTS:
            return False
        return (self.ledgers.size(workflow_id) or 0) > _LONG_BYTES

    def row_document(self, row: Row, copy: Compared | None = None) -> RowDocument:
        """Return a row with its budget, idle or not by the clock; see `row_document`."""
        idle = is_idle(row, datetime.now(UTC), self.config.idle_after)
        return row_document(row, self.config.budgets, idle=idle, copy=copy)

    @property
    def tag_rules(self) -> TagRules:
        """The tags that the configuration gives workflows as they are read."""
        return self.config.tags

    def lines(self, workflow_id: str) -> RowLines:
        """Return the lines that a workflow's row was folded from; see `lines_of`."""
        with self._replica_lock:
            return lines_of(workflow_id, self.ledgers, self.history, self._replica)

    @property
    def history(self) -> HistoryStore:
        """Return the history, through this thread's own connection.

        Raises:
            HistoryUnavailable: it cannot be opened.
            HistoryReplaced: another file is there now, and its rows have not been replayed yet.
        """
        found: HistoryStore | None = getattr(self._of_thread, "history", None)
        if found is None or (found.identity != self._in_use and found.replaced):
            found = self.reopen()
        self._in_use = found.identity if self._in_use is None else self._in_use
        if found.replaced or found.identity != self._in_use:
            self.when_replaced()
            raise HistoryReplaced
        return found

    @property
    def history_in_use(self) -> bool:
        """Whether the history's path still names the file in use, not cut as far as its size shows."""
        with self._lock:
            found = next((one for one in self._opened if one.identity == self._in_use), None)
        if found is None or not found.replaced:
            return True
        self.when_replaced()
        return False

    def reopen(self, *, recover: bool = False) -> HistoryStore:
        """Return a new connection of this thread to the file that is there now; `use` makes all threads switch to it.

        Args:
            recover: first copy what can be read of a damaged file into a new one.

        Raises:
            HistoryUnavailable: it cannot be opened.
        """
        before: HistoryStore | None = getattr(self._of_thread, "history", None)
        if recover and before is not None:
            before.recover()
        found = self._of_thread.history = self._open_history()
        with self._lock:
            self._opened.append(found)
            if before is not None:
                self._opened.remove(before)
                before.close()
        return found

    def use(self, history: HistoryStore) -> None:
        """Make all threads use the file of this history, whose rows are current."""
        self._in_use = history.identity

    def close(self) -> None:
        """Close what was opened, after the last handler has ended."""
        self.background.shutdown()
        if self._replica is not None:
            self._replica.close()
        if self.application is not None:
            self.application.close()
        with self._lock:
            for history in self._opened:
                history.close()
            self._opened.clear()


class _Sources:
    """The sources that a server follows, and reads again in a resync."""

    def __init__(self, watched: Sequence[SourceEntry], config: Config, register: SourceRegister) -> None:
        self._watched, self._config, self._register = watched, config, register

    def entries(self) -> list[SourceEntry]:
        """Return each source once.

        Raises:
            SourceUnreadable: the register cannot be read.
        """
        return list(dict.fromkeys([*self._watched, *configured(self._config), *self._register.entries()]))

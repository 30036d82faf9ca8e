"""Draining the spool: append its lines to the ledgers, and cache what the next status line shows.

`python -m projections.claude_code.drain DATA LOCK` is the process that does so, without a terminal. LOCK is the
descriptor of the drain lock, inherited from the process that an agent waited for.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import orjson

from ledger.claude_code.session_cost import carried_over
from ledger.claude_code.spool import LATE_MAX_MS, Spool, file_name
from ledger.claude_code.statusline_readings import KIND, SpoolLine, append_spool_line, elsewhere, spool_line
from ledger.config.locate import config_file
from ledger.config.select import price_book
from ledger.errors import CostledgerError, InvalidInput, SourceUnreadable
from ledger.events import money, timestamps
from ledger.importing.import_options import ImportOptions
from ledger.importing.message_index import MessageIndex
from ledger.importing.removed_findings import removed_of
from ledger.importing.transcript_importer import import_transcripts
from ledger.pricing.price_book import PriceBook
from ledger.sources.findings import Options
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.store import LedgerStore
from projections.claude_code import session_cache
from projections.reports.budgets import Budgets, configured_budgets

__all__ = ["drain"]

_LOOK_SECONDS: Final = 0.1
"""How often to look for the line that another line waits for."""


def drain(spool: Spool, store: LedgerStore, prices: PriceBook, budgets: Budgets, *, lock: int | None = None) -> None:
    """Append all waiting lines, unless another process does so; what cannot be appended now goes on waiting.

    Errors go to the log, since a drain has no terminal.

    Args:
        lock: the drain lock, when this process inherited it; it is closed here.
    """
    if lock is None:
        lock = spool.drain_lock()
    while lock is not None:
        try:
            while _drain_once(spool, store, prices, budgets):
                _await_more(spool)
        finally:
            os.close(lock)
        # Look after the release of the lock, so that no line is missed.
        lock = spool.drain_lock() if spool.has_new() else None


def _await_more(spool: Spool) -> None:
    until = time.monotonic() + LATE_MAX_MS / 1000
    while not spool.has_new() and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)


def _drain_once(spool: Spool, store: LedgerStore, prices: PriceBook, budgets: Budgets) -> bool:
    """Append the waiting lines; those that cannot be appended are left to the next drain.

    Returns:
        Whether lines wait for a moment, see `_Batch.delayed`.
    """
    entries = list(_parsed(spool))
    batch = _Batch(spool, store, prices, budgets, [item for _, item in entries])
    delayed = batch.delayed()
    waiting = [line for line, item in entries if item.session_id in delayed]
    entries = [(line, item) for line, item in entries if item.session_id not in delayed]
    by_workflow: dict[str, list[tuple[bytes, SpoolLine]]] = {}
    with ExitStack() as until_appended:
        try:
            batch.assign_workflows([item for _, item in entries], until_appended)
        except CostledgerError as error:
            spool.log(_now(), f"{error}; lines of new sessions go on waiting in {spool.folder}")
        for line, item in entries:
            by_workflow.setdefault(batch.sessions[item.session_id].get("workflow_id", ""), []).append((line, item))
        waiting += _without_repetitions(by_workflow.pop("", []))
        waiting += _each_workflow(spool, by_workflow, batch.append_readings)
    waiting += _each_workflow(spool, by_workflow, batch.read_transcripts)
    spool.retain(b"".join(line if line.endswith(b"\n") else line + b"\n" for line in waiting))
    return bool(delayed)


def _each_workflow(
    spool: Spool, by_workflow: dict[str, list[tuple[bytes, SpoolLine]]], do: Callable[[str, list[SpoolLine]], None]
) -> Iterator[bytes]:
    """Do this for each workflow; where it fails, remove that workflow and yield its lines, which wait."""
    for workflow_id, lines in list(by_workflow.items()):
        try:
            do(workflow_id, [replace(item, workflow_id=workflow_id) for _, item in lines])
        except Exception as error:  # a failure of one workflow does not stop the others
            problem = "" if isinstance(error, CostledgerError) else f"{type(error).__name__}: "
            spool.log(_now(), f"{workflow_id}: {problem}{error}; it waits in {spool.folder}")
            del by_workflow[workflow_id]
            yield from _without_repetitions(lines)


def _parsed(spool: Spool) -> Iterator[tuple[bytes, SpoolLine]]:
    """Yield the waiting lines; invalid ones go to the log."""
    for line in spool.take().splitlines(keepends=True):
        if line.strip():
            try:
                yield line, spool_line(orjson.loads(line))
            except (orjson.JSONDecodeError, InvalidInput, TypeError, AttributeError) as error:
                spool.log(_now(), f"left out of the ledger: {error}: {line[:300]!r}")


class _Batch:
    """The lines that one drain took, and their sessions.

    Attributes:
        stored: the sessions as the last drain cached them.
        sessions: the same, as this one will.
    """

    def __init__(
        self, spool: Spool, store: LedgerStore, prices: PriceBook, budgets: Budgets, items: Sequence[SpoolLine]
    ) -> None:
        self._spool, self._store, self._prices, self._budgets, self._items = spool, store, prices, budgets, items
        self.stored = {item.session_id: spool.session(item.session_id) for item in items}
        self.sessions = session_cache.updated(self.stored, items)

    def delayed(self) -> set[str]:
        """Return new sessions whose counter may continue from one that `/clear` has ended: its hook may come later.

        Their lines wait while the first one is younger than `LATE_MAX_MS`, since an appended reading is permanent.
        """
        now = timestamps.now()
        since, until = (timestamps.to_wire(now - timedelta(milliseconds=late_ms)) for late_ms in (LATE_MAX_MS, 0))
        checked, delayed = set[str](), set[str]()
        for item in self._items:
            if item.counter_usd is None or item.carried or item.session_id in checked:
                continue
            checked.add(item.session_id)
            if not since < item.at <= until or self.stored[item.session_id].get("counter_usd"):
                continue
            shown, others = money.parse(item.counter_usd), list(self._counters(item))
            certain = carried_over([counter for cleared, counter in others if cleared], shown, item.since_ms)
            if carried_over([counter for _, counter in others], shown, item.since_ms) > certain:
                delayed.add(item.session_id)
        return delayed

    def _counters(self, item: SpoolLine) -> Iterator[tuple[bool, tuple[int, int | None]]]:
        return session_cache.counters(self._spool, item, self.sessions)

    def assign_workflows(self, items: Iterable[SpoolLine], until_appended: ExitStack) -> None:
        """Set the workflow in which each session counts: the one whose ledger has it, else the first that was named.

        A session with a cached counter has a cached workflow, too, and stays there. The index finds the others.

        Args:
            until_appended: locks the index, so that no import assigns a session to another workflow meanwhile.

        Raises:
            SourceUnreadable: the index cannot be used; a session that is not cached has no `workflow_id` then.
        """
        named: dict[str, list[str]] = {}
        for item in items:
            named.setdefault(item.session_id, []).append(item.workflow_id)
        unassigned = [id for id in named if not self._is_assigned(id)]
        for session_id in unassigned:
            for name in ("workflow_id", "elsewhere"):
                self.sessions[session_id].pop(name, None)
        if unassigned:
            homes = until_appended.enter_context(MessageIndex.opened(self._store)).workflows_of(unassigned, KIND)
            for session_id in unassigned:
                home, *others = homes.get(session_id) or named[session_id][:1]
                self.sessions[session_id] |= {"workflow_id": home} | ({"elsewhere": others} if others else {})
        for session_id, names in named.items():
            session = self.sessions[session_id]
            home = session["workflow_id"]
            for name in sorted(set(names) - {home, file_name(session_id), session.get("named")}):
                self._spool.log(_now(), f"session {session_id} counts in {home}, which has it, and not in {name}")
                session["named"] = name

    def _is_assigned(self, session_id: str) -> bool:
        session = self.stored[session_id]
        has_counter = bool(session.get("counter_usd")) and "workflow_id" in session
        return has_counter and self._store.size(session["workflow_id"]) is not None

    def append_readings(self, workflow_id: str, items: list[SpoolLine]) -> None:
        """Append the counters' figures of one workflow's sessions."""

        def beyond(session_id: str) -> int:
            return elsewhere(self._store, session_id, self.sessions[session_id].get("elsewhere", ()))

        removed = removed_of(self._store)
        left = [item for item in items if not removed.has_session(item.session_id)]
        if left and not removed.has_workflow(workflow_id):
            append_spool_line(self._store, workflow_id, left, self._counters, beyond)

    def read_transcripts(self, workflow_id: str, items: list[SpoolLine]) -> None:
        """Import what the transcripts of one workflow's sessions have grown by, and cache these sessions."""
        grown = {path: item for item in items for path in item.transcripts}
        for path, item in grown.items():
            options = Options(workflow_id, item.agent)
            try:
                report = import_transcripts(self._store, "claude", path, options, ImportOptions(prices=self._prices))
            except SourceUnreadable as error:
                self._spool.log(_now(), str(error))
                continue
            for skipped in report.skipped:
                self._spool.log(_now(), f"{skipped.path}:{skipped.line or ''} {skipped.reason}")
            for _, problem in report.problems:
                raise problem
        cached = {item.session_id: self.sessions[item.session_id] for item in items}
        session_cache.write(self._spool, self._store, self._budgets, workflow_id, cached)


def _without_repetitions(lines: Iterable[tuple[bytes, SpoolLine]]) -> Iterator[bytes]:
    """Yield the lines that differ from the line before of their session: a status line is spooled often."""
    before: dict[str, tuple[str | None, tuple[Path, ...], bool]] = {}
    for line, item in lines:
        content = (item.counter_usd, item.transcripts, item.cleared)
        if before.get(item.session_id) != content:
            before[item.session_id] = content
            yield line


def _now() -> str:
    return timestamps.to_wire(timestamps.now())


def _main(data: str, lock: int) -> int:
    fcntl.fcntl(lock, fcntl.F_SETFD, fcntl.FD_CLOEXEC)  # not inherited by processes that the drain may start
    spool = Spool(data)
    try:
        path = Path(data)
        config = config_file(path)
        drain(spool, DirectoryStore(path), price_book(config, path), configured_budgets(config), lock=lock)
    except Exception as error:
        spool.log(_now(), f"drain: {type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], int(sys.argv[2])))

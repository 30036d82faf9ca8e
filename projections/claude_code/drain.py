"""Draining the spool: append what agents said while they ran, and write down what their status line shows next."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import orjson

from ledger.claude_code.session_cost import LATE_MAX_MS, carried_over
from ledger.claude_code.spool import Spool, file_name
from ledger.claude_code.statusline_readings import KIND, SpoolLine, append_spool_line, elsewhere, spool_line
from ledger.errors import CostledgerError, InvalidInput, SourceUnreadable
from ledger.events import money, timestamps
from ledger.importing.import_options import ImportOptions
from ledger.importing.message_index import MessageIndex
from ledger.importing.transcript_importer import import_transcripts
from ledger.pricing.price_book import PriceBook
from ledger.sources.findings import Options
from ledger.storage.store import LedgerStore
from projections.claude_code import session_cache
from projections.claude_code.session_cache import Note
from projections.reports.budgets import Budgets

__all__ = ["drain"]

_LOOK_SECONDS: Final = 0.1
"""How often is looked whether the line has come that another one is held back for."""


def drain(spool: Spool, store: LedgerStore, prices: PriceBook, budgets: Budgets, *, lock: int | None = None) -> None:
    """Append everything that waits, unless another process is at it; what cannot be appended now waits on.

    Errors go to the log: nobody watches a drain.

    Args:
        lock: the drain lock, when this process was handed it; it is closed here.
    """
    if lock is None:
        lock = spool.drain_lock()
    while lock is not None:
        try:
            while _drain_once(spool, store, prices, budgets):
                _await_more(spool)
        finally:
            os.close(lock)
        # Looked at after the lock was given up: nobody's line is missed.
        lock = spool.drain_lock() if spool.has_new() else None


def _await_more(spool: Spool) -> None:
    until = time.monotonic() + LATE_MAX_MS / 1000
    while not spool.has_new() and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)


def _drain_once(spool: Spool, store: LedgerStore, prices: PriceBook, budgets: Budgets) -> bool:
    """Append what waits now; what cannot be appended is kept for the next.

    Returns:
        Whether lines are held back for a moment, see `_held`.
    """
    told = list(_told(spool))
    stored = {session_id: spool.note(session_id) for session_id in {item.session_id for _, item in told}}
    notes = session_cache.renewed(stored, [item for _, item in told])
    held = _held(spool, [item for _, item in told], stored, notes)
    waiting = [line for line, item in told if item.session_id in held]
    told = [(line, item) for line, item in told if item.session_id not in held]
    by_workflow: dict[str, list[tuple[bytes, SpoolLine]]] = {}

    def append(workflow_id: str, items: list[SpoolLine]) -> None:
        _append_readings(spool, store, workflow_id, items, notes)

    def read_on(workflow_id: str, items: list[SpoolLine]) -> None:
        _read_transcripts(spool, store, prices, workflow_id, items)
        its_own = {item.session_id: notes[item.session_id] for item in items}
        session_cache.write(spool, store, budgets, workflow_id, its_own)

    with ExitStack() as until_appended:
        try:
            _place(spool, store, [item for _, item in told], stored, notes, until_appended)
        except CostledgerError as error:
            spool.log(_now(), f"{error}; what waits in {spool.folder} of new sessions goes on waiting")
        for line, item in told:
            by_workflow.setdefault(notes[item.session_id].get("workflow_id", ""), []).append((line, item))
        waiting += _without_repetitions(by_workflow.pop("", []))
        waiting += _done_for_each(spool, by_workflow, append)
    waiting += _done_for_each(spool, by_workflow, read_on)
    spool.keep(b"".join(line if line.endswith(b"\n") else line + b"\n" for line in waiting))
    return bool(held)


def _done_for_each(
    spool: Spool, by_workflow: dict[str, list[tuple[bytes, SpoolLine]]], do: Callable[[str, list[SpoolLine]], None]
) -> Iterator[bytes]:
    """Do it for each workflow; where it fails, that one is taken out and its lines wait."""
    for workflow_id, lines in list(by_workflow.items()):
        try:
            do(workflow_id, [replace(item, workflow_id=workflow_id) for _, item in lines])
        except Exception as error:  # whatever one workflow holds, the others go on
            problem = "" if isinstance(error, CostledgerError) else f"{type(error).__name__}: "
            spool.log(_now(), f"{workflow_id}: {problem}{error}; it waits in {spool.folder}")
            del by_workflow[workflow_id]
            yield from _without_repetitions(lines)


def _told(spool: Spool) -> Iterator[tuple[bytes, SpoolLine]]:
    """What waits, line by line; what never makes sense goes to the log."""
    for line in spool.take().splitlines(keepends=True):
        if line.strip():
            try:
                yield line, spool_line(orjson.loads(line))
            except (orjson.JSONDecodeError, InvalidInput, TypeError, AttributeError) as error:
                spool.log(_now(), f"left out of the ledger: {error}: {line[:300]!r}")


def _held(spool: Spool, items: Iterable[SpoolLine], stored: Mapping[str, Note], notes: Mapping[str, Note]) -> set[str]:
    """New sessions whose counter may go on from another one's that a `/clear` has ended: its hook may come later.

    Held back while the first line is younger than that: what is appended now cannot be taken back.
    """
    now = timestamps.now()
    since, until = (timestamps.to_wire(now - timedelta(milliseconds=late_ms)) for late_ms in (LATE_MAX_MS, 0))
    seen, held = set[str](), set[str]()
    for item in items:
        if item.counter_usd is None or item.carried or item.session_id in seen:
            continue
        seen.add(item.session_id)
        if not since < item.at <= until or stored[item.session_id].get("counter_usd"):
            continue
        shown, others = money.parse(item.counter_usd), list(session_cache.counters(spool, item, notes))
        known, possible = (
            carried_over([told for was_cleared, told in others if was_cleared == cleared], shown, item.since_ms)
            for cleared in (True, False)
        )
        if possible > known:
            held.add(item.session_id)
    return held


def _place(
    spool: Spool,
    store: LedgerStore,
    items: Iterable[SpoolLine],
    stored: Mapping[str, Note],
    notes: dict[str, Note],
    until_appended: ExitStack,
) -> None:
    """Note in which workflow each session counts: the one whose ledger has it, or else the first that was named.

    A session whose counter is noted has its workflow noted, too, and stays there. Of the others the index knows.

    Args:
        stored: the notes as the last drain left them, and `notes`, as this one is to leave them.
        until_appended: holds the index, so that no import takes a session to another workflow meanwhile.

    Raises:
        SourceUnreadable: the index cannot be used; a session that is not noted has no `workflow_id` then.
    """
    named: dict[str, set[str]] = {}
    first: dict[str, str] = {}
    for item in items:
        first.setdefault(item.session_id, item.workflow_id)
        named.setdefault(item.session_id, set()).add(item.workflow_id)
    unknown = [id for id in first if not _is_placed(store, stored[id])]
    for session_id in unknown:
        for name in ("workflow_id", "elsewhere"):
            notes[session_id].pop(name, None)
    if unknown:
        homes = until_appended.enter_context(MessageIndex.opened(store)).workflows_of(unknown, KIND)
        for session_id in unknown:
            home, *others = homes.get(session_id) or [first[session_id]]
            notes[session_id] |= {"workflow_id": home} | ({"elsewhere": others} if others else {})
    for session_id, names in named.items():
        note = notes[session_id]
        for name in sorted(names - {note["workflow_id"], file_name(session_id), note.get("named")}):
            spool.log(_now(), f"session {session_id} counts in {note['workflow_id']}, which has it, and not in {name}")
            note["named"] = name


def _is_placed(store: LedgerStore, note: Note) -> bool:
    return bool(note.get("counter_usd")) and "workflow_id" in note and store.size(note["workflow_id"]) is not None


def _append_readings(
    spool: Spool, store: LedgerStore, workflow_id: str, items: list[SpoolLine], notes: Mapping[str, Note]
) -> None:
    append_spool_line(
        store,
        workflow_id,
        items,
        lambda item: [
            figure for cleared, figure in session_cache.counters(spool, item, notes) if cleared or item.carried
        ],
        lambda session_id: elsewhere(store, session_id, notes[session_id].get("elsewhere", ())),
    )


def _read_transcripts(
    spool: Spool, store: LedgerStore, prices: PriceBook, workflow_id: str, items: list[SpoolLine]
) -> None:
    grown = {path: item for item in items for path in item.transcripts}
    for path, item in grown.items():
        options = Options(workflow_id, item.agent)
        try:
            report = import_transcripts(store, "claude", path, options, ImportOptions(prices=prices))
        except SourceUnreadable as error:
            spool.log(_now(), str(error))
            continue
        for skipped in report.skipped:
            spool.log(_now(), f"{skipped.path}:{skipped.line or ''} {skipped.reason}")
        for _, problem in report.problems:
            raise problem


def _without_repetitions(lines: Iterable[tuple[bytes, SpoolLine]]) -> Iterator[bytes]:
    """What waits, without the lines that say what their session's line before said: a status line is told often."""
    before: dict[str, tuple[str | None, tuple[Path, ...], bool]] = {}
    for line, item in lines:
        tells = (item.counter_usd, item.transcripts, item.cleared)
        if before.get(item.session_id) != tells:
            before[item.session_id] = tells
            yield line


def _now() -> str:
    return timestamps.to_wire(timestamps.now())

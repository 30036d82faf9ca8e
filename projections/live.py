"""Draining the spool: append what agents said while they ran, and write down what their status line shows next."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import orjson

from ledger import clock, money
from ledger.capture import Said, append_said, said
from ledger.errors import CostledgerError, InvalidInput, SourceUnreadable
from ledger.pricing import PriceBook
from ledger.sources.findings import Options
from ledger.spool import Spool
from ledger.store import LedgerStore
from ledger.transcripts import import_transcripts
from projections.budget import Budgets, standing
from projections.replay import project

__all__ = ["drain"]

_NOTES_MAX: Final = 500
"""Sessions remembered."""

Note = dict[str, Any]


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
            _drain_once(spool, store, prices, budgets)
        finally:
            os.close(lock)
        # Looked at after the lock was given up: nobody's line is missed.
        lock = spool.drain_lock() if spool.has_new() else None


def _drain_once(spool: Spool, store: LedgerStore, prices: PriceBook, budgets: Budgets) -> None:
    """Append what waits now; what cannot be appended is kept for the next."""
    by_workflow: dict[str, list[tuple[bytes, Said]]] = {}
    for line in spool.take().splitlines(keepends=True):
        if line.strip():
            try:
                item = said(orjson.loads(line))
                by_workflow.setdefault(item.workflow_id, []).append((line, item))
            except (orjson.JSONDecodeError, InvalidInput, TypeError, AttributeError) as error:
                spool.log(_now(), f"left out of the ledger: {error}: {line[:300]!r}")
    waiting: list[bytes] = []
    for workflow_id, lines in by_workflow.items():
        try:
            items = [item for _, item in lines]
            notes = _notes(spool, items)
            _append(spool, store, prices, workflow_id, items, notes)
            _write_notes(spool, store, budgets, workflow_id, notes)
        except Exception as error:  # whatever one workflow holds, the others go on
            told = "" if isinstance(error, CostledgerError) else f"{type(error).__name__}: "
            spool.log(_now(), f"{workflow_id}: {told}{error}; it waits in {spool.folder}")
            waiting += _without_repetitions(lines)
    spool.keep(b"".join(waiting))


def _append(
    spool: Spool,
    store: LedgerStore,
    prices: PriceBook,
    workflow_id: str,
    items: list[Said],
    notes: Mapping[str, Note],
) -> None:
    append_said(store, workflow_id, items, lambda item: _cleared_counters(spool, item, notes))
    grown = {path: item for item in items for path in item.transcripts}
    for path, item in grown.items():
        options = Options(workflow_id, item.agent, fed_too=True)  # also what its own status line feeds
        try:
            report = import_transcripts(store, "claude", path, options, prices=prices)
        except SourceUnreadable as error:
            spool.log(_now(), str(error))
            continue
        for skipped in report.skipped:
            spool.log(_now(), f"{skipped.path}:{skipped.line or ''} {skipped.reason}")
        for _, problem in report.problems:
            raise problem


def _notes(spool: Spool, items: list[Said]) -> dict[str, Note]:
    """What is to be remembered of the sessions, the last line of each."""
    notes: dict[str, Note] = {}
    for item in items:
        note = notes.setdefault(item.session_id, spool.note(item.session_id))
        note |= {"project_dir": item.project_dir} if item.project_dir else {}
        note |= {"cleared": True} if item.cleared else {}
        if item.counter_usd is not None:
            note |= {"counter_usd": item.counter_usd, "since_ms": item.since_ms}
    return notes


def _without_repetitions(lines: Iterable[tuple[bytes, Said]]) -> Iterator[bytes]:
    """What waits, without the lines that say what their session's line before said: a status line is told often."""
    before: dict[str, tuple[str | None, tuple[Path, ...]]] = {}
    for line, item in lines:
        tells = (item.counter_usd, item.transcripts)
        if before.get(item.session_id) != tells:
            before[item.session_id] = tells
            yield line if line.endswith(b"\n") else line + b"\n"


def _cleared_counters(spool: Spool, item: Said, fresh: Mapping[str, Note]) -> Iterator[tuple[int, int | None]]:
    """Where the counters of the sessions stand that were cleared in the same project."""
    for session_id in {*fresh, *_noted(spool)} - {item.session_id}:
        note = fresh.get(session_id) or spool.note(session_id)
        if note.get("cleared") and note.get("project_dir") == item.project_dir and note.get("counter_usd"):
            yield money.parse(note["counter_usd"]), note.get("since_ms")


def _noted(spool: Spool) -> list[str]:
    """The sessions with a note, the ones written last first."""
    folder = Path(spool.note_path("x")).parent
    try:
        found = [(entry.stat().st_mtime, entry.name) for entry in os.scandir(folder) if entry.name.endswith(".json")]
    except FileNotFoundError:
        return []
    return [name.removesuffix(".json") for _, name in sorted(found, reverse=True)]


def _write_notes(spool: Spool, store: LedgerStore, budgets: Budgets, workflow_id: str, notes: dict[str, Note]) -> None:
    try:
        row = project(store, workflow_id).row
    except CostledgerError:
        return  # nothing of it has been appended yet: a transcript without a call, say
    stands = standing(row, budgets)
    shown = {
        "cost_usd": money.to_wire(row.actual_cost_nanousd),
        "cost_basis": row.cost_basis,
        "budget_usd": None if stands is None else money.to_wire(stands.budget_nanousd),
    }
    for session_id, note in notes.items():
        path = Path(spool.note_path(session_id))
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_bytes(orjson.dumps(note | shown))
        new.replace(path)
    for session_id in _noted(spool)[_NOTES_MAX:]:
        with suppress(FileNotFoundError):
            os.unlink(spool.note_path(session_id))


def _now() -> str:
    return clock.to_wire(clock.now())

"""Draining the spool: append what agents said while they ran, and write down what their status line shows next."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from ledger import clock, money
from ledger.capture import KIND, Said, Session, append_said, elsewhere, said, sessions
from ledger.errors import CostledgerError, InvalidInput, SourceUnreadable
from ledger.events import Line
from ledger.message_index import MessageIndex
from ledger.pricing import PriceBook
from ledger.session_counter import LATE_MAX_MS, Counter, carried_over, same_start
from ledger.sources.findings import Options
from ledger.spool import Spool, file_name
from ledger.store import LedgerStore
from ledger.transcripts import import_transcripts
from projections import meters
from projections.budget import Budgets, standing
from projections.folding import State, fold, initial
from projections.replay import projected

__all__ = ["drain"]

_NOTES_MAX: Final = 500
"""Sessions remembered."""
_LOOK_SECONDS: Final = 0.1
"""How often is looked whether the line has come that another one is held back for."""

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
    notes = _notes(spool, [item for _, item in told])
    held = _held(spool, [item for _, item in told], notes)
    waiting = [line for line, item in told if item.session_id in held]
    told = [(line, item) for line, item in told if item.session_id not in held]
    by_workflow: dict[str, list[tuple[bytes, Said]]] = {}

    def append(workflow_id: str, items: list[Said]) -> None:
        _append_readings(spool, store, workflow_id, items, notes)

    def read_on(workflow_id: str, items: list[Said]) -> None:
        _read_transcripts(spool, store, prices, workflow_id, items)
        its_own = {item.session_id: notes[item.session_id] for item in items}
        _write_notes(spool, store, budgets, workflow_id, its_own)

    with ExitStack() as until_appended:
        try:
            _place(spool, store, [item for _, item in told], notes, until_appended)
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
    spool: Spool, by_workflow: dict[str, list[tuple[bytes, Said]]], do: Callable[[str, list[Said]], None]
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


def _told(spool: Spool) -> Iterator[tuple[bytes, Said]]:
    """What waits, line by line; what never makes sense goes to the log."""
    for line in spool.take().splitlines(keepends=True):
        if line.strip():
            try:
                yield line, said(orjson.loads(line))
            except (orjson.JSONDecodeError, InvalidInput, TypeError, AttributeError) as error:
                spool.log(_now(), f"left out of the ledger: {error}: {line[:300]!r}")


def _held(spool: Spool, items: Iterable[Said], notes: Mapping[str, Note]) -> set[str]:
    """New sessions whose counter may go on from another one's that a `/clear` has ended: its hook may come later.

    Held back while the first line is younger than that: what is appended now cannot be taken back.
    """
    now = clock.now()
    since, until = (clock.to_wire(now - timedelta(milliseconds=late_ms)) for late_ms in (LATE_MAX_MS, 0))
    seen, held = set[str](), set[str]()
    for item in items:
        if item.counter_usd is None or item.session_id in seen:
            continue
        seen.add(item.session_id)
        if not since < item.at <= until or spool.note(item.session_id).get("counter_usd"):
            continue
        shown = money.parse(item.counter_usd)
        known, possible = (
            carried_over(_counters(spool, item, notes, cleared=cleared), shown, item.since_ms)
            for cleared in (True, False)
        )
        if possible > known:
            held.add(item.session_id)
    return held


def _place(
    spool: Spool, store: LedgerStore, items: Iterable[Said], notes: dict[str, Note], until_appended: ExitStack
) -> None:
    """Note in which workflow each session counts: the one whose ledger has it, or else the first that was named.

    A session whose counter is noted has its workflow noted, too, and stays there. Of the others the index knows.

    Args:
        until_appended: holds the index, so that no import takes a session to another workflow meanwhile.

    Raises:
        SourceUnreadable: the index cannot be used; a session that is not noted has no `workflow_id` then.
    """
    named: dict[str, set[str]] = {}
    first: dict[str, str] = {}
    for item in items:
        first.setdefault(item.session_id, item.workflow_id)
        named.setdefault(item.session_id, set()).add(item.workflow_id)
    unknown = [id for id in first if not _is_placed(store, spool.note(id))]
    for session_id in unknown:
        for name in ("workflow_id", "elsewhere"):
            notes[session_id].pop(name, None)
    if unknown:
        homes = until_appended.enter_context(MessageIndex.opened(store)).homes(unknown, KIND)
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
    spool: Spool, store: LedgerStore, workflow_id: str, items: list[Said], notes: Mapping[str, Note]
) -> None:
    append_said(
        store,
        workflow_id,
        items,
        lambda item: _counters(spool, item, notes, cleared=True),
        lambda session_id: elsewhere(store, session_id, notes[session_id].get("elsewhere", ())),
    )


def _read_transcripts(spool: Spool, store: LedgerStore, prices: PriceBook, workflow_id: str, items: list[Said]) -> None:
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
        if item.project_dir and (item.counter_usd is not None or "project_dir" not in note):
            note["project_dir"] = item.project_dir  # a hook tells the folder that the agent has gone to
        note |= {"agent": item.agent} if item.agent else {}
        note |= {"cleared": True} if item.cleared else {}
        if item.counter_usd is not None and not _late(item, note):
            note |= {"counter_usd": item.counter_usd, "since_ms": item.since_ms, "duration_ms": item.duration_ms}
    return notes


def _late(item: Said, note: Note) -> bool:
    """Whether its counter has told what is noted after what this says."""
    noted_ms = note.get("duration_ms")
    if noted_ms is None or item.duration_ms is None or item.duration_ms >= noted_ms:
        return False
    return same_start(item.since_ms, note.get("since_ms"))


def _without_repetitions(lines: Iterable[tuple[bytes, Said]]) -> Iterator[bytes]:
    """What waits, without the lines that say what their session's line before said: a status line is told often."""
    before: dict[str, tuple[str | None, tuple[Path, ...], bool]] = {}
    for line, item in lines:
        tells = (item.counter_usd, item.transcripts, item.cleared)
        if before.get(item.session_id) != tells:
            before[item.session_id] = tells
            yield line


def _counters(
    spool: Spool, item: Said, fresh: Mapping[str, Note], *, cleared: bool
) -> Iterator[tuple[int, int | None]]:
    """Where the counters of the other sessions stand in the same project that were cleared, or were not."""
    for session_id in {*fresh, *_noted(spool)} - {item.session_id}:
        note = fresh.get(session_id) or spool.note(session_id)
        if bool(note.get("cleared")) != cleared or note.get("project_dir") != item.project_dir:
            continue
        if note.get("counter_usd"):
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
    state, lines = initial(workflow_id), list[Line]()
    try:
        reader = store.read(workflow_id)
        for line in reader:
            lines.append(line)
            fold(state, line)
    except CostledgerError:
        return  # nothing of it has been appended yet: a transcript without a call, say
    row, by_id = projected(state, reader.head).row, sessions(lines)
    stands = standing(row, budgets)
    shown = {
        "workflow_id": workflow_id,
        "cost_usd": money.to_wire(row.actual_cost_nanousd),
        "cost_basis": row.cost_basis,
        "budget_usd": None if stands is None else money.to_wire(stands.budget_nanousd),
    }
    for session_id, note in notes.items():
        session = by_id.get(session_id) or Session()
        session.elsewhere_nanousd = elsewhere(store, session_id, note.get("elsewhere", ()))
        path = Path(spool.note_path(session_id))
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        counted = _counted(state, session_id, session, note.get("agent"))
        new.write_bytes(orjson.dumps(note | shown | counted))
        new.replace(path)
    for session_id in _noted(spool)[_NOTES_MAX:]:
        with suppress(FileNotFoundError):
            os.unlink(spool.note_path(session_id))


def _counted(state: State, session_id: str, session: Session, agent: str | None) -> Note:
    """What the row shows once the session's counters have told more, for the status line until that is appended.

    Returns:
        least_usd: what it shows at least, however little they told.
        by_counters_usd: what it would show if nothing but these counters told what the session cost. The row shows this
            and by how much they have grown, or `least_usd` when that is larger.
        counters: of each `shown_usd` and, for each of the `processes` that it counted in, between which two moments one
            that has begun is this one (`since_ms`) and up to which duration what is lower comes late (`late_until_ms`).
            The one that goes on where it is not known which one speaks stands first.
    """
    session.cover(agent)
    counters = sorted(session.counter.counters, key=lambda counter: -counter.nanousd)
    least, by_counters = _row_after_a_reading(state, (session.agent, session_id, None, None))
    return {
        "least_usd": money.to_wire(least),
        "by_counters_usd": money.to_wire(by_counters + session.counter.nanousd - session.not_its_meters_nanousd),
        "counters": [_as_told(counter) for counter in counters],
    }


def _as_told(counter: Counter) -> Note:
    return {
        "shown_usd": money.to_wire(counter.nanousd + counter.base),
        "processes": [
            {
                "since_ms": [each.since_ms - LATE_MAX_MS, each.since_ms + LATE_MAX_MS],
                "late_until_ms": None if each.duration_ms is None else each.duration_ms + LATE_MAX_MS,
            }
            for each in counter.processes
        ],
    }


def _row_after_a_reading(state: State, path: meters.Path) -> tuple[int, int]:
    """What a workflow costs once this meter reads x: the larger of the first and x + the second, in nanodollars.

    By the rules of `projections.meters`, for a reading that is not final and the latest.
    """
    tree = state.tree
    meter = tree.meter(path)
    least, beside = max(meter.below_nanousd, 0 if tree.ended else _read(meter, ended=False)), 0
    while (above := meter.parent) is not None:
        others = above.settled_nanousd + above.grown_nanousd - meter.cost_nanousd
        least, beside = max(_read(above, ended=tree.ended), least + others), beside + others
        meter = above
    return least, beside


def _read(meter: meters.Meter, *, ended: bool) -> int:
    """What its own readings say of its cost, in nanodollars; 0 without any."""
    reading = meter.latest if ended else meter.highest
    return 0 if reading is None else reading.cost_nanousd


def _now() -> str:
    return clock.to_wire(clock.now())

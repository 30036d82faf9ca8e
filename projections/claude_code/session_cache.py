"""Notes: what a drain remembers of each session, and what its status line shows until the next one.

The status line reads them and nothing else; without them it shows what its counter tells.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import orjson

from ledger.claude_code.session_cost import LATE_MAX_MS, ProcessCounter, same_start
from ledger.claude_code.spool import Spool
from ledger.claude_code.statusline_readings import SpoolLine, StatusLineSession, elsewhere, sessions
from ledger.errors import CostledgerError
from ledger.events import money
from ledger.events.event import Line
from ledger.storage.store import LedgerStore
from projections.folding import meters
from projections.folding.fold import State, fold, initial
from projections.replay.refresh import projected
from projections.reports.budgets import Budgets, budget_status

__all__ = ["Note", "counters", "renewed", "write"]

_NOTES_MAX: Final = 500
"""Sessions remembered."""

Note = dict[str, Any]


def renewed(stored: Mapping[str, Note], items: Iterable[SpoolLine]) -> dict[str, Note]:
    """What is to be remembered of these sessions now: what was stored, and the last line of each."""
    notes = {session_id: dict(note) for session_id, note in stored.items()}
    for item in items:
        note = notes[item.session_id]
        if item.project_dir and (item.counter_usd is not None or "project_dir" not in note):
            note["project_dir"] = item.project_dir  # a hook tells the folder that the agent has gone to
        note |= {"agent": item.agent} if item.agent else {}
        note |= {"cleared": True} if item.cleared else {}
        if item.counter_usd is not None and not _late(item, note):
            note |= {"counter_usd": item.counter_usd, "since_ms": item.since_ms, "duration_ms": item.duration_ms}
    return notes


def _late(item: SpoolLine, note: Note) -> bool:
    """Whether its counter has told what is noted after what this says."""
    noted_ms = note.get("duration_ms")
    if noted_ms is None or item.duration_ms is None or item.duration_ms >= noted_ms:
        return False
    return same_start(item.since_ms, note.get("since_ms"))


def counters(spool: Spool, item: SpoolLine, fresh: Mapping[str, Note]) -> Iterator[tuple[bool, tuple[int, int | None]]]:
    """Of each other session of the same project, whether it was cleared, and its counter's figure and start.

    Args:
        fresh: notes that are not stored yet.
    """
    for session_id in {*fresh, *_noted(spool)} - {item.session_id}:
        note = fresh.get(session_id) or spool.note(session_id)
        if note.get("project_dir") == item.project_dir and note.get("counter_usd"):
            yield bool(note.get("cleared")), (money.parse(note["counter_usd"]), note.get("since_ms"))


def _noted(spool: Spool) -> list[str]:
    """The sessions with a note, the ones written last first."""
    folder = Path(spool.note_path("x")).parent
    try:
        found = [(entry.stat().st_mtime, entry.name) for entry in os.scandir(folder) if entry.name.endswith(".json")]
    except FileNotFoundError:
        return []
    return [name.removesuffix(".json") for _, name in sorted(found, reverse=True)]


def write(spool: Spool, store: LedgerStore, budgets: Budgets, workflow_id: str, notes: Mapping[str, Note]) -> None:
    """Store the notes of sessions of one workflow, with what its row shows and will show."""
    state, lines = initial(workflow_id), list[Line]()
    try:
        reader = store.read(workflow_id)
        for line in reader:
            lines.append(line)
            fold(state, line)
    except CostledgerError:
        return  # nothing of it has been appended yet: a transcript without a call, say
    row, by_id = projected(state, reader.head).row, sessions(lines)
    stands = budget_status(row, budgets)
    shown = {
        "workflow_id": workflow_id,
        "cost_usd": money.to_wire(row.actual_cost_nanousd),
        "cost_basis": row.cost_basis,
        "budget_usd": None if stands is None else money.to_wire(stands.budget_nanousd),
        "budget_warn_at": None if stands is None or not stands.warn_at else str(stands.warn_at[0]),
    }
    for session_id, note in notes.items():
        session = by_id.get(session_id) or StatusLineSession()
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


def _counted(state: State, session_id: str, session: StatusLineSession, agent: str | None) -> Note:
    """What the row shows once the session's counters have told more, for the status line until that is appended.

    Returns:
        least_usd: what it shows at least, however little they told.
        by_counters_usd: what it would show if nothing but these counters told what the session cost. The row shows this
            and by how much they have grown, or `least_usd` when that is larger.
        counters: of each `shown_usd` and, for each of the `processes` that it counted in, between which two moments one
            that has begun is this one (`since_ms`) and up to which duration what is lower comes late (`late_until_ms`).
            The one that goes on where it is not known which one speaks stands first.
        carried: the same of processes whose counters go on from a saved total; they grow by what they show more.
    """
    session.cover(agent)
    counters = sorted(session.counter.counters, key=lambda counter: -counter.nanousd)
    carried = [
        {"since_ms": [since - LATE_MAX_MS, since + LATE_MAX_MS], "shown_usd": money.to_wire(process.highest)}
        for process in session.carried.processes
        if (since := process.since_ms) is not None
    ]
    least, by_counters = _row_after_a_reading(state, (session.agent, session_id, None, None))
    return {
        "least_usd": money.to_wire(least),
        "by_counters_usd": money.to_wire(by_counters + session.counted_nanousd - session.not_its_meters_nanousd),
        "counters": [_as_told(counter) for counter in counters],
    } | ({"carried": carried} if carried else {})


def _as_told(counter: ProcessCounter) -> Note:
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

    By the rules of `projections.folding.meters`, for a reading that is not final and the latest.
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

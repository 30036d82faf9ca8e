"""The workflows where sessions count: all readings of one session go to one workflow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ledger.importing.message_index import INDEX_FILE, MessageIndex
from ledger.sources.findings import Findings, Location, Skipped
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.store import LedgerStore

__all__ = ["by_session_home", "session_homes"]


def session_homes(store: LedgerStore, *, create: bool, waits: bool) -> dict[str, set[str]]:
    """Return the workflows that have readings of each session.

    Args:
        create: build the index of messages where there is none, because a transcript was never imported.
        waits: see `ImportOptions`.
    """
    if not create and not (isinstance(store, DirectoryStore) and (store.path / INDEX_FILE).exists()):
        return {}
    with MessageIndex.opened(store, waits=waits) as index:
        return index.sessions()


def by_session_home(workflow_id: str, findings: Findings, homes: dict[str, set[str]]) -> Iterator[tuple[str, Findings]]:
    """Yield findings by the workflows that have their sessions already.

    The part's own workflow comes first, unless all of it counts elsewhere.

    Args:
        workflow_id: of the part that was read.
        homes: see `session_homes`; a new session is added to it.
    """
    own = replace(findings, sessions=[], calls=[], counters=[])
    moved: dict[str, Findings] = {}

    def home(session_id: str | None, location: Location) -> Findings:
        """Return the findings that a session goes to."""
        workflows = homes.setdefault(session_id, set()) if session_id is not None else set()
        if not workflows or workflow_id in workflows:
            workflows.add(workflow_id)
            return own
        target = min(workflows)
        reason = f"session {session_id} counts in workflow {target}, which has something of it; it was added there"
        found = moved.setdefault(target, Findings())
        if not any(skipped.reason == reason for skipped in found.skipped):
            found.skipped.append(Skipped(Path(location.file), location.line, reason, note=True))
        return found

    for session in findings.sessions:
        home(session.session_id, session.where).sessions.append(session)
    for call in findings.calls:
        home(call.session_id if call.client else None, call.location).calls.append(call)
    for counter in findings.counters:
        home(counter.session_id if counter.client else None, counter.location).counters.append(counter)
    if not moved or own != Findings(skipped=own.skipped):
        yield workflow_id, own
    else:
        next(iter(moved.values())).skipped += own.skipped
    yield from moved.items()

"""Messages of transcripts, joined over all files that show them and assigned to the workflows where they count.

A message that some ledger has stays there; a new one belongs to the session that had it first; all of a session goes to
the workflow that has readings of it. A total that a client wrote into its transcript becomes a reading of the session's
meter, less what the session carried over from a parent.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from ledger.importing.ledger_state import LedgerState
from ledger.importing.message_index import FileRead, IndexedMessage, MessageIndex
from ledger.importing.session_totals import count_totals
from ledger.importing.transcript_job import TranscriptJob
from ledger.providers.usage import is_larger
from ledger.sources import transcript
from ledger.sources.findings import Beginning, Counter, Options, Skipped, spelled
from ledger.sources.names import default_workflow, grouped_workflow
from ledger.sources.repositories import repository_of
from ledger.sources.transcript import COPY, Extract, FileStamp, Mark, TranscriptMessage

__all__ = ["FileReading", "JoinedMessages"]

_MANY: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class FileReading:
    """One file to read, and from where.

    Attributes:
        messages, skipped: what it had before the mark.
    """

    kind: str
    path: Path
    stamp: FileStamp
    mark: Mark
    messages: int = 0
    skipped: tuple[Skipped, ...] = ()

    @property
    def bytes(self) -> int:
        """How much there is to read."""
        return max(0, self.stamp.size - self.mark.offset)


@dataclass(slots=True)
class _JoinedMessage:
    """One message, joined over the files that show it.

    Attributes:
        view: its largest view, under the session that had it first.
        first: orders the files that have it: those that did not copy it, then by its moment, how many responses the
            file begins with, its end and its name.
        file: of the largest view.
        at: where a ledger has it, and the id that it has there; None: no ledger has it.
    """

    view: TranscriptMessage
    first: tuple[int, str, int, str, str]
    file: Path
    at: tuple[str, IndexedMessage] | None = None

    @property
    def is_uncounted_copy(self) -> bool:
        """Whether it counts in the session that it was copied from, once that one's transcript is read."""
        return self.at is None and self.view.copied == COPY

    @property
    def is_of_parent(self) -> bool:
        """Whether every file that was read only copied it; the named workflow is not its session's then."""
        return self.first[0] == COPY


class JoinedMessages:
    """The messages of all files that were read."""

    def __init__(self, kind: str, options: Options, index: MessageIndex) -> None:
        self.skipped: list[Skipped] = []
        self.without_folder: set[str] = set()
        self._kind, self._options, self._index = kind, options, index
        self._messages: dict[str, _JoinedMessage] = {}
        self.beginnings: dict[str, Beginning] = {}
        self._readings: list[tuple[FileReading, FileRead, set[str]]] = []
        self._with_totals: list[tuple[Path, Extract]] = []
        self._spelled, self._repository = cache(spelled), cache(repository_of)
        self._ids_by_workflow: dict[str, set[str]] = {}
        self._agents: dict[str, str] = {}

    @property
    def own_sessions(self) -> set[str]:
        """The sessions that some file has messages of which it did not copy."""
        return {message.view.session_id for message in self._messages.values() if not message.is_of_parent}

    def add(self, reading: FileReading, extract: Extract) -> None:
        """Add one file's extract, in the order of the files."""
        skipped = [*reading.skipped, *extract.skipped] if extract.resumed else extract.skipped
        self.skipped += skipped
        for view in extract.messages:
            self._join(view, reading.path, extract)
        for session_id, found in extract.mark.beginnings.items():
            at, project, branch = self.beginnings.get(session_id, Beginning())
            at = min(at or found.at, found.at or at)
            self.beginnings[session_id] = Beginning(at, project or found.project, branch or found.branch)
        self._agents.update(extract.agents)
        if extract.totals:
            self._with_totals.append((reading.path, extract))
        if not extract.failed:
            ids = {view.message_id for view in extract.messages}
            messages = len(ids) + (reading.messages if extract.resumed else 0)
            messages = messages if extract.count is None else extract.count
            self._readings.append((reading, FileRead(reading.stamp, extract.mark, messages, tuple(skipped)), ids))

    def _join(self, view: TranscriptMessage, path: Path, extract: Extract) -> None:
        """Join one file's view of a message with the others'."""
        opening = _MANY if extract.opening is None else extract.opening
        first = (view.copied, view.first_at or "~", opening, extract.last_at, str(path))
        had = self._messages.get(view.message_id)
        if had is None:
            self._messages[view.message_id] = _JoinedMessage(view, first, path)
            return
        owner = view if first < had.first else had.view
        had.first = min(first, had.first)
        if view.is_larger(had.view):
            had.view, had.file = view, path
        had.view = had.view.in_session_of(owner)

    def jobs(self, status: str | None, only: Container[str] | None) -> Iterator[TranscriptJob]:
        """Yield what is to be appended, by workflow."""
        self._find_recorded()
        for message in self._messages.values():
            if message.view.copied == COPY and message.view.parent:
                message.view = message.view._replace(session_id=message.view.parent, copied=0)
        sessions = {message.view.session_id for message in self._messages.values()}
        sessions |= {total.session_id for _, extract in self._with_totals for total in extract.totals}
        sessions |= {message.view.root for message in self._messages.values() if message.view.root}
        homes = self._index.workflows_of(sessions)
        by_workflow: dict[str, list[_JoinedMessage]] = {}
        for id, message in self._messages.items():
            if message.is_uncounted_copy:
                continue
            workflow_id = message.at[1].workflow_id if message.at else self._home_of(message.view, homes)
            workflow_id = workflow_id or self._new_workflow(message)
            self._ids_by_workflow.setdefault(workflow_id, set()).add(id)
            if only is None or workflow_id in only:
                by_workflow.setdefault(workflow_id, []).append(message)
        counters = self._counters(by_workflow, homes, only)
        for workflow_id in sorted(by_workflow.keys() | counters.keys()):
            messages = sorted(by_workflow.get(workflow_id, ()), key=lambda message: message.first)
            yield self._job(workflow_id, messages, counters.get(workflow_id, []), status)

    def _find_recorded(self) -> None:
        """Look up which messages some ledger has, by any of their names."""
        names = {name for message in self._messages.values() for name in message.view.names}
        recorded = self._index.recorded(self._messages.keys() | names)
        for id, message in self._messages.items() if recorded else ():
            found = (each for each in (id, *message.view.names) if each in recorded)
            message.at = next(((each, recorded[each]) for each in found), None)

    def _home(self, workflows: list[str] | None) -> str | None:
        """The workflow that has readings of a session; the one that was asked for, if that is among several."""
        if not workflows:
            return None
        asked = self._options.workflow_id
        return asked if asked in workflows else workflows[0]

    def _home_of(self, view: TranscriptMessage, homes: dict[str, list[str]]) -> str | None:
        """The workflow that has readings of a message's session, or of the session that started that one."""
        return self._home(homes.get(view.session_id)) or self._home(homes.get(view.root))

    def _counters(
        self, by_workflow: dict[str, list[_JoinedMessage]], homes: dict[str, list[str]], only: Container[str] | None
    ) -> dict[str, list[Counter]]:
        """The totals that clients wrote, less what their sessions carried over, by workflow."""
        if not self._with_totals:
            return {}
        new = {each.view.session_id: id for id, messages in by_workflow.items() for each in messages if not each.at}
        owners = {id: _owner(message) for id, message in self._messages.items()}
        stored = self._index.totals(
            {id for id in owners.values() if id is not None}
            | {total.session_id for _, extract in self._with_totals for total in extract.totals}
        )
        found: dict[str, list[Counter]] = {}
        for counter in count_totals(self._kind, self._with_totals, owners, stored, transcript(self._kind).agent):
            session_id = counter.session_id or ""
            workflow_id = self._home(homes.get(session_id)) or new.get(session_id)
            if workflow_id is not None and (only is None or workflow_id in only):
                found.setdefault(workflow_id, []).append(counter)
        for session_id, totals in stored.items():
            self._index.store_totals(session_id, totals)
        return found

    def store_marks(self, failed: Container[str]) -> None:
        """Store the mark of each file all of whose messages are in ledgers now.

        Args:
            failed: the workflows that could not be appended to.
        """
        missing = {id for workflow_id, ids in self._ids_by_workflow.items() if workflow_id in failed for id in ids}
        for reading, done, ids in self._readings:
            if not ids & missing:
                self._index.mark(reading.kind, reading.path, done)

    def _job(
        self, workflow_id: str, messages: Sequence[_JoinedMessage], counters: list[Counter], status: str | None
    ) -> TranscriptJob:
        head, state = self._index.ledger(workflow_id)
        for message in messages:
            if message.at is not None and message.at[1].workflow_id == workflow_id:
                id, at = message.at
                state.messages[id] = (at.agent, at.session_id, at.model)
                state.measures[id] = (at.measure, at.observed_at)
                if id != message.view.message_id:
                    state.aliases[message.view.message_id] = id
        new = [message for message in messages if _is_new(message.view, state)]
        views = [(self._with_kind(message.view), self._spelled(message.file)) for message in new]
        agent = self._options.agent or transcript(self._kind).agent
        unchanged = len(messages) - len(new)
        beginning = self._beginning(messages)
        return TranscriptJob(workflow_id, self._kind, agent, views, counters, beginning, head, state, status, unchanged)

    def _with_kind(self, view: TranscriptMessage) -> TranscriptMessage:
        """A message with the kind of its sub-agent, where its own file has only the sub-agent's id."""
        kind = self._agents.get(view.subagent or "")
        return view if kind is None else view._replace(subagent=kind)

    def _beginning(self, messages: Iterable[_JoinedMessage]) -> Beginning | None:
        """When the sessions of a workflow's messages began, in which repository and on which branch."""
        sessions = {message.view.session_id for message in messages}
        found = sorted(self.beginnings[session_id] for session_id in sessions if session_id in self.beginnings)
        at = min((each.at for each in found if each.at), default="")
        first = next((each for each in found if each.project), Beginning())
        if not at and not first.project:
            return None
        return Beginning(at, self._repository(first.project) if first.project else "", first.branch)

    def _new_workflow(self, message: _JoinedMessage) -> str:
        """The workflow of a message that no ledger has."""
        view, given = message.view, self._options
        workflow_id = None if message.is_of_parent else given.workflow_id
        named = grouped_workflow(workflow_id, given.workflow_by, view.project, view.branch)
        if named is None and given.workflow_by != "session":
            self.without_folder.add(view.session_id)
        return named or default_workflow(view.root or view.session_id)


def _owner(message: _JoinedMessage) -> str | None:
    """The session that a message belongs to; "" for another one, which is unknown."""
    if message.at is not None:
        return message.at[1].session_id
    return "" if message.is_uncounted_copy else message.view.session_id


def _is_new(view: TranscriptMessage, state: LedgerState) -> bool:
    """Whether a ledger has no view of the message, or only smaller ones."""
    id = state.aliases.get(view.message_id, view.message_id)
    path = state.messages.get(id)
    if path is None:
        return True
    return is_larger(view.measure, state.measures[id][0], same_model=view.model == path[2])

"""Where the logs of agents were found, by tool: how many sessions, up to when, and what could not be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from ledger.errors import CostledgerError, NoLogs
from ledger.importing.auto_import import default_sources, not_registered, skipped_inputs
from ledger.importing.indexed_sessions import IndexedSession, indexed
from ledger.importing.source_registry import SourceEntry, SourceRegister
from ledger.sources import TRANSCRIPT_KINDS, transcript
from ledger.sources.agent_places import agent_folders
from ledger.sources.findings import Skipped
from ledger.sources.formats.folders import may_exist
from ledger.storage.directory_store import DirectoryStore
from projections.folding.row import Row
from projections.folding.tools import tool_of_kind, tools_of

__all__ = ["FoundPlace", "FoundSources", "FoundTool", "found_sources"]

PlaceState = Literal["read", "gone", "forgotten", "not read"]
"""`gone`: it is registered and no longer exists; `not read`: a default place with logs that are not read here."""


class FoundPlace(NamedTuple):
    """A path with a tool's logs.

    Attributes:
        skipped: how many inputs could not be read, and in how many files.
    """

    kind: str
    path: str
    state: PlaceState
    skipped: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class FoundTool:
    """A tool whose logs were found.

    Attributes:
        sessions: with readings in the ledgers; None while that is unknown.
        last_activity: of its sessions, in the ledger's spelling.
        skipped: the inputs that could not be read, as far as they are stored: those of transcripts.
    """

    name: str
    places: list[FoundPlace] = field(default_factory=list)
    sessions: int | None = None
    last_activity: str | None = None
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def kinds(self) -> list[str]:
        """The kinds of its places."""
        return list(dict.fromkeys(place.kind for place in self.places))


@dataclass(frozen=True, slots=True)
class FoundSources:
    """The tools whose logs were found, the last active first, and the default places of the others, maybe none."""

    tools: list[FoundTool]
    not_found: dict[str, list[Path]]


def found_sources(ledgers: DirectoryStore, configured: Iterable[SourceEntry], rows: Mapping[str, Row]) -> FoundSources:
    """Return what was found where.

    Args:
        configured: the sources of the configuration.
        rows: by workflow.

    Raises:
        SourceUnreadable: the register of sources cannot be read.
    """
    tools: dict[str, FoundTool] = {}
    for place in _places(ledgers.path, configured):
        name = tool_of_kind(place.kind)
        tools.setdefault(name, FoundTool(name)).places.append(place)
    if (known := indexed(ledgers)) is not None:
        _count_sessions(tools, known.sessions, rows)
        for kind, skipped in known.skipped:
            tool = tools.get(tool_of_kind(kind))
            if tool is not None and any(_is_below(skipped.path, kind, place) for place in tool.places):
                tool.skipped.append(skipped)
    missing = [kind for kind in TRANSCRIPT_KINDS if tool_of_kind(kind) not in tools]
    ordered = sorted(tools.values(), key=lambda tool: tool.name)
    ordered.sort(key=lambda tool: tool.last_activity or "", reverse=True)
    return FoundSources(ordered, {tool_of_kind(kind): agent_folders(kind) for kind in missing})


def _places(data: Path, configured: Iterable[SourceEntry]) -> list[FoundPlace]:
    register, skipped = SourceRegister(data), skipped_inputs(data)
    given = list(dict.fromkeys([*configured, *register.entries()]))
    found: dict[tuple[str, str], FoundPlace] = {}
    for entry in given:
        state: PlaceState = "read" if may_exist(Path(entry.path)) else "gone"
        found[entry.kind, entry.path] = FoundPlace(entry.kind, entry.path, state, skipped.get(entry, (0, 0)))
    forgotten = register.forgotten()
    for entry in not_registered(default_sources(), given, ()):
        if (entry.kind, entry.path) in forgotten:
            found[entry.kind, entry.path] = FoundPlace(entry.kind, entry.path, "forgotten")
        elif _has_logs(entry):
            found[entry.kind, entry.path] = FoundPlace(entry.kind, entry.path, "not read")
    return list(found.values())


def _has_logs(entry: SourceEntry) -> bool:
    try:
        transcript(entry.kind).files(Path(entry.path))
    except NoLogs:
        return False
    except CostledgerError:
        return True  # that nothing can be read there is reported when it is imported
    return True


def _count_sessions(tools: dict[str, FoundTool], sessions: Iterable[IndexedSession], rows: Mapping[str, Row]) -> None:
    """Add how many sessions of each tool the ledgers have, and when the last was active."""
    found: dict[str, set[str]] = {name: set() for name in tools}
    for session in sessions:
        name = tools_of([session.kind])
        if not session.kind or name is None:
            continue  # recorded by a program, and read from no log
        tool = tools.setdefault(name, FoundTool(name))
        found.setdefault(name, set()).add(session.session_id)
        row = rows.get(session.workflow_id)
        at = session.last_at or (row.last_activity if row is not None else None)
        if at:
            tool.last_activity = max(tool.last_activity or "", at)
    for name, tool in tools.items():
        tool.sessions = len(found[name])


def _is_below(path: Path, kind: str, place: FoundPlace) -> bool:
    return place.kind == kind and place.state == "read" and path.is_relative_to(place.path)

"""The register of the sources that were imported into a data directory, so that they can be read again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, Protocol

from ledger.errors import SourceUnreadable, reason
from ledger.storage.atomic_files import locked, write_whole

__all__ = ["SourceEntry", "SourceRegister", "Sources"]


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """A source that was imported: enough to read it again; see `Options` for what it was imported with."""

    kind: str
    path: str
    workflow_id: str | None = None
    agent: str | None = None
    map: tuple[str, ...] = ()
    workflow_by: str = "session"


_DEFAULTS: Final = {field.name: field.default for field in fields(SourceEntry)}


def _entry(stored: dict[str, Any]) -> SourceEntry:
    given = {name: value for name, value in stored.items() if name != "fed_too"}  # an option of earlier versions
    return SourceEntry(**given | {"map": tuple(stored.get("map", ()))})


class Sources(Protocol):
    """Sources to read again."""

    def entries(self) -> Sequence[SourceEntry]:
        """Return each source once.

        Raises:
            SourceUnreadable: their register cannot be read.
        """
        ...


class SourceRegister:
    """The sources that were imported into a data directory, in `sources.jsonl` there; `sources_forgotten.jsonl` has the
    forgotten ones.

    They are not in the ledgers: a source covers many workflows, and the path of a file is no fact about any of them.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self.path = data / "sources.jsonl"
        self._forgotten = data / "sources_forgotten.jsonl"

    def entries(self) -> list[SourceEntry]:
        """Return the sources in the order in which they were first imported.

        Raises:
            SourceUnreadable: the register cannot be read.
        """
        return _entries_in(self.path)

    def add(self, entry: SourceEntry) -> None:
        """Register a source by its absolute path, also a forgotten one; one that is registered is not added again.

        Raises:
            SourceUnreadable: the register cannot be read or written.
        """
        entry = replace(entry, path=str(Path(entry.path).absolute()))
        try:
            with locked(self._data):
                entries = self.entries()
                if entry not in entries:
                    _store(self.path, [*entries, entry])
                forgotten = _entries_in(self._forgotten)
                others = [each for each in forgotten if (each.kind, each.path) != (entry.kind, entry.path)]
                if others != forgotten:
                    _store(self._forgotten, others)
        except OSError as error:
            raise SourceUnreadable(self.path, f"cannot be written: {reason(error)}") from error

    def forgotten(self) -> set[tuple[str, str]]:
        """Return kind and path of the sources that were forgotten, and are not read without being named again.

        Raises:
            SourceUnreadable: the list of them cannot be read.
        """
        return {(entry.kind, entry.path) for entry in _entries_in(self._forgotten)}

    def forget(self, path: Path, defaults: Iterable[SourceEntry] = ()) -> list[SourceEntry]:
        """Forget the sources of a path, however they were imported; return them, none when there is none.

        What was read from them stays, and nothing new is read; a default folder stays forgotten until it is imported by
        its name.

        Args:
            defaults: sources that are read without being registered.

        Raises:
            SourceUnreadable: the register cannot be read or written.
        """
        absolute = str(path.absolute())
        try:
            with locked(self._data):
                entries = self.entries()
                gone = [entry for entry in dict.fromkeys([*entries, *defaults]) if entry.path == absolute]
                if gone:
                    before = _entries_in(self._forgotten)
                    again = [SourceEntry(entry.kind, entry.path) for entry in gone]
                    _store(self._forgotten, list(dict.fromkeys([*before, *again])))
                    _store(self.path, [entry for entry in entries if entry not in gone])
        except OSError as error:
            raise SourceUnreadable(self.path, f"cannot be written: {reason(error)}") from error
        return gone

    def drop(self, ids: set[str]) -> None:
        """Delete the sources that name one of these ids, as a workflow or in their path.

        Raises:
            SourceUnreadable: the register cannot be read or written.
        """
        try:
            with locked(self._data):
                for path in (self.path, self._forgotten):
                    entries = _entries_in(path)
                    kept = [one for one in entries if one.workflow_id not in ids and not ids & {*Path(one.path).parts}]
                    kept = [one for one in kept if Path(one.path).stem not in ids]
                    if kept != entries:
                        _store(path, kept)
        except OSError as error:
            raise SourceUnreadable(self.path, f"cannot be written: {reason(error)}") from error


def _entries_in(path: Path) -> list[SourceEntry]:
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SourceUnreadable(path, f"cannot be read: {reason(error)}") from error
    try:
        return [_entry(json.loads(line)) for line in lines if line.strip()]
    except (ValueError, TypeError) as error:
        raise SourceUnreadable(path, f"is not a register of sources ({error}); move it away") from error


def _store(path: Path, entries: Iterable[SourceEntry]) -> None:
    stored = [{n: v for n, v in asdict(entry).items() if v != _DEFAULTS.get(n)} for entry in entries]
    # Not orjson: a path is any bytes, and those that are no text are preserved only as escapes.
    write_whole(path, b"".join(json.dumps(one, separators=(",", ":")).encode() + b"\n" for one in stored))

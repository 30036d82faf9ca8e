"""The register of the sources that were imported into a data directory, so that they can be read again."""

from __future__ import annotations

import json
from collections.abc import Sequence
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
    """The sources that were imported into a data directory, in `sources.jsonl` there.

    They are not in the ledgers: a source covers many workflows, and the path of a file is no fact about any of them.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self.path = data / "sources.jsonl"

    def entries(self) -> list[SourceEntry]:
        """Return the sources in the order in which they were first imported.

        Raises:
            SourceUnreadable: the register cannot be read.
        """
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SourceUnreadable(self.path, f"cannot be read: {reason(error)}") from error
        try:
            return [_entry(json.loads(line)) for line in lines if line.strip()]
        except (ValueError, TypeError) as error:
            raise SourceUnreadable(self.path, f"is not a register of sources ({error}); move it away") from error

    def add(self, entry: SourceEntry) -> None:
        """Register a source by its absolute path; one that is registered is not added again.

        Raises:
            SourceUnreadable: the register cannot be read or written.
        """
        entry = replace(entry, path=str(Path(entry.path).absolute()))
        try:
            with locked(self._data):
                entries = self.entries()
                if entry not in entries:
                    self._write([*entries, entry])
        except OSError as error:
            raise SourceUnreadable(self.path, f"cannot be written: {reason(error)}") from error

    def remove(self, kind: str, path: Path) -> list[SourceEntry]:
        """Forget a source, however it was imported; return its entries, none when it is not registered.

        What was read from it stays, and nothing new is read.

        Raises:
            SourceUnreadable: the register cannot be read or written.
        """
        absolute = str(path.absolute())
        try:
            with locked(self._data):
                entries = self.entries()
                removed = [entry for entry in entries if (entry.kind, entry.path) == (kind, absolute)]
                if removed:
                    self._write([entry for entry in entries if entry not in removed])
        except OSError as error:
            raise SourceUnreadable(self.path, f"cannot be written: {reason(error)}") from error
        return removed

    def _write(self, entries: list[SourceEntry]) -> None:
        stored = [{n: v for n, v in asdict(entry).items() if v != _DEFAULTS.get(n)} for entry in entries]
        # Not orjson: a path is any bytes, and those that are no text are preserved only as escapes.
        write_whole(self.path, b"".join(json.dumps(one, separators=(",", ":")).encode() + b"\n" for one in stored))

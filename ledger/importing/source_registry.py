"""The register: which sources were imported into a data directory, so that they can be read again."""

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


_DEFAULTS: Final = {told.name: told.default for told in fields(SourceEntry)}


def _entry(told: dict[str, Any]) -> SourceEntry:
    known = {name: value for name, value in told.items() if name != "fed_too"}  # an option of earlier versions
    return SourceEntry(**known | {"map": tuple(told.get("map", ()))})


class Sources(Protocol):
    """Sources to read again."""

    def entries(self) -> Sequence[SourceEntry]:
        """Each once.

        Raises:
            SourceUnreadable: where they are kept cannot be read.
        """
        ...


class SourceRegister:
    """The sources that were imported into a data directory, in `sources.jsonl` there.

    They are not in the ledgers: a source speaks of many workflows, and where a file lay is no fact about any of them.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self.path = data / "sources.jsonl"

    def entries(self) -> list[SourceEntry]:
        """In the order they were first imported.

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
        """Remember a source, wherever one stands when it is read again; one that is known is not added again.

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

    def _write(self, entries: list[SourceEntry]) -> None:
        told = [{n: v for n, v in asdict(entry).items() if v != _DEFAULTS.get(n)} for entry in entries]
        # Not orjson: a path is any bytes, and those that are no text survive only as escapes.
        write_whole(self.path, b"".join(json.dumps(one, separators=(",", ":")).encode() + b"\n" for one in told))

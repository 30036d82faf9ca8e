"""Damaged ledgers: workflows whose ledger a resync or a verification could not read, until it can be replayed again.

Such damage does not change a ledger's size, so a refresh would skip it. The list is stored in `DATA/noticed.json`, to
outlive a restart. Safe between threads.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Final

import orjson

from ledger.errors import reason
from ledger.storage.atomic_files import write_whole

__all__ = ["DamagedLedgers"]

_log = logging.getLogger("costledger")

_NAMES_MAX: Final = 1_000
"""Beyond so many damaged ledgers a list of names is of no use."""


class DamagedLedgers:
    """The damaged ledgers of a data directory."""

    def __init__(self, data: Path) -> None:
        self._path = data / "noticed.json"
        self._lock = threading.Lock()
        self._names = self._read()

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def add(self, names: Iterable[str]) -> None:
        """Add ledgers to the end of the list, to be replayed until they can be."""
        with self._lock:
            new = [name for name in names if name not in self._names][: _NAMES_MAX - len(self._names)]
            if new:
                self._names |= dict.fromkeys(new)
                self._write()

    def next(self, count: int) -> list[str]:
        """Return at most so many, those that were tried the longest time ago."""
        with self._lock:
            found = list(islice(self._names, count))
            for name in found:
                self._names[name] = self._names.pop(name)
            return found

    def drop(self, names: Iterable[str]) -> None:
        """Remove ledgers that can be replayed."""
        with self._lock:
            repaired = self._names.keys() & set(names)
            for name in repaired:
                del self._names[name]
            if repaired:
                self._write()

    def _read(self) -> dict[str, None]:
        try:
            names = orjson.loads(self._path.read_bytes())
            return dict.fromkeys(name for name in names if isinstance(name, str))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError) as error:
            _log.warning("%s cannot be read, so earlier damage must be found again: %s", self._path, error)
            return {}

    def _write(self) -> None:
        try:
            write_whole(self._path, orjson.dumps(list(self._names)))
        except OSError as error:
            _log.warning("%s cannot be written: %s", self._path, reason(error))

"""What somebody noticed: workflows whose ledger a resync or a verification could not read, until a replay of it can.

A ledger's size says nothing of such damage, so a refresh would pass it over. It is kept in `DATA/noticed.json`, for it
is still there after a restart. Safe between threads.
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

_KEPT_MAX: Final = 1_000
"""Where more than so many ledgers are damaged, nobody looks at names."""


class DamagedLedgers:
    """The noticed workflows of a data directory."""

    def __init__(self, data: Path) -> None:
        self._path = data / "noticed.json"
        self._lock = threading.Lock()
        self._names = self._read()

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def add(self, names: Iterable[str]) -> None:
        """Look at these until they can be replayed; they are looked at last."""
        with self._lock:
            new = [name for name in names if name not in self._names][: _KEPT_MAX - len(self._names)]
            if new:
                self._names |= dict.fromkeys(new)
                self._write()

    def next(self, count: int) -> list[str]:
        """Those that were not looked at for the longest time, so many at most."""
        with self._lock:
            found = list(islice(self._names, count))
            for name in found:
                self._names[name] = self._names.pop(name)
            return found

    def drop(self, names: Iterable[str]) -> None:
        """These can be replayed."""
        with self._lock:
            mended = self._names.keys() & set(names)
            for name in mended:
                del self._names[name]
            if mended:
                self._write()

    def _read(self) -> dict[str, None]:
        try:
            names = orjson.loads(self._path.read_bytes())
            return dict.fromkeys(name for name in names if isinstance(name, str))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError) as error:
            _log.warning("%s cannot be read, so earlier damage is to be found anew: %s", self._path, error)
            return {}

    def _write(self) -> None:
        try:
            write_whole(self._path, orjson.dumps(list(self._names)))
        except OSError as error:
            _log.warning("%s cannot be written: %s", self._path, reason(error))

"""A SQLite connection whose errors are ours and whose transactions are whole."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ledger.errors import HistoryUnavailable

__all__ = ["Connection"]

_WAIT_SECONDS: Final = 30.0
"""How long a writer waits for another one; a batch of rows takes milliseconds."""


class Connection:
    """One connection to a database file, made when it is not there.

    Raises:
        HistoryUnavailable: at construction.
    """

    def __init__(self, path: Path, *, make: bool = True) -> None:
        self.path = path
        with self.errors():
            if make:
                path.parent.mkdir(parents=True, exist_ok=True)
            elif not path.is_file():
                raise HistoryUnavailable(path, "there is no such database")
            self.db = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)

    def close(self) -> None:
        self.db.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block, or nothing; other writers wait, readers see what was before."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """SQLite's errors as ours."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise HistoryUnavailable(self.path, _sentence(error)) from error


def _sentence(error: Exception) -> str:
    text = str(error) or type(error).__name__
    if "not a database" in text:
        return "is not a SQLite database and was left as it is; use another data directory, or move the file away"
    if "locked" in text:
        return f"another program kept it locked for {_WAIT_SECONDS:.0f} s; try again"
    if "malformed" in text:
        return f"{text}; delete it and run `costledger refresh`: the ledgers hold everything"
    return f"{text}; the ledgers are untouched"

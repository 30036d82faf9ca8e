"""Open the history that a spelling names."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ledger.errors import InvalidInput, MissingExtra
from projections.history.store import HistoryStore

__all__ = ["is_postgres", "open_history"]

_POSTGRES: Final = ("postgresql://", "postgres://")


def is_postgres(spelling: str) -> bool:
    """Return whether a spelling names a PostgreSQL database."""
    return spelling.startswith(_POSTGRES)


def open_history(spelling: str | Path, *, writes: bool = True) -> HistoryStore:
    """Open a history of our own.

    Args:
        spelling: the path of a SQLite database, or `postgresql://…`; see `application_at` for the others.
        writes: False reads a SQLite file where nothing can be written.

    Raises:
        InvalidInput: the spelling is neither.
        MissingExtra: PostgreSQL without its package.
        HistoryUnavailable: the history cannot be used.
    """
    text = str(spelling)
    if is_postgres(text):
        try:
            from projections.history.postgres.history import open_postgres
        except ImportError as error:
            raise MissingExtra("a history in PostgreSQL", "postgres") from error
        return open_postgres(text)
    kind, colon, _ = text.partition(":")
    if colon and isinstance(spelling, str):
        raise InvalidInput(
            f"--history {kind}:…: name a SQLite database as sqlite:PATH, or PostgreSQL as postgresql://USER@HOST/DATABASE"
        )
    from projections.history.sqlite.history import SqliteHistory

    return SqliteHistory(Path(text), writes=writes)

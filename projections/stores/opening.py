"""From the spelling of a history to the store it names."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Protocol

from ledger.errors import InvalidInput, MissingExtra
from projections.store import HistoryStore

__all__ = ["ClosingHistory", "is_postgres", "open_history"]

_POSTGRES: Final = ("postgresql://", "postgres://")


class ClosingHistory(HistoryStore, AbstractContextManager["ClosingHistory"], Protocol):
    """A history that is closed when its block ends."""


def is_postgres(spelling: str) -> bool:
    return spelling.startswith(_POSTGRES)


def open_history(spelling: str | Path, *, insert_missing: bool = False, writes: bool = True) -> ClosingHistory:
    """The history that a spelling names.

    Args:
        spelling: `PATH` of a SQLite database of our own; `sqlite:PATH` of another application's, to be adopted;
            `postgresql://…`, ours unless another application's table `workflow_history` stands there.
        insert_missing: in another application's table, also insert rows that it lacks.
        writes: False reads a SQLite file where nothing can be written.

    Raises:
        InvalidInput: it is none of these.
        MissingExtra: PostgreSQL without its package.
        HistoryUnavailable: it cannot be used.
    """
    text = str(spelling)
    if is_postgres(text):
        try:
            from projections.stores.postgres_adopted import open_postgres
        except ImportError as error:
            raise MissingExtra("a history in PostgreSQL", "postgres") from error
        return open_postgres(text, insert_missing=insert_missing)
    kind, colon, path = text.partition(":")
    if kind == "sqlite" and path:
        from projections.stores.adopted import AdoptedHistory

        return AdoptedHistory(Path(path), insert_missing=insert_missing, writes=writes)
    if colon and isinstance(spelling, str):
        raise InvalidInput(
            f"--history {kind}:…: name a SQLite database as sqlite:PATH, or PostgreSQL as postgresql://USER@HOST/DATABASE"
        )
    from projections.stores.sqlite import SqliteHistory

    return SqliteHistory(Path(text), writes=writes)

"""Open the application's table that the spelling of a history names, if it names one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ledger.errors import MissingExtra
from projections.applications.table import ApplicationTable
from projections.history.open import is_postgres

if TYPE_CHECKING:
    from projections.applications.postgres import PostgresDatabase
    from projections.applications.sqlite import SqliteDatabase

__all__ = ["Opened", "application_at"]

_BACKUPS: Final = "backups"
_OWN: Final = "history.db"


@dataclass(frozen=True, slots=True)
class Opened:
    """The history, and the application's table, that a spelling names.

    Attributes:
        history: the spelling of our own history, as `open_history` reads it.
        application: the table that is a copy of it; None where the spelling names our own history itself.
    """

    history: str | Path
    application: ApplicationTable | None = None

    def close(self) -> None:
        """Close the application's table."""
        if self.application is not None:
            self.application.close()


def application_at(spelling: str | Path, data: Path) -> Opened:
    """Open what a spelling of `--history` names.

    A database is another application's unless its tables are a history of ours: then our own rows are in the data
    directory, and its table `workflow_history` is a copy of them.

    Args:
        spelling: a path, of our own history; `sqlite:PATH` or `postgresql://…`, of either.
        data: the data directory.

    Raises:
        MissingExtra: PostgreSQL without its package.
        HistoryUnavailable: it cannot be read, or has no table that can be a copy of our rows.
    """
    text = str(spelling)
    if is_postgres(text):
        return _opened(_postgres(text), spelling, data)
    kind, _, path = text.partition(":")
    if isinstance(spelling, Path) or kind != "sqlite" or not path:
        return Opened(spelling)
    from projections.applications.sqlite import SqliteDatabase

    return _opened(SqliteDatabase(Path(path)), Path(path), data)


def _postgres(url: str) -> PostgresDatabase:
    try:
        from projections.applications.postgres import PostgresDatabase
    except ImportError as error:
        raise MissingExtra("a history in PostgreSQL", "postgres") from error
    return PostgresDatabase(url)


def _opened(database: PostgresDatabase | SqliteDatabase, own: str | Path, data: Path) -> Opened:
    try:
        if database.is_ours:
            database.close()
            return Opened(own)
        database.check()
        table = ApplicationTable(database, backups=data / _BACKUPS)
        table.check()
    except BaseException:
        database.close()
        raise
    return Opened(data / _OWN, table)

"""The port to an application's database: one transaction at a time, in SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

__all__ = ["Database", "RunStatement"]

T = TypeVar("T")


class RunStatement(Protocol):
    """A function that runs statements within one transaction; `?` is the placeholder of a value."""

    def __call__(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a statement; none when it has no result."""
        ...


class Database(Protocol):
    """An application's database.

    Every method raises HistoryUnavailable when it cannot be used; no write is then partial.
    """

    where: str
    """Its location, without any password."""
    serial: str
    """The type of a column that numbers its rows."""
    for_update: str
    """The end of a query that locks its rows until the transaction ends."""

    def read(self, work: Callable[[RunStatement], T]) -> T:
        """Return the result of `work` on one state of the database; no byte of it changes."""
        ...

    def write(self, work: Callable[[RunStatement], T]) -> T:
        """Return the result of `work` in one transaction; `work` may be called again after a lost race."""
        ...

    def columns(self, run: RunStatement, table: str) -> dict[str, str]:
        """Return the columns of a table and their types; empty when there is no such table."""
        ...

    def reads(self, name: str, kind: str) -> str:
        """Return an expression for a column that gives the value of a `Row`."""
        ...

    def as_column(self, kind: str, value: Any) -> Any:
        """Return a value as a column of this type returns it after a write."""
        ...

    def back_up(self, run: RunStatement, folder: Path, columns: Sequence[str]) -> Path:
        """Write the database as it is before a transaction's changes to a new file in a folder, and return its path.

        Args:
            columns: the columns of `workflow_history` that the transaction writes.
        """
        ...

    def state(self) -> object:
        """Return a value that differs after every change and is cheap to read; None when there is none."""
        ...

    def close(self) -> None:
        """Close the database."""
        ...

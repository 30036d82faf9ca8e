"""What a table of an application is kept right through: one transaction at a time, in either database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

__all__ = ["Database", "RunStatement"]

T = TypeVar("T")


class RunStatement(Protocol):
    """Statements within one transaction; `?` is where a value goes."""

    def __call__(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows that a statement gives; none when it gives none."""
        ...


class Database(Protocol):
    """An application's database.

    Every method raises HistoryUnavailable when it cannot be used; nothing is then half-written.
    """

    where: str
    """As it is shown, without any password."""
    serial: str
    """The type of a column that numbers its rows."""
    for_update: str
    """What a query says at its end to lock what it reads until the transaction ends."""

    def read(self, work: Callable[[RunStatement], T]) -> T:
        """What `work` returns, of one state of the database; no byte of it changes."""
        ...

    def write(self, work: Callable[[RunStatement], T]) -> T:
        """What `work` returns, in one transaction, all of it or nothing. It may be called again after a lost race."""
        ...

    def columns(self, run: RunStatement, table: str) -> dict[str, str]:
        """The columns of a table and their types; empty when there is no such table."""
        ...

    def reads(self, name: str, kind: str) -> str:
        """An expression for a column that gives what a `Row` holds."""
        ...

    def as_column(self, kind: str, value: Any) -> Any:
        """A value as a column of this type gives it back."""
        ...

    def back_up(self, run: RunStatement, folder: Path, columns: Sequence[str]) -> Path:
        """Write the database as it is before a transaction's changes to a new file in a folder, and return its path.

        Args:
            columns: of `workflow_history`, those that are going to be written.
        """
        ...

    def state(self) -> object:
        """Something that is another one after every change, and costs next to nothing; None: there is none."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...

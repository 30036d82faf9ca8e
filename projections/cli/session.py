"""Opening ledgers and history together, up to date, for the commands that read."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import click

from ledger.config.locate import check_readable
from ledger.errors import (
    CostledgerError,
    DamagedLedger,
    HistoryUnavailable,
    HistoryUnwritable,
    SharedHistory,
    UnknownWorkflow,
)
from ledger.importing.titles import forget_titles, titles_of
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.parallel import processes_at_hand
from ledger.text import counted
from projections.applications.opening import application_at
from projections.applications.plan import Compared
from projections.applications.table import ApplicationTable, Writes
from projections.cli.auto_import import import_new_input, report_first_import, wants_import
from projections.cli.options import config, config_path, data_path, history_spelling, said_of_unknown, store
from projections.folding.row import Row
from projections.history.cost_changes import by_upgrade
from projections.history.memory import MemoryHistory
from projections.history.open import is_postgres, open_history
from projections.history.store import CostChange, HistoryStore
from projections.replay.refresh import LedgerProblem, RefreshReport, refresh, shown_change

if TYPE_CHECKING:
    from ledger.importing.auto_import import AutoImport

__all__ = ["CommandSession", "exit_code", "log_changes", "opened", "report_problems", "report_writes"]

_STORED: Final = "shown is what is stored"
_FOR_NOW: Final = "the logs are read for this command only, and nothing is stored"


@dataclass(slots=True)
class CommandSession:
    """The ledgers and the history of a data directory."""

    data: Path
    ledgers: DirectoryStore
    history: HistoryStore
    problems: list[LedgerProblem]
    application: ApplicationTable | None = None

    def compared(self, rows: Iterable[Row]) -> dict[str, Compared]:
        """Return what the application's table shows of these rows' workflows; nothing without such a table.

        Raises:
            HistoryUnavailable: it cannot be read.
        """
        return {} if self.application is None else self.application.compare(rows)

    def titles(self, rows: Iterable[Row]) -> dict[str, str]:
        """Return what the sessions of these workflows are about, by their transcripts on this machine.

        Nothing with `titles = false` in the configuration, which also deletes those that were stored.

        Raises:
            InvalidConfig: the configuration file cannot be used.
        """
        if config_path() is not None and not config().titles:
            forget_titles(self.data)
            return {}
        latest = sorted(rows, key=lambda row: row.last_activity or "", reverse=True)
        return titles_of(self.data, {row.adw_id: row.ledger_seq for row in latest})

    def write_copies(self, *, pure: bool, reason: str, after_upgrade: bool = False) -> Writes:
        """Make the application's table show all rows, and report on stderr what a person has to know of it.

        Raises:
            HistoryUnavailable: it cannot be read or written; nothing was written.
        """
        if self.application is None:
            return Writes()
        done = self.application.write(self.history.rows(), pure=pure, reason=reason, after_upgrade=after_upgrade)
        report_writes(self.application, done)
        return done

    @property
    def where_copied(self) -> str:
        """Return the application's database, as it is shown; "" without one."""
        return "" if self.application is None else self.application.where

    @property
    def where(self) -> str:
        """Return where the rows are: the data directory, or the history that was named, without a password."""
        spelling = history_spelling()
        if isinstance(spelling, Path) or self.application is not None:
            return str(self.data)
        if not is_postgres(spelling):
            return spelling
        from projections.history.postgres.connection import named

        return named(spelling)


@contextmanager
def opened(
    *,
    up_to_date: bool = True,
    shared_too: bool = False,
    workflow_ids: Iterable[str] | None = None,
    reads: bool | None = None,
    imports: bool = False,
) -> Iterator[CommandSession]:
    """Open ledgers and history of this invocation; without ledgers an empty history, and nothing is made.

    Where --history names another application's table, the history is the one of the data directory, and the table is
    left as it is.

    Args:
        up_to_date: refresh first, and report on stderr what cannot be refreshed. A history that projectors write is
            read as it is; False, for a command that compares or repairs rows by the local ledgers, refuses it.
        shared_too: it is not refused.
        workflow_ids: refresh only these.
        reads: what is stored is enough where nothing can be written; by default as `up_to_date`.
        imports: import first what is new, see `import_new_input`; of a history that projectors write, nothing.
    """
    data, ledgers = data_path(), store()
    check_readable(data)
    with closing(application_at(history_spelling(), data)) as named:
        spelling = named.history
        imports = imports and wants_import()
        first = _imported(data, spelling) if imports and isinstance(spelling, Path) else None
        if isinstance(spelling, Path) and _is_empty(data, spelling):
            with _without_data(data, ledgers, named.application, first) as session:
                yield session
            return
        with _opened(spelling, reads=up_to_date if reads is None else reads) as history:
            if history.shared and not up_to_date and not shared_too:
                raise SharedHistory
            if imports and not isinstance(spelling, Path) and not history.shared:
                import_new_input(otherwise=_STORED)
            session = _session(data, ledgers, history, workflow_ids, up_to_date=up_to_date)
            session.application = named.application
            report_first_import(first, history)
            yield session


def _imported(data: Path, rows: Path) -> AutoImport | None:
    """Import what is new; return the import if it is the first of this data directory."""
    if not _is_empty(data, rows):
        import_new_input(otherwise=_STORED)
        return None
    return import_new_input(otherwise=_FOR_NOW)


@contextmanager
def _without_data(
    data: Path, ledgers: DirectoryStore, application: ApplicationTable | None, first: AutoImport | None
) -> Iterator[CommandSession]:
    """Open an empty history; where nothing can be written, with the logs read into a folder that is then removed.

    Args:
        first: the import that left the data directory empty.
    """
    with ExitStack() as stack:
        folder = None
        if first is not None and first.unwritable:
            with suppress(OSError):
                folder = stack.enter_context(TemporaryDirectory(prefix="costledger-"))
        if folder is None:
            yield CommandSession(data, ledgers, MemoryHistory(), [], application)
            return
        for_now = DirectoryStore(Path(folder))
        import_new_input(for_now, otherwise=_STORED)
        session = _session(data, for_now, MemoryHistory(), None, up_to_date=True)
        session.application = application
        yield session


def _is_empty(data: Path, rows: Path) -> bool:
    if (data / "ledgers").is_dir() or rows.is_file():
        return False
    if data.exists() and not data.is_dir():
        raise CostledgerError(f"{data} is not a folder; name the data directory with --data")
    return True


def report_writes(application: ApplicationTable, done: Writes) -> None:
    """Report where the application's database was backed up, and which rows wait for a resync, on stderr."""
    if done.backup is not None:
        click.echo(f"costledger: {application.where} was backed up to {done.backup} before its first change", err=True)
    if done.waiting:
        count = counted(len(done.waiting), "row")
        click.echo(
            f"costledger: {count} of {application.where} would change, since this version reads ledgers in another "
            "way; look with `costledger resync --dry-run`, then run `costledger resync`",
            err=True,
        )


def _opened(spelling: str | Path, *, reads: bool) -> AbstractContextManager[HistoryStore]:
    """The history; where nothing can be written, what is stored of it, or for rows of our own one in memory."""
    try:
        return open_history(spelling)
    except HistoryUnwritable:
        if not reads:
            raise
    try:
        return open_history(spelling, writes=False)
    except HistoryUnavailable as error:
        if not isinstance(spelling, Path) or (not isinstance(error, HistoryUnwritable) and spelling.exists()):
            raise
    click.echo(f"costledger: {spelling} cannot be made there; the rows are replayed from the ledgers", err=True)
    return nullcontext(MemoryHistory())


def _session(
    data: Path,
    ledgers: DirectoryStore,
    history: HistoryStore,
    workflow_ids: Iterable[str] | None,
    *,
    up_to_date: bool,
) -> CommandSession:
    refreshes = up_to_date and not history.shared
    try:
        many = processes_at_hand()
        report = refresh(ledgers, history, workflow_ids=workflow_ids, processes=many) if refreshes else RefreshReport()
    except HistoryUnwritable as error:
        report = RefreshReport(problems=[LedgerProblem("rows are shown as they were stored last", error)])
    _report_upgrade([change for change in report.changes if by_upgrade(change)])
    report_problems(report.problems)
    return CommandSession(data, ledgers, history, report.problems)


def _report_upgrade(changes: Sequence[CostChange]) -> None:
    """Report what an upgrade changed in the rows on stderr, before the answer."""
    for change in changes[:_CHANGES_SHOWN_MAX]:
        click.echo(f"costledger: {shown_change(change)}", err=True)
    if len(changes) > _CHANGES_SHOWN_MAX:
        more = len(changes) - _CHANGES_SHOWN_MAX
        click.echo(f"costledger: … and {more:,} more rows; `costledger show ID --json` has each one's audit", err=True)


def report_problems(problems: Iterable[LedgerProblem]) -> None:
    """Report each workflow that could not be replayed on stderr."""
    for problem in problems:
        error = problem.error
        said = said_of_unknown(error) if isinstance(error, UnknownWorkflow) else f"{problem.workflow_id}: {error}"
        click.echo(f"costledger: {said}", err=True)


def exit_code(problems: Iterable[LedgerProblem]) -> int:
    """Return 0 without problems, 3 when a ledger is damaged, 1 otherwise."""
    errors = [problem.error for problem in problems]
    if any(isinstance(error, DamagedLedger) for error in errors):
        return 3
    return 1 if errors else 0


_CHANGES_SHOWN_MAX: Final = 20
"""Changes of cost that are reported one by one; a first import can make thousands."""


class _OnStderr(logging.Handler):
    """Warnings and worse, and the first changes of cost; of the others the number, at the end."""

    def __init__(self) -> None:
        super().__init__()
        self._changes = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Print a warning, or one of the first changes."""
        self._changes += record.levelno == logging.INFO
        if record.levelno != logging.INFO or self._changes <= _CHANGES_SHOWN_MAX:
            click.echo(record.getMessage(), err=True)

    def close(self) -> None:
        """Print the number of changes that were not printed."""
        if self._changes > _CHANGES_SHOWN_MAX:
            click.echo(f"… and {self._changes - _CHANGES_SHOWN_MAX:,} more changes of cost", err=True)
            self._changes = 0
        super().close()


def log_changes() -> None:
    """Report the changes of cost that a refresh makes on stderr."""
    logger = logging.getLogger("costledger")
    for handler in [each for each in logger.handlers if isinstance(each, _OnStderr)]:
        logger.removeHandler(handler)  # an earlier invocation's in this process, with its count
    logger.addHandler(_OnStderr())
    logger.setLevel(logging.INFO)

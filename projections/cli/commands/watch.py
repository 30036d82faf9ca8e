"""`watch`: follow the sources in the foreground, with a table that lives."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from heapq import nlargest
from pathlib import Path
from types import FrameType
from typing import Final

import click
import orjson
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from ledger.errors import CostledgerError
from ledger.events import money
from ledger.importing.importer import SourceEntry, SourceRegister, configured
from projections.cli.options import (
    config,
    config_option,
    data_option,
    data_path,
    history_option,
    idle_after,
    json_before,
    prices,
)
from projections.cli.output.console import console, styled_status
from projections.cli.output.costs import row_cost
from projections.cli.output.tables import Id, Table
from projections.cli.output.text import local_time, location, plain
from projections.cli.session import CommandSession, opened
from projections.documents.changes import change_document
from projections.folding.cost_words import cost_before
from projections.folding.row import Row
from projections.history.idle import is_idle, is_moved
from projections.history.store import HistoryStore
from projections.replay.file_watcher import FileWatcher
from projections.replay.watch import Watch, WatchReport

_ROWS_MAX: Final = 200
"""Workflows that the table remembers; the terminal shows as many as fit."""

_LINES_AROUND: Final = 6
_PROBLEMS_SHOWN: Final = 3


@click.command("watch")
@click.option("--once", is_flag=True, help="Look at everything once, and leave.")
@click.option("--json", "as_json", is_flag=True, callback=json_before, help="Print each change as one JSON line.")
@config_option
@history_option
@data_option
def watch_command(once: bool, as_json: bool) -> int:
    """Follow the configured and the remembered sources, and keep every row current, until Ctrl-C.

    On a terminal a table of what runs and what changed last; into a pipe or a file one line per change.
    """
    stop = threading.Event()
    (data_path() / "ledgers").mkdir(parents=True, exist_ok=True)
    with opened(up_to_date=False) as session, _stopped_by_signals(stop):
        register = SourceRegister(session.data)
        _say_when_without_source(register, session.data)
        watch = Watch(session.ledgers, session.history, lambda: _sources(register), prices=prices())
        live = not (as_json or once) and sys.stdout.isatty()
        board = _Board(session.history) if live else None
        if once:
            step = watch.step()
            _print(step, as_json=as_json)
            return 1 if step.troubles else 0
        wake = FileWatcher(stop)
        if wake.reason is not None:
            click.echo(f"costledger: looking every second ({wake.reason})", err=True)
        with board.shown() if board else nullcontext(lambda step: _print(step, as_json=as_json)) as show:
            _follow(watch, wake, session, stop, show)
    return 0


def _follow(
    watch: Watch, wake: FileWatcher, session: CommandSession, stop: threading.Event, show: Callable[[WatchReport], None]
) -> None:
    while not stop.is_set():
        step = watch.step()
        show(step)
        wake.wait([*watch.paths, session.ledgers.path / "ledgers"], step.look_seconds, step.due_seconds)


def _sources(register: SourceRegister) -> Iterator[SourceEntry]:
    yield from configured(config())
    yield from register.entries()


def _say_when_without_source(register: SourceRegister, data: Path) -> None:
    """To stay silent for ever would look like following."""
    with suppress(CostledgerError):  # the first step reports it
        if next(_sources(register), None) is None:
            click.echo(
                f"costledger: no source to follow yet, only what is appended to the ledgers in {plain(str(data))}; "
                "`costledger import` reads what is found and remembers it, or name a source under [[sources]] in "
                "costledger.toml (docs/configuration.md)",
                err=True,
            )


@contextmanager
def _stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """Ctrl-C and SIGTERM let the step end; the second one does not wait for it."""

    def on_signal(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print(step: WatchReport, *, as_json: bool) -> None:
    now = f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}"
    for change in step.changes:
        if as_json:
            click.echo(orjson.dumps(change_document(change)))
        else:
            was = cost_before(change.old_nanousd)
            click.echo(f"{now}  {change.adw_id}  {was} → {money.shown(change.new_nanousd)}  {change.status}")
    for where, problem in _problems(step):
        if as_json:
            click.echo(orjson.dumps({"where": where, "problem": problem}))
        else:
            click.echo(f"costledger: {where}: {plain(problem)}", err=True)
    sys.stdout.flush()


def _problems(step: WatchReport) -> list[tuple[str, str]]:
    """Return problems and skipped input, each with its location."""
    troubles = [(trouble.where, trouble.problem) for trouble in step.troubles]
    return troubles + [(location(str(each.path), each.line), f"skipped: {each.reason}") for each in step.skipped]


class _Board:
    """The table: what runs and what changed last, and what is in the way."""

    def __init__(self, history: HistoryStore) -> None:
        self._history, self._idle_after = history, idle_after()
        newest = nlargest(_ROWS_MAX, history.rows(), key=lambda row: row.last_activity or "")
        self._rows = {row.adw_id: row for row in newest}
        self._problems: list[tuple[str, str]] = []
        self._spent_nanousd = 0
        self._began = datetime.now().astimezone()

    @contextmanager
    def shown(self) -> Iterator[Callable[[WatchReport], None]]:
        """Show the table on the terminal; yield what is called with each step."""
        out = console()
        with Live(self._drawn(out), console=out, auto_refresh=False) as live:

            def show(step: WatchReport) -> None:
                if step.changed:
                    self._take(step)
                    live.update(self._drawn(out), refresh=True)

            yield show

    def _take(self, step: WatchReport) -> None:
        for name in step.folded:
            found = self._history.row(name)
            if found is not None:
                self._rows[name] = found
        self._rows = {row.adw_id: row for row in self._newest(_ROWS_MAX)}
        self._spent_nanousd += sum(change.new_nanousd - (change.old_nanousd or 0) for change in step.changes)
        self._problems = [*self._problems, *_problems(step)][-_PROBLEMS_SHOWN:]

    def _newest(self, count: int) -> list[Row]:
        return nlargest(count, self._rows.values(), key=self._order)

    def _order(self, row: Row) -> tuple[bool, str]:
        """What runs first, then the latest activity."""
        return row.status == "running" and not self._is_idle(row), row.last_activity or ""

    def _is_idle(self, row: Row) -> bool:
        return is_idle(row, datetime.now(UTC), self._idle_after)

    def _drawn(self, out: Console) -> Group:
        since = f"{self._began:%H:%M:%S}"
        problems = [Text(plain(f"{where}: {problem}"), style="yellow") for where, problem in self._problems]
        height = out.height - _LINES_AROUND - 2 * len(problems)
        return Group(
            Text(f"{cost_before(self._spent_nanousd)} taken in since {since} · Ctrl-C leaves", style="bold"),
            self._table(max(3, height)).fitted(out.width),
            *problems,
        )

    def _table(self, height: int) -> Table:
        shown = Table(
            None,
            "workflow",
            "status",
            "cost",
            "basis",
            "tokens",
            "model",
            "last activity",
            right=("cost", "tokens"),
            whole=("status", "basis", "last activity"),
            dropped=("model", "tokens", "basis", "last activity", "status"),
        )
        for row in self._newest(height):
            more = [row.cost_basis or "", f"{row.total_tokens:,}", plain(row.model_used or "")]
            cost, last = row_cost(row), local_time(row.last_activity)[:-3]
            shown.add_row(
                Id(row.adw_id),
                styled_status(row.status, idle=self._is_idle(row), moved=is_moved(row)),
                cost,
                *more,
                last,
            )
        return shown

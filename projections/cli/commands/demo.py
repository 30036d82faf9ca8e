"""`demo`: the whole story on shipped output, start to end."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Final

import click
from rich.text import Text

from ledger.errors import InvalidInput
from ledger.events import money
from ledger.events.event import cost_observed, workflow_ended
from ledger.importing.importer import import_source
from ledger.storage.directory_store import DirectoryStore
from projections.cli.commands.explain import steps_table
from projections.cli.commands.serve import serve_command
from projections.cli.example_workflows import STORY_ID as WORKFLOW_ID
from projections.cli.example_workflows import write_weeks
from projections.cli.output.console import console, styled_status
from projections.cli.output.tables import Id, Table
from projections.cli.output.text import location
from projections.cli.parsing import moment_named
from projections.folding.cost_words import cost_before
from projections.folding.explain import steps
from projections.folding.row import Row
from projections.history.sqlite.history import SqliteHistory
from projections.replay.refresh import refresh

_LIVE_SECONDS: Final = 1.5
"""Between two events of the workflows that run while the page is served."""

REVIEWER_SESSION = "e3f4815f-2d56-5495-8e7f-92f7c145e882"


@dataclass(frozen=True, slots=True)
class DemoStep:
    """One moment of the story: what happened, in a sentence, and what that appends."""

    what: str
    do: Callable[[DirectoryStore], object]


def examples() -> Path:
    """Return the folder of the shipped output: inside the installed package, or in the source tree."""
    package = Path(__file__).resolve().parents[2]
    inside = package / "_examples"
    return inside if inside.is_dir() else package.parent / "data" / "examples"


def _imported(moment: str) -> Callable[[DirectoryStore], object]:
    return lambda ledgers: import_source(ledgers, "adw", examples() / moment)


def _over_reading(ledgers: DirectoryStore) -> object:
    reading = cost_observed(
        WORKFLOW_ID, agent="sdlc_reviewer", session_id=REVIEWER_SESSION, cost_usd="3.0888", reason="a live estimate"
    )
    return ledgers.append([reading])


def _complete(ledgers: DirectoryStore) -> object:
    return ledgers.append([workflow_ended(WORKFLOW_ID, "completed")])


STORY = (
    DemoStep("The planner is done. A sync that stored this once would show it for ever.", _imported("1-planned")),
    DemoStep(
        "The implementor was killed: no total, so its messages are priced, as a lower bound.", _imported("2-killed")
    ),
    DemoStep("Its retry overwrote the log. The killed attempt still cost what it cost.", _imported("3-retried")),
    DemoStep("The tester ran twice in one process: the second total includes the first.", _imported("4-tested")),
    DemoStep("A live estimate of the review reads far too high.", _over_reading),
    DemoStep("The review's own total is lower. While the workflow runs, no cost ever falls.", _imported("5-reviewed")),
    DemoStep("The workflow completes: now the last word of every meter counts.", _complete),
)


@click.command("demo")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep the data here to look around in.",
)
@click.option("--serve", is_flag=True, help="Show eight weeks of made-up workflows on the page, some of them running.")
@click.option("--port", type=click.IntRange(0, 65535), help="Of the page; 8765 by default, and 0 takes a free one.")
@click.option(
    "--weeks-until",
    metavar="TIME",
    help="Only write eight weeks of made-up workflows until then to the DIR of --keep: 2026-11-20T15:00Z, or today.",
)
def demo_command(keep: Path | None, serve: bool, port: int | None, weeks_until: str | None) -> None:
    """Play the story of issue 17, on output that travels with this program: $0.09, then $5.00, then $2.37.

    With --serve, show the page on eight weeks of made-up workflows, until Ctrl-C. With --weeks-until, write such weeks:
    the same until the same time, so that the questions of the documentation can be asked.
    """
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise InvalidInput(f"{keep} is not empty; name a new folder")
    if port is not None and not serve:
        raise InvalidInput("--port is of the page: give --serve, too")
    if weeks_until is not None:
        if keep is None or serve:
            raise InvalidInput("--weeks-until writes to a new folder: name it with --keep DIR, without --serve")
        write_weeks(DirectoryStore(keep, durability="none"), moment_named("--weeks-until", weeks_until))
        click.echo(f"Eight weeks of made-up workflows are in {keep}: costledger --data {keep} top")
        return
    with ExitStack() as stack:
        stack.enter_context(_unwound_by_sigterm())
        data = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="costledger-demo-")))
        if serve:
            _serve(data, 8765 if port is None else port, temporary=keep is None)
            return
        history = stack.enter_context(SqliteHistory(data / "history.db"))
        _play(DirectoryStore(data), history)
    _next_commands(keep)


@contextmanager
def _unwound_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end this process as an exception does, so that the temporary folder is removed."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _play(ledgers: DirectoryStore, history: SqliteHistory) -> None:
    out = console()
    out.print(Text(f"Workflow {WORKFLOW_ID}, issue #17: five agents, one figure that must be right.\n", style="bold"))
    before = 0
    for number, step in enumerate(STORY, 1):
        step.do(ledgers)
        refresh(ledgers, history)
        row = history.row(WORKFLOW_ID)
        if row is None:
            raise InvalidInput(f"the shipped examples in {examples()} are incomplete; install again")
        out.print(Text(f"{number}. {step.what}"))
        _print_row(row, before)
        before = row.actual_cost_nanousd
    out.print(Text("Why is it $2.37? Every event that moved the number, back to the line of the log:", style="bold"))
    moved = list(steps(ledgers.read(WORKFLOW_ID).typed_chunks()))
    steps_table(moved, _inside_examples, out).print(out)


def _serve(data: Path, port: int, *, temporary: bool) -> None:
    """Serve weeks of made-up workflows, and append to those that run.

    A signal ends the process at once, since the threads of a server that starts cannot be ended; so a temporary folder
    is removed here, under another name, where they make no new files.
    """
    ledgers = DirectoryStore(data, durability="none")
    examples = write_weeks(ledgers, datetime.now(UTC))
    ended = threading.Event()

    def go_on() -> None:
        for event in examples.live():
            if ended.wait(_LIVE_SECONDS):
                return
            ledgers.append([event])

    def end(number: int, _: FrameType | None) -> None:
        if temporary:
            shutil.rmtree(data.rename(data.with_name(f"{data.name}-ended")), ignore_errors=True)
        os._exit(128 + number)

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, end)
    live = threading.Thread(target=go_on, daemon=True)
    live.start()
    try:
        serve_command.main(["--data", str(data), "--port", str(port)], standalone_mode=False)
    finally:
        ended.set()
        live.join()


def _inside_examples(file: str | None, line: int | None) -> str:
    return location(None if file is None else "/".join(Path(file).parts[-5:]), line)


def _print_row(row: Row, before: int) -> None:
    figures = ("cost before", "cost", "tokens", "events")
    shown = Table(
        None,
        "workflow",
        "status",
        "cost before",
        "cost",
        "basis",
        "tokens",
        "events",
        right=figures,
        whole=("status", "basis"),
        dropped=("events", "tokens", "basis"),
    )
    shown.add_row(
        Id(row.adw_id),
        styled_status(row.status),
        cost_before(before),
        Text(money.shown(row.actual_cost_nanousd), style="bold"),
        row.cost_basis or "none",
        f"{row.total_tokens:,}",
        str(row.event_count),
    )
    shown.print(console())


def _next_commands(keep: Path | None) -> None:
    click.echo("The page, on weeks of made-up workflows: costledger demo --serve\n")
    click.echo("Now with your own files:\n")
    for command, what in (
        ("costledger import adw path/to/agents", "agents' folders: agents/<workflow id>/<agent>/…output.jsonl"),
        ("costledger history", "what every workflow cost"),
        ("costledger explain ID", "why it cost that"),
        ("costledger verify", "proof that no figure was changed since"),
    ):
        click.echo(f"  {command:<38} {what}")
    if keep is not None:
        click.echo(f"\nThe demo's data is in {keep}: costledger --data {keep} show {WORKFLOW_ID}")
    else:
        click.echo("\nTo look around in the demo's own data: costledger demo --keep demo-data")

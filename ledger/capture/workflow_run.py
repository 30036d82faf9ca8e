"""A run of a workflow for agents in Python: started and ended here, or joined.

`with workflow("a5b80595") as wf: …`, `async with workflow("a5b80595") as wf: …`, or in a notebook
`wf = workflow("a5b80595").start()` and, cells later, `wf.finish()`. `join()` is for work on a workflow that another
program started: it neither starts nor ends it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypedDict, Unpack

from ledger.capture.arguments import named_arguments
from ledger.capture.pending_events import in_thread
from ledger.capture.workflow import Workflow
from ledger.config.locate import config_file, data_directory
from ledger.config.select import price_book
from ledger.errors import InvalidInput
from ledger.events.annotations import workflow_tagged
from ledger.events.event import Event, workflow_ended, workflow_started
from ledger.pricing.price_book import PriceBook
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.store import LedgerStore

__all__ = [
    "JoinedWorkflow",
    "Ledgers",
    "StartFields",
    "WorkflowRun",
    "join",
    "named_by_environment",
    "opened_ledgers",
    "workflow",
]

_MESSAGE_CHARACTERS_MAX: Final = 4000
_OF_A_RUN: Final = ("start", "finish", "fail", "cancel")
_STOPPED: Final = (KeyboardInterrupt, GeneratorExit, asyncio.CancelledError)
"""Exceptions that leave a block early without a failure."""


class Ledgers(NamedTuple):
    """The ledgers for a workflow's events, and the price book."""

    store: LedgerStore
    prices: PriceBook | None
    config: Path | None


def opened_ledgers(data: Path | str | None, store: LedgerStore | None, prices: PriceBook | None) -> Ledgers:
    """Return the ledgers that these arguments of `workflow` and `join` name.

    Raises:
        InvalidConfig: `costledger.toml` cannot be used.
    """
    folder = data_directory(data)
    config = config_file(folder)
    book = prices if prices is not None or config is None else price_book(config)
    return Ledgers(DirectoryStore(folder) if store is None else store, book, config)


class StartFields(TypedDict, total=False):
    """What the start of a run records; of several starts, the last that names a field counts."""

    issue_number: int | None
    workflow_template: str | None
    project: str | None
    estimated_cost_usd: object
    budget_usd: object


class WorkflowBlock(Workflow):
    """A workflow in a `with` or `async with` block."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Flush the tracked calls; a failure never hides the exception that leaves the block."""
        self.ended_at = datetime.now(UTC)
        if error is None:
            self.flush()
        else:
            self._try(error, "the last charges", self.flush)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await in_thread(lambda: self.__exit__(kind, error, traceback))

    def _try(self, error: BaseException, what: str, record: Callable[[], object]) -> None:
        """Record something; a failure becomes a note on the exception that leaves the block."""
        try:
            record()
        except Exception as problem:
            error.add_note(f"costledger could not record {what} of workflow {self.workflow_id!r}: {problem}")


class WorkflowRun(WorkflowBlock):
    """A run of a workflow: `with`, `async with`, or `start()` and one of `finish()`, `fail()` and `cancel()`.

    A block that is left without an exception, or by `sys.exit(0)`, completes it. Ctrl-C, a cancelled task and a
    generator that is closed early cancel it; any other exception fails it. A copy of it in a forked child ends nothing.
    """

    def __init__(
        self, started: Event, ledgers: Ledgers, *, cumulative: bool = False, tags: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(started.workflow_id, ledgers.store, ledgers.prices, config=ledgers.config)
        self._opening = [started, *([workflow_tagged(started.workflow_id, tags=tags)] if tags else [])]
        self._cumulative = cumulative
        self._pid: int | None = None
        self._ended: Event | None = None

    def start(self) -> Self:
        """Start the run, as entering the block does.

        Raises:
            InvalidInput: it is running.
            CostledgerError: the start cannot be appended.
        """
        if self._pid is not None:
            raise InvalidInput(f"workflow {self.workflow_id!r} is running: finish(), fail() or cancel() it first")
        self.counter = None if self._cumulative else os.urandom(16).hex()
        self.ended_at = None
        self._store.append(self._opening)
        self._pid, self._ended = os.getpid(), None
        return self

    def finish(self) -> None:
        """Complete the run; the same end again appends nothing, as on the command line.

        Raises:
            InvalidInput: it is not running, or another process started it.
            CostledgerError: the charges of tracked calls, or the end, cannot be appended; the run goes on.
        """
        self._end(workflow_ended(self.workflow_id, "completed"))

    def fail(self, reason: str | BaseException) -> None:
        """End the run as failed; raise as `finish`."""
        self._end(_failed(self.workflow_id, reason))

    def cancel(self, reason: str | None = None) -> None:
        """End the run as cancelled; raise as `finish`."""
        self._end(workflow_ended(self.workflow_id, "cancelled", reason=reason))

    def _end(self, end: Event) -> None:
        if self._pid is None and end == self._ended:
            return
        if self._pid != os.getpid():
            problem = "is not running: start() it first" if self._pid is None else "was started by another process"
            raise InvalidInput(f"workflow {self.workflow_id!r} {problem}")
        self.ended_at = datetime.now(UTC)  # calls that start from now on are not charged, also during this
        try:
            self.flush()
            self._store.append([end])
        except BaseException:
            self.ended_at = None
            raise
        self._pid, self._ended = None, end

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._pid != os.getpid():
            return  # it was ended in the block, or this is a child's copy
        self.ended_at = datetime.now(UTC)
        if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
            try:
                self.flush()
            except BaseException as unrecorded:
                self._end_after(unrecorded)
                raise
            end = workflow_ended(self.workflow_id, "completed")
            self._pid, self._ended = None, end
            if error is None:
                self._store.append([end])
            else:
                self._try(error, "the end", lambda: self._store.append([end]))
            return
        self._try(error, "the last charges", self.flush)
        self._end_after(error)

    def _end_after(self, error: BaseException) -> None:
        """Append the end that follows from an exception."""
        end = _end_of(self.workflow_id, error)
        self._pid, self._ended = None, end
        self._try(error, "the end", lambda: self._store.append([end]))

    async def __aenter__(self) -> Self:
        starting = asyncio.get_running_loop().run_in_executor(None, self.start)
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError as error:
            cancelled = error

            def end(started: asyncio.Future[Self]) -> None:
                if started.exception() is None:
                    self.__exit__(type(cancelled), cancelled, None)

            starting.add_done_callback(end)
            raise


def _end_of(workflow_id: str, error: BaseException) -> Event:
    if isinstance(error, _STOPPED):
        return workflow_ended(workflow_id, "cancelled", reason=type(error).__name__)
    return _failed(workflow_id, error)


def _failed(workflow_id: str, reason: str | BaseException) -> Event:
    text = reason if isinstance(reason, str) else f"{type(reason).__name__}: {reason}"
    shown = text.encode(errors="replace").decode()[:_MESSAGE_CHARACTERS_MAX]
    return workflow_ended(workflow_id, "failed", error_message=shown)


class JoinedWorkflow(WorkflowBlock):
    """A workflow that another program runs; a `with` or `async with` block flushes tracked calls at its end."""

    def __init__(self, workflow_id: str, ledgers: Ledgers) -> None:
        counter = os.urandom(16).hex()
        super().__init__(workflow_id, ledgers.store, ledgers.prices, counter=counter, config=ledgers.config)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Raise a hint for the methods of a run, which this is not."""
            hint = "" if name not in _OF_A_RUN else ": join() neither starts nor ends a workflow, as workflow() does"
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}")

    def __enter__(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self


@named_arguments(StartFields)
def workflow(
    workflow_id: str,
    *,
    data: Path | str | None = None,
    store: LedgerStore | None = None,
    prices: PriceBook | None = None,
    cumulative: bool = False,
    tags: Mapping[str, str] | None = None,
    **start: Unpack[StartFields],
) -> WorkflowRun:
    """Return a run of a workflow: started on entry, completed on exit, failed when an exception leaves the block.

    Ctrl-C ends it as cancelled. Each block counts from zero: its readings add to the cost of the blocks before it, also
    to one that was killed and never ended.

    Args:
        cumulative: readings continue those of earlier blocks (0.50, then 2.37), so they do not add up.
        data: the data directory; by default that of `data_directory`.
        store: other ledgers; then `data` is only searched for `costledger.toml`.
        prices: a price book instead of the configuration's and genai-prices.
        tags: group its cost, such as `{"team": "payments"}`; see `Workflow.tag`.
        start: what the start records, see `StartFields`.

    Raises:
        InvalidConfig: `costledger.toml` cannot be used; nothing was appended.
        CostledgerError: an event could not be appended.
    """
    started = workflow_started(workflow_id, **start)
    return WorkflowRun(started, opened_ledgers(data, store, prices), cumulative=cumulative, tags=tags)


def named_by_environment(workflow_id: str | None) -> str:
    """Return the workflow to join: the one given, else that of the environment.

    Raises:
        InvalidInput: neither names one.
    """
    found = os.environ.get("COSTLEDGER_WORKFLOW") if workflow_id is None else workflow_id
    if not found:
        raise InvalidInput(
            "join() has no workflow: give its id, or start this process with COSTLEDGER_WORKFLOW in its environment "
            "(`env=os.environ | wf.environment()`)"
        )
    return found


@named_arguments()
def join(
    workflow_id: str | None = None,
    *,
    data: Path | str | None = None,
    store: LedgerStore | None = None,
    prices: PriceBook | None = None,
) -> JoinedWorkflow:
    """Join a workflow that another program runs: for child processes and sub-agents. It neither starts nor ends it.

    The readings of this process add to those of the others. The workflow's ledger need not exist yet: it may have
    started on another host.

    Args:
        workflow_id: its id; by default `COSTLEDGER_WORKFLOW` of the environment, see `Workflow.environment`.
        data, store, prices: as for `workflow`.

    Raises:
        InvalidInput: no workflow is named.
        InvalidConfig: `costledger.toml` cannot be used.
    """
    return JoinedWorkflow(named_by_environment(workflow_id), opened_ledgers(data, store, prices))

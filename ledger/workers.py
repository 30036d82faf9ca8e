"""Processes that share the work of a large import; a small one is done here."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from ledger import clock as clocks
from ledger.clock import Clock
from ledger.errors import CostledgerError
from ledger.pricing import PriceBook
from ledger.store import DirectoryStore, LedgerStore

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing.context import BaseContext

__all__ = ["Workers", "begin_work", "collecting_rarely", "process_context"]

J = TypeVar("J")
R = TypeVar("R")

_JOBS_PER_CALL: Final = 8
"""Few enough to share the work evenly; each call costs 0.5 ms."""

_RARELY: Final = (200_000, 50, 50)
"""When to look for circles of objects; at Python's own 700 a large import spends a twentieth of its time on that."""

_tools: tuple[LedgerStore, PriceBook, Clock] | None = None


def begin_work() -> None:
    """What a worker process does first: it ends with the process that asks, and not before."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    threading.Thread(target=_end_with_parent, name="costledger-parent", daemon=True).start()
    gc.freeze()
    gc.set_threshold(*_RARELY)


def _end_with_parent() -> None:
    """A killed process closes no pool, and its workers would wait for the next question for ever."""
    from multiprocessing import parent_process

    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


@contextlib.contextmanager
def collecting_rarely() -> Iterator[None]:
    """Spare a process that makes very many objects, and hardly a circle of them, from looking for circles."""
    before = gc.get_threshold()
    gc.set_threshold(*_RARELY)
    try:
        yield
    finally:
        gc.set_threshold(*before)


class Workers:
    """Asks a function of a module for each of many jobs, in the order of the jobs.

    Args:
        ledgers, prices, clock: what every call is handed first.
        processes: 1 works here, and so does a store that is not a directory or a clock that is not the real one.
    """

    def __init__(self, ledgers: LedgerStore, prices: PriceBook, clock: Clock, processes: int) -> None:
        self._given = (ledgers, prices, clock)
        self._pool: ProcessPoolExecutor | None = None
        if processes > 1 and isinstance(ledgers, DirectoryStore) and clock is clocks.now:
            from concurrent.futures import ProcessPoolExecutor  # here: small imports need it not, and it takes 15 ms

            context = process_context()
            if context.get_start_method() == "fork":
                prices.rates("", None)  # the list is loaded once, and not by each process
            self._pool = ProcessPoolExecutor(processes, context, _begin, (ledgers, prices))

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=failed is None, cancel_futures=True)

    def each(
        self,
        call: Callable[[LedgerStore, PriceBook, Clock, J], R],
        jobs: Sequence[J],
        *,
        progress: Callable[[int, int], None] | None = None,
        size: Callable[[J], int] = lambda job: 1,  # noqa: ARG005
        in_all: int = 0,
    ) -> Iterator[tuple[J, R]]:
        """Each job with its answer.

        Args:
            call: must not raise for what a job holds; an error ends all the others.
            progress: told the sizes of the jobs that are done.

        Raises:
            CostledgerError: a process was killed.
        """
        done = 0
        for job, answer in zip(jobs, self._answers(call, jobs), strict=True):
            yield job, answer
            done += size(job)
            if progress is not None:
                progress(done, in_all)

    def _answers(self, call: Callable[[LedgerStore, PriceBook, Clock, J], R], jobs: Sequence[J]) -> Iterator[R]:
        if self._pool is None:
            yield from (call(*self._given, job) for job in jobs)
            return
        from concurrent.futures.process import BrokenProcessPool

        calls = [jobs[at : at + _JOBS_PER_CALL] for at in range(0, len(jobs), _JOBS_PER_CALL)]
        try:
            for answers in self._pool.map(_answer, [call] * len(calls), calls):
                yield from answers
        except BrokenProcessPool as error:
            raise CostledgerError(f"a worker process was killed ({error}); import again, nothing is lost") from None


def process_context() -> BaseContext:
    """A fork starts at once, but copies the locks of other threads, a progress bar's say: only without any."""
    from multiprocessing import get_context

    alone = sys.platform == "linux" and threading.active_count() == 1
    return get_context("fork" if alone else "spawn")


def _begin(ledgers: LedgerStore, prices: PriceBook) -> None:
    """What a worker does first."""
    global _tools
    _tools = (ledgers, prices, clocks.now)
    begin_work()


def _answer(call: Callable[[LedgerStore, PriceBook, Clock, J], R], jobs: Sequence[J]) -> list[R]:
    assert _tools is not None
    return [call(*_tools, job) for job in jobs]

"""Parallel work: one function for each of many jobs, with results in the order of the jobs.

Processes share the work. Jobs that append wait for syncs most of the time, so each process does several at once: the
file system writes the syncs that are asked for at the same time together.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from ledger.errors import CostledgerError
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.store import LedgerStore

__all__ = ["ask_each", "collecting_rarely", "processes_at_hand"]

J = TypeVar("J")
R = TypeVar("R")

_JOBS_PER_CALL: Final = 8
"""Few enough to share the work evenly; each call costs 0.5 ms."""

_RARELY: Final = (200_000, 50, 50)
"""Thresholds of the garbage collector; with the default of 700 a large import spends a twentieth of its time on it."""

_asked: tuple[Callable[[LedgerStore, Any], Any], LedgerStore, Sequence[Any]] | None = None
"""The task of this worker process: question, ledgers, and, when it is a fork, all jobs."""

_map: Callable[..., Iterable[Any]] = map
"""How this worker process does the jobs of one call: one after the other, or in threads."""


def processes_at_hand() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def ask_each(
    question: Callable[[LedgerStore, J], R],
    ledgers: LedgerStore,
    jobs: Sequence[J],
    *,
    processes: int,
    appends: bool = False,
) -> Iterator[Iterator[R]]:
    """Yield `question(ledgers, job)` for each job; processes work from the start of the block to its end.

    Args:
        question: can be pickled; it must not raise, since an error would end all other jobs.
        processes: with 1, or for a store that is not a directory, the work is done here as the results are consumed.
        appends: each job appends to a ledger of its own; a process does several jobs at once.

    Raises:
        CostledgerError: a process was killed.
    """
    if processes <= 1 or len(jobs) <= 1 or not isinstance(ledgers, DirectoryStore):
        yield (question(ledgers, job) for job in jobs)
        return
    from concurrent.futures import ProcessPoolExecutor  # here: it takes 15 ms, and most commands do not need it
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    context = get_context("fork" if _can_fork() else "spawn")
    forked = context.get_start_method() == "fork"
    parts = [range(at, min(at + _JOBS_PER_CALL, len(jobs))) for at in range(0, len(jobs), _JOBS_PER_CALL)]
    calls = parts if forked else [[jobs[at] for at in part] for part in parts]
    pool = ProcessPoolExecutor(processes, context, _begin, (question, ledgers, jobs if forked else (), appends))
    try:
        yield (answer for answers in pool.map(_answer, calls) for answer in answers)
    except BaseException as error:
        pool.shutdown(wait=False, cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            raise CostledgerError(f"a worker process was killed ({error}); nothing is lost, run it again") from None
        raise
    pool.shutdown()


def _can_fork() -> bool:
    """Return whether a fork is safe: it starts at once and has all jobs, but copies the locks of other threads."""
    return sys.platform == "linux" and threading.active_count() == 1


def _begin(question: Callable[[LedgerStore, J], R], ledgers: LedgerStore, jobs: Sequence[J], appends: bool) -> None:
    """Prepare a worker process, which ends with its parent."""
    global _asked, _map
    _asked = (question, ledgers, jobs)
    if appends:
        from concurrent.futures import ThreadPoolExecutor

        _map = ThreadPoolExecutor(_JOBS_PER_CALL, "costledger-append").map
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    threading.Thread(target=_end_with_parent, name="costledger-parent", daemon=True).start()
    gc.freeze()
    gc.set_threshold(*_RARELY)


def _end_with_parent() -> None:
    """Exit with the parent: a killed parent does not close its pool, and its workers would wait for ever."""
    from multiprocessing import parent_process

    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


def _answer(part: range | Sequence[Any]) -> list[Any]:
    assert _asked is not None
    question, ledgers, jobs = _asked
    return list(_map(partial(question, ledgers), [jobs[at] for at in part] if isinstance(part, range) else part))


@contextlib.contextmanager
def collecting_rarely() -> Iterator[None]:
    """Collect garbage rarely during the block, which makes very many objects and hardly a circle of them."""
    before = gc.get_threshold()
    gc.set_threshold(*_RARELY)
    try:
        yield
    finally:
        gc.set_threshold(*before)

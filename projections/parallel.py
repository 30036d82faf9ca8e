"""The same question to many ledgers, in several processes; answers come in the order of the questions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

from ledger.errors import CostledgerError
from ledger.store import DirectoryStore, LedgerStore
from ledger.workers import begin_work, process_context

__all__ = ["ask_each", "processes_at_hand"]

J = TypeVar("J")
R = TypeVar("R")

_JOBS_PER_CALL: Final = 16
"""Ledgers handed to a process at once: few enough to share the work evenly, enough to hide the hand-over."""

_PARALLEL_FROM: Final = 64
"""Below so many ledgers starting processes (about 0.2 s) costs more than it saves."""

_store: DirectoryStore | None = None


def processes_at_hand() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ask_each(
    question: Callable[[LedgerStore, J], R], ledgers: LedgerStore, jobs: Sequence[J], *, processes: int
) -> Iterator[R]:
    """`question(ledgers, job)` for each job.

    Args:
        question: a function of a module; it must not raise, for an error would end all the others.
        processes: 1 asks here; so does a store that is not a directory, or a handful of jobs.

    Raises:
        CostledgerError: a process was killed.
    """
    if processes <= 1 or not isinstance(ledgers, DirectoryStore) or len(jobs) < _PARALLEL_FROM:
        yield from (question(ledgers, job) for job in jobs)
        return
    from concurrent.futures import ProcessPoolExecutor  # here: no other command needs it, and it takes 15 ms
    from concurrent.futures.process import BrokenProcessPool

    calls = [jobs[at : at + _JOBS_PER_CALL] for at in range(0, len(jobs), _JOBS_PER_CALL)]
    with ProcessPoolExecutor(processes, process_context(), _open, (ledgers.path,)) as pool:
        try:
            for answers in pool.map(_ask, [question] * len(calls), calls):
                yield from answers
        except BrokenProcessPool as error:
            raise CostledgerError(f"a worker process was killed ({error}); nothing was changed, run it again") from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _open(path: Path) -> None:
    """What a worker does first."""
    global _store
    _store = DirectoryStore(path)
    begin_work()


def _ask(question: Callable[[LedgerStore, J], R], jobs: Sequence[J]) -> list[R]:
    assert _store is not None
    return [question(_store, job) for job in jobs]

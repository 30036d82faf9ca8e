"""File locks with a timeout, and the process that has a lock.

The operating system releases a `flock` when its last descriptor is closed. A stopped process closes none, and a child
shares the descriptors of its parent: it would continue to lock a file after the parent was killed
(https://man7.org/linux/man-pages/man2/flock.2.html). So a wait ends with an error that names the process, and a forked
child gives up the descriptors that may have a lock.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

__all__ = ["APPEND_SECONDS", "READ_SECONDS", "LockTimeout", "holder_of", "lock", "opened", "try_lock", "unshare"]

APPEND_SECONDS: Final = 30.0
"""How long an append waits: other writers lock a file for milliseconds, and for seconds while they copy it."""

READ_SECONDS: Final = 10.0
"""How long a reader waits for one ledger; each ledger that is not released in time halves it for the next."""

_VARIABLE: Final = "COSTLEDGER_LOCK_SECONDS"
_AGAIN_SECONDS: Final = 0.25
"""How long a reader waits at least: enough for a ledger that others only append to."""

_POLL_SECONDS, _POLL_SECONDS_MAX, _POLLS = 0.000_02, 0.02, 8
"""A waiting writer asks again after an eighth of the time that it has waited, within these bounds."""

_stuck: set[Path] = set()
"""Files whose last lock by this process timed out."""

_inherited: set[int] = set()
"""Descriptors that a forked child gives up."""

_forking = threading.RLock()
"""Locked during a fork, and from the opening of a descriptor until it is in `_inherited`."""


class LockTimeout(OSError):
    """A lock was not released in time; `strerror` names the process that has it, where that is known."""

    def __init__(self, holder: str, seconds: float) -> None:
        self.holder = holder
        super().__init__(errno.EAGAIN, f"{holder} has not released its lock for {seconds:g} s")


def lock(fd: int, path: Path, *, shared: bool = False) -> None:
    """Lock a file, waiting for a bounded time.

    Args:
        shared: for reading, together with other readers.

    Raises:
        LockTimeout: another process does not release it.
        OSError: the file system refused.
    """
    if not try_lock(fd, shared=shared):
        _wait(fd, path, shared=shared)
    if _stuck:
        _stuck.discard(path)


def _wait(fd: int, path: Path, *, shared: bool) -> None:
    """Lock a file that another process has locked."""
    seconds, start = _seconds(path, shared=shared), time.monotonic()
    while not try_lock(fd, shared=shared):
        waited = time.monotonic() - start
        if waited >= seconds:
            _stuck.add(path)
            raise LockTimeout(holder_of(fd), seconds)
        time.sleep(min(max(_POLL_SECONDS, waited / _POLLS), _POLL_SECONDS_MAX))


def try_lock(fd: int, *, shared: bool = False) -> bool:
    """Lock a file without a wait; return False when another process has the lock."""
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _seconds(path: Path, *, shared: bool) -> float:
    """Return how long to wait; shorter after timeouts, so that the sum over all files is bounded."""
    given = _given_seconds()
    seconds = (READ_SECONDS if shared else APPEND_SECONDS) if given is None else given
    if path in _stuck:
        return min(seconds, _AGAIN_SECONDS)
    return max(seconds / 2 ** len(_stuck), min(seconds, _AGAIN_SECONDS)) if shared else seconds


def _given_seconds() -> float | None:
    """Return COSTLEDGER_LOCK_SECONDS; None when it is not set, or not a number."""
    try:
        return max(0.0, float(os.environ[_VARIABLE]))
    except (KeyError, ValueError):
        return None


def holder_of(fd: int) -> str:
    """Return the processes that have the lock of a file, as a phrase: their ids, and whether they are stopped.

    When the process that took the lock has ended, these are the processes that have the file open.
    """
    found = os.fstat(fd)
    pids = [pid for pid in _locking(found) if Path(f"/proc/{pid}").is_dir()]
    pids = pids or [pid for pid in _opening(found) if pid != os.getpid()]
    return " and ".join(map(_named, pids[:3])) or "another process"


def _locking(of: os.stat_result) -> list[int]:
    """Return the processes in the kernel's list that locked a file; some file systems have another device there."""
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
    fields = [line.split() for line in lines if " FLOCK " in line and "->" not in line]
    alike = [(int(one[4]), one[5]) for one in fields if len(one) > 5 and one[5].endswith(f":{of.st_ino}")]
    device = f"{os.major(of.st_dev):02x}:{os.minor(of.st_dev):02x}:{of.st_ino}"
    return [pid for pid, file in alike if file == device] or [pid for pid, _ in alike]


def _opening(of: os.stat_result) -> list[int]:
    """Return the processes that have a file open, as far as this user may inspect them."""
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for entry in os.scandir(process / "fd"):
                with contextlib.suppress(OSError):
                    if os.path.samestat(os.stat(entry.path), of):
                        pids.append(int(process.name))
                        break
    return sorted(pids)


def _named(pid: int) -> str:
    if pid == os.getpid():
        return "this process"
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return f"process {pid}"
    name, _, rest = status.partition("(")[2].rpartition(")")
    printable = "".join(c if c.isprintable() else "?" for c in name)
    return f"process {pid} ({printable}{', stopped' if rest.split()[:1] in (['T'], ['t']) else ''})"


def opened(open: Callable[[], int]) -> int:
    """Open a descriptor that will be locked; a forked child gives it up."""
    with _forking:
        fd = open()
        _inherited.add(fd)
        return fd


def unshare(fd: int) -> None:
    """Forget a descriptor that is about to be closed, since its number can be reused."""
    _inherited.discard(fd)


@contextlib.contextmanager
def _null() -> Iterator[int]:
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        yield null
    finally:
        os.close(null)


def _give_up() -> None:
    """Give up the files of the parent and their locks, in a forked child.

    Each descriptor becomes one of /dev/null and stays open, so that an object that still closes it cannot close another
    file with the same number.
    """
    with contextlib.suppress(OSError), _null() as null:
        for fd in list(_inherited):
            with contextlib.suppress(OSError):
                os.dup2(null, fd, inheritable=False)
    _inherited.clear()
    _forking.release()


os.register_at_fork(before=_forking.acquire, after_in_parent=_forking.release, after_in_child=_give_up)

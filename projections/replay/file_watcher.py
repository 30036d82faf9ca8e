"""Wait until files changed, or until it is time to look anyway.

With `watchfiles` (https://watchfiles.helpmanual.io) the operating system reports changes; without it, or where it
cannot, everything is looked at every second. A missed report costs time only: see `projections.replay.watch`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from ledger.installation import extra_hint

__all__ = ["FileWatcher"]

_POLL_SECONDS: Final = 1.0
_WATCHED_SECONDS: Final = 30.0
"""How long to wait for a report; some file systems never report changes."""

_STEP_MS: Final = 50
_DEBOUNCE_MS: Final = 200
"""Changes within this time are reported together."""

_LISTEN_MS: Final = 500
"""How long one call into watchfiles lasts at most."""

_REST_PER_LOOK: Final = 4
"""After a look that took a second, four of rest: however large the trees, they take a fifth of the time."""


class FileWatcher:
    """A wait for changes below some paths.

    Args:
        stop: ends a wait.
        step_ms, debounce_ms: how long to gather changes; see `watchfiles.watch`.

    Attributes:
        reason: why the operating system does not report changes, and everything is looked at every second; None while
            it does.
    """

    def __init__(self, stop: threading.Event, *, step_ms: int = _STEP_MS, debounce_ms: int = _DEBOUNCE_MS) -> None:
        self._stop, self._step_ms, self._debounce_ms = stop, step_ms, debounce_ms
        self._paths: tuple[str, ...] = ()
        self._notices: Iterator[Any] | None = None
        self.reason: str | None = None
        try:
            import watchfiles
        except ImportError:
            self.reason = f"watchfiles is not installed: {extra_hint('watch')}"
        else:
            self._watch = watchfiles.watch

    def wait(self, paths: Iterable[Path], look_seconds: float = 0.0, due_seconds: float | None = None) -> set[Path]:
        """Return when something below the paths changed, when it is time to look anyway, or when stopped.

        Args:
            look_seconds: how long the last look took.
            due_seconds: the time to look anyway, if any.

        Returns:
            The changed paths that were reported; further ones may have changed.
        """
        if self._stop.wait(look_seconds * _REST_PER_LOOK):
            return set()
        every = list(paths)
        there = tuple(sorted({str(path) for path in every if path.exists()}))
        reported = self.reason is None and len(there) == len(set(every))
        seconds = _WATCHED_SECONDS if reported else _POLL_SECONDS
        seconds = seconds if due_seconds is None else min(seconds, max(due_seconds, 0.0))
        if self.reason is not None or not there:
            self._stop.wait(seconds)
            return set()
        try:
            return self._listen(there, time.monotonic() + seconds)
        except (
            OSError,
            RuntimeError,
            UnicodeError,
        ) as error:  # the limit of inotify, mostly, or a path that is no text
            self.reason = f"the operating system does not report changes ({error})"
            return set()

    def _listen(self, paths: tuple[str, ...], deadline: float) -> set[Path]:
        if self._notices is None or paths != self._paths:
            self._paths = paths
            self._notices = self._watch(
                *paths,
                watch_filter=None,
                stop_event=self._stop,
                debounce=self._debounce_ms,
                step=self._step_ms,
                rust_timeout=_LISTEN_MS,
                yield_on_timeout=True,
                ignore_permission_denied=True,
            )
            return self._next()  # it listens from now on; what changed just before is found by the next look
        while time.monotonic() < deadline and not self._stop.is_set():
            if changed := self._next():
                return changed
        return set()

    def _next(self) -> set[Path]:
        """Return the changes of the next half second; the iterator ends when stopped."""
        assert self._notices is not None
        return {Path(path) for _, path in next(self._notices, set())}

"""Waking: waiting until files changed, or until it is time to look anyway.

With `watchfiles` (https://watchfiles.helpmanual.io) the operating system says when; without it, or where it cannot,
everything is looked at every second. Being woken is a matter of speed only: see `projections.replay.watch`.
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
"""How long nothing is looked at when nothing is told; some file systems never tell."""

_QUIET_MS: Final = 50
_SETTLED_MS: Final = 200
"""Changes within this time are told at once."""

_LISTEN_MS: Final = 500
"""How long one call into watchfiles lasts at most."""

_REST_PER_LOOK: Final = 4
"""After a look that took a second, four of rest: however large the trees, they take a fifth of the time."""


class FileWatcher:
    """Waits for changes below some paths.

    Attributes:
        reason: why the operating system does not say what changes, and everything is looked at every second; None
            while it does.
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._paths: tuple[str, ...] = ()
        self._notices: Iterator[Any] | None = None
        self.reason: str | None = None
        try:
            import watchfiles
        except ImportError:
            self.reason = f"watchfiles is not installed: {extra_hint('watch')}"
        else:
            self._watch = watchfiles.watch

    def wait(self, paths: Iterable[Path], look_seconds: float, due_seconds: float | None = None) -> None:
        """Return when something below the paths changed, when it is time to look anyway, or when told to stop.

        Args:
            look_seconds: how long the last look took.
            due_seconds: the time to look anyway, when it is known.
        """
        if self._stop.wait(look_seconds * _REST_PER_LOOK):
            return
        every = list(paths)
        there = tuple(sorted({str(path) for path in every if path.exists()}))
        told = self.reason is None and len(there) == len(set(every))
        seconds = _WATCHED_SECONDS if told else _POLL_SECONDS
        seconds = seconds if due_seconds is None else min(seconds, max(due_seconds, 0.0))
        if self.reason is not None or not there:
            self._stop.wait(seconds)
            return
        try:
            self._listen(there, time.monotonic() + seconds)
        except (
            OSError,
            RuntimeError,
            UnicodeError,
        ) as error:  # the limit of inotify, mostly, or a path that is no text
            self.reason = f"the operating system does not tell what changes ({error})"

    def _listen(self, paths: tuple[str, ...], deadline: float) -> None:
        if self._notices is None or paths != self._paths:
            self._paths = paths
            self._notices = self._watch(
                *paths,
                watch_filter=None,
                stop_event=self._stop,
                debounce=_SETTLED_MS,
                step=_QUIET_MS,
                rust_timeout=_LISTEN_MS,
                yield_on_timeout=True,
                ignore_permission_denied=True,
            )
            next(self._notices, None)  # it listens from now on; what changed just before is found by the next look
            return
        while time.monotonic() < deadline:
            if next(self._notices, None) != set():
                return

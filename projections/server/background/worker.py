"""A worker: a thread of the server that looks again and again until it is stopped."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

__all__ = ["Worker"]


class Worker(ABC):
    """A thread that looks again and again.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the look that is under way."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._look()

    @abstractmethod
    def _look(self) -> None:
        """Look once, and wait until the next look is due or the worker is stopped."""

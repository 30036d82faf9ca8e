"""Records that seem to tell of tokens in a shape that this version does not know: a newer tool, mostly.

Passing them over in silence would make a workflow cheaper than it was. Each file tells of the first, and how many more.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ledger.sources.findings import Skipped

__all__ = ["Unknown", "tells_usage"]

_DEPTH_MAX: Final = 4


class Unknown:
    """What one file holds of such records."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._line, self._what, self._more = 0, "", 0

    def add(self, line: int, what: str) -> None:
        """One more; only the first is kept."""
        if self._line:
            self._more += 1
        else:
            self._line, self._what = line, what

    def skipped(self) -> list[Skipped]:
        """What is to be told: nothing, or one reason for all."""
        if not self._line:
            return []
        more = f", nor in {self._more:,} more" if self._more else ""
        reason = f"{self._what}: it looks like usage, in a shape that this version does not know{more}"
        return [Skipped(self._path, self._line, reason)]


def tells_usage(record: Mapping[str, Any], depth: int = _DEPTH_MAX) -> bool:
    """Whether a record has a `…usage` with a count of tokens in it, close to its surface."""
    for name, value in record.items():
        if isinstance(value, Mapping):
            if name.lower().endswith("usage") and any(_counts(*item) for item in value.items()):
                return True
            if depth and tells_usage(value, depth - 1):
                return True
    return False


def _counts(name: str, value: object) -> bool:
    return "token" in name.lower() and isinstance(value, int) and not isinstance(value, bool)

"""Records that seem to report tokens in a format that this version does not support, mostly of a newer tool.

Ignoring them would make a workflow look cheaper than it was. For each file the first is reported, and how many follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ledger.sources.findings import Skipped

__all__ = ["UnknownUsage", "has_usage"]

_DEPTH_MAX: Final = 4


class UnknownUsage:
    """The records of one file with usage in an unsupported format."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._line, self._what, self._more = 0, "", 0

    def add(self, line: int, what: str) -> None:
        """Count a record; only the first is described."""
        if self._line:
            self._more += 1
        else:
            self._line, self._what = line, what

    def skipped(self) -> list[Skipped]:
        """Return what to report: nothing, or one reason for all."""
        if not self._line:
            return []
        more = f", nor in {self._more:,} more" if self._more else ""
        reason = f"{self._what}: it looks like usage, in a shape that this version does not know{more}"
        return [Skipped(self._path, self._line, reason)]


def has_usage(record: Mapping[str, Any], depth: int = _DEPTH_MAX) -> bool:
    """Return whether a record has a `…usage` with a count of tokens in it, at most a few levels deep."""
    for name, value in record.items():
        if isinstance(value, Mapping):
            if name.lower().endswith("usage") and any(_counts(*item) for item in value.items()):
                return True
            if depth and has_usage(value, depth - 1):
                return True
    return False


def _counts(name: str, value: object) -> bool:
    return "token" in name.lower() and isinstance(value, int) and not isinstance(value, bool)

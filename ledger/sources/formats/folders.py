"""Folders of logs: what the operating system does not let us read is reported and never passed over."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ledger.errors import SourceUnreadable, reason
from ledger.sources.findings import Skipped

__all__ = ["is_folder", "may_exist", "unreadable", "walked"]


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder; False when it does not exist.

    Raises:
        SourceUnreadable: the operating system does not say.
    """
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise SourceUnreadable(path, f"cannot be read: {reason(error)}") from error


def may_exist(path: Path) -> bool:
    """Return whether a path exists, or the operating system does not say."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def walked(
    path: Path, skipped: list[Skipped], *, followlinks: bool = False
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield what `os.walk` does, in order; add each folder that cannot be listed to what was skipped."""
    tree = os.walk(path, onerror=lambda error: skipped.append(unreadable(path, error)), followlinks=followlinks)
    for where, folders, names in tree:
        folders.sort()
        yield where, folders, names


def unreadable(path: Path, error: OSError) -> Skipped:
    """Return that a file or folder cannot be read; the one that the error names, or else this path."""
    where = path if error.filename is None else Path(os.fsdecode(error.filename))
    return Skipped(where, None, f"cannot be read: {reason(error)}")

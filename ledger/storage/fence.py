"""The fence: what keeps every process off a ledger whose sync has failed, until its bytes were copied to a new file.

A failed sync leaves pages that look clean and are not on the disk, and the error is told once: whoever syncs next is
told of success (https://lwn.net/Articles/752063/). So whoever sees the error, writer or reader, sets a marker
`<ledger>.fenced` before anything else, and remembers it for the case that the marker could not be made.
"""

from __future__ import annotations

import contextlib
from functools import lru_cache
from pathlib import Path

from ledger.storage.files import PATHS_KEPT, Files

__all__ = ["fence_path", "is_fenced", "lift_fence", "set_fence"]


@lru_cache(PATHS_KEPT)
def fence_path(ledger: Path) -> Path:
    """The marker's place, whether it stands or not."""
    return ledger.with_name(ledger.name + ".fenced")


def set_fence(files: Files, ledger: Path) -> None:
    """Keep everybody off this file; best effort beyond this process, since the disk is failing."""
    files.fenced.add(ledger)
    with contextlib.suppress(OSError):
        marker = fence_path(ledger)
        with contextlib.suppress(FileExistsError):
            files.create(marker)
        files.sync_directory(marker.parent)


def is_fenced(files: Files, ledger: Path) -> bool:
    """Whether a sync of this file has failed since it was last copied.

    Raises:
        OSError: the file system cannot tell.
    """
    return ledger in files.fenced or files.exists(fence_path(ledger))


def lift_fence(files: Files, ledger: Path) -> None:
    """The bytes were copied to a new file, which is synced and stands in its place.

    Raises:
        OSError: the file system refused; the fence may still stand, and costs one more copy.
    """
    with contextlib.suppress(FileNotFoundError):
        files.remove(fence_path(ledger))
    files.sync_directory(ledger.parent)
    files.fenced.discard(ledger)

"""Files that failures left in the folder of the ledgers; `FORMAT.md` lists them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ledger.errors import LedgerUnavailable

__all__ = ["Leftovers", "leftovers_in"]

_NAME: Final = re.compile(r".+\.jsonl\.(fenced|torn|damaged)(?:-[0-9]+)?")


@dataclass(slots=True)
class Leftovers:
    """Sorted names of files.

    Attributes:
        fenced: markers of ledgers whose sync failed and that no process has appended to since.
        torn: tails that were never acknowledged.
        damaged: ledgers that a salvage replaced.
    """

    fenced: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def leftovers_in(data: Path) -> Leftovers:
    """Return the leftovers in a data directory, from one listing of the folder.

    Raises:
        LedgerUnavailable: the folder cannot be listed.
    """
    found = Leftovers()
    folder = data / "ledgers"
    try:
        names = sorted(os.listdir(folder)) if folder.is_dir() else []
    except OSError as error:
        raise LedgerUnavailable(folder, "list", error) from error
    for name in names:
        if name.endswith(".jsonl"):
            continue
        if (match := _NAME.fullmatch(name)) is not None:
            getattr(found, match[1]).append(name)
    return found

"""What lies beside the ledgers because something went wrong: the files that `FORMAT.md` names."""

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
    """Names of files, sorted.

    Attributes:
        fenced: a sync failed, and nobody has appended to that ledger since.
        torn: tails that were never acknowledged, moved aside.
        damaged: what a salvage put aside.
    """

    fenced: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def leftovers_in(data: Path) -> Leftovers:
    """What lies beside the ledgers of a data directory; one listing, nothing is opened.

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
        if (told := _NAME.fullmatch(name)) is not None:
            getattr(found, told[1]).append(name)
    return found

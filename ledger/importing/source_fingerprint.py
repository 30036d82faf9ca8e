"""What a source looks like from outside: whether anything in it changed since it was read, for a `stat` per file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from ledger.errors import SourceUnreadable
from ledger.importing.source_registry import SourceEntry
from ledger.sources import TRANSCRIPT_KINDS, transcript
from ledger.sources.findings import Part

__all__ = ["fingerprint", "looks"]


def looks(entry: SourceEntry) -> str:
    """Return a digest of the names, sizes and times of all files of a source; another one when any of them changes."""
    digest = hashlib.blake2b(digest_size=16)
    for name in _files(entry):
        try:
            found = os.stat(name)
        except OSError as error:
            digest.update(f"{name}\0{error.errno}\n".encode("utf-8", "surrogateescape"))
            continue
        told = f"{name}\0{found.st_size}\0{found.st_mtime_ns}\0{found.st_ino}\n"
        digest.update(told.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def fingerprint(part: Part) -> str | None:
    """Return another text whenever a part has something else to read; None where only reading it shows that."""
    if part.fingerprint is None and not part.written_at:
        return None
    return part.fingerprint or f"{part.size_bytes} {part.written_at}"


def _files(entry: SourceEntry) -> Iterable[str]:
    if entry.kind in TRANSCRIPT_KINDS:  # their tools keep much else in the same folder
        try:
            yield from map(str, transcript(entry.kind).files(Path(entry.path)))
        except SourceUnreadable:
            yield entry.path
        return
    yield entry.path
    yield f"{entry.path}-wal"  # where SQLite puts what is new in a database
    for where, folders, names in os.walk(entry.path):
        folders.sort()
        for name in sorted(names):
            yield f"{where}/{name}"

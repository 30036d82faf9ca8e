"""Fingerprints of sources: whether anything in them changed since they were read, for a `stat` per file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from ledger.errors import SourceUnreadable
from ledger.importing.source_registry import SourceEntry
from ledger.sources import TRANSCRIPT_KINDS, transcript
from ledger.sources.findings import Part
from ledger.sources.transcript import DATABASE_SUFFIXES

__all__ = ["fingerprint", "looks"]


def looks(entry: SourceEntry) -> str:
    """Return a digest of the names, sizes, times and modes of all files of a source; it changes when any of them does.

    The mode is part of it because a file that could not be read is to be read once it may be.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name in _files(entry):
        try:
            found = os.stat(name)
        except OSError as error:
            digest.update(f"{name}\0{error.errno}\n".encode("utf-8", "surrogateescape"))
            continue
        line = f"{name}\0{found.st_size}\0{found.st_mtime_ns}\0{found.st_ino}\0{found.st_mode}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def fingerprint(part: Part) -> str | None:
    """Return a text that changes whenever a part has something else to read; None where only reading shows that."""
    if part.fingerprint is None and not part.written_at:
        return None
    return part.fingerprint or f"{part.size_bytes} {part.written_at}"


def _files(entry: SourceEntry) -> Iterable[str]:
    if entry.kind in TRANSCRIPT_KINDS:  # their tools have many other files in the same folder
        try:
            for file in transcript(entry.kind).files(Path(entry.path)):
                yield str(file)
                if file.name.endswith(DATABASE_SUFFIXES):
                    yield f"{file}-wal"
        except SourceUnreadable:
            yield entry.path
        return
    yield entry.path
    yield f"{entry.path}-wal"  # which has the latest changes of a SQLite database
    for where, folders, names in os.walk(entry.path):
        folders.sort()
        for name in sorted(names):
            yield f"{where}/{name}"

"""Removed workflows: their ledgers are set aside or erased, and their sessions are not imported again.

`removed/` of the data directory has a tombstone for each: the number of its events, its bytes and its last hash, and
digests of its id and of the ids of its sessions and messages, by which an import knows them again. The ledger of one
that was not erased is next to it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import orjson

from ledger.errors import CostledgerError, LedgerUnavailable, UnknownWorkflow
from ledger.events import timestamps
from ledger.storage.atomic_files import write_whole
from ledger.storage.directory_store import DirectoryStore
from ledger.text import counted

__all__ = [
    "NotRemoved",
    "RemovedIds",
    "Tombstone",
    "put_back",
    "remove_ledger",
    "removed_ids",
    "removed_ledger",
    "removed_sentence",
]

_FOLDER: Final = "removed"


class NotRemoved(CostledgerError):
    """A workflow whose ledger is not set aside, or whose place another one has taken."""

    http_status = 409


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is known of a removed ledger.

    Attributes:
        hash: of its last line.
        digests: of its id, and of the ids of its sessions and messages; see `RemovedIds`.
    """

    events: int
    bytes: int
    hash: str
    removed_at: str
    purged: bool
    digests: list[str]


class RemovedIds:
    """The ids of removed workflows, sessions and messages, by their digests alone."""

    def __init__(self, digests: frozenset[str] = frozenset()) -> None:
        self._digests = digests

    def __bool__(self) -> bool:
        return bool(self._digests)

    def has_workflow(self, workflow_id: str) -> bool:
        """Return whether a workflow was removed."""
        return _digest("workflow", workflow_id) in self._digests

    def has_session(self, session_id: str | None) -> bool:
        """Return whether a session was in a removed workflow."""
        return session_id is not None and _digest("session", session_id) in self._digests

    def has_message(self, message_id: str) -> bool:
        """Return whether a response was in a removed workflow."""
        return _digest("message", message_id) in self._digests


def removed_ids(data: Path) -> RemovedIds:
    """Return the ids of all that was removed from a data directory.

    Raises:
        LedgerUnavailable: a tombstone cannot be read.
    """
    try:
        changed_at = (data / _FOLDER).stat().st_mtime_ns
    except FileNotFoundError:
        return RemovedIds()
    except OSError as error:
        raise LedgerUnavailable(data / _FOLDER, "read", error) from error
    return _removed_ids(data, changed_at)


@lru_cache(maxsize=4)
def _removed_ids(data: Path, changed_at: int) -> RemovedIds:  # noqa: ARG001
    """Return them as of this change of their folder: an import asks for each ledger."""
    digests: set[str] = set()
    for path in sorted((data / _FOLDER).glob("*.json")):
        digests.update(_read(path).digests)
    return RemovedIds(frozenset(digests))


def removed_ledger(data: Path, workflow_id: str) -> Path:
    """Return where the ledger of a removed workflow is set aside."""
    return data / _FOLDER / f"{workflow_id}.jsonl"


def remove_ledger(store: DirectoryStore, workflow_id: str, *, purge: bool) -> tuple[Tombstone, set[str]]:
    """Set a ledger aside with a tombstone, or erase it; return the tombstone and the ids that it has digests of.

    A ledger that is set aside already can be erased.

    Raises:
        UnknownWorkflow: there is none.
        NotRemoved: an earlier ledger of that id is set aside, which this one would replace.
        DamagedLedger, LedgerUnavailable: it cannot be read; nothing was removed.
    """
    data, path = store.path, store.ledger_path(workflow_id)
    aside, tombstone = removed_ledger(data, workflow_id), _tombstone_path(data, workflow_id)
    ids = {("workflow", workflow_id)}
    earlier = _read(tombstone) if tombstone.exists() else None
    try:
        reader = store.read(workflow_id)
        for line in reader:
            ids |= _ids_of(line)
        made = Tombstone(reader.head.seq, reader.head.size, reader.head.hash, _now(), purge, [])
    except UnknownWorkflow:
        if earlier is None or not (purge and aside.exists()):
            raise
        made = replace(earlier, purged=True)
    if aside.exists():
        if not purge:
            raise NotRemoved(f"{workflow_id} was removed before: move {aside} away first, or erase both with --purge")
        for raw in aside.read_bytes().splitlines():
            ids |= _ids_of(orjson.loads(raw))
    made = replace(made, digests=sorted({*_digests(ids), *(earlier.digests if earlier else ())}))
    try:
        aside.parent.mkdir(exist_ok=True)
        write_whole(tombstone, orjson.dumps(asdict(made)))
        _take_away(path, aside, purge=purge)
    except OSError as error:
        raise LedgerUnavailable(path, "remove", error) from error
    return made, {value for _, value in ids}


def _take_away(path: Path, aside: Path, *, purge: bool) -> None:
    if purge:
        for each in [path, *_beside(path), aside]:
            each.unlink(missing_ok=True)
    else:
        path.replace(aside)
    _sync(path.parent)
    _sync(aside.parent)


def put_back(store: DirectoryStore, workflow_id: str) -> None:
    """Put a ledger that was set aside back, and delete its tombstone.

    Raises:
        NotRemoved: it is not set aside, or there is another ledger of that id by now.
        LedgerUnavailable: the file system refused.
    """
    path, aside = store.ledger_path(workflow_id), removed_ledger(store.path, workflow_id)
    tombstone = _tombstone_path(store.path, workflow_id)
    if not aside.exists():
        why = "its bytes were erased" if tombstone.exists() else "it was not removed from this data directory"
        raise NotRemoved(f"{workflow_id} cannot be put back: {why}")
    try:
        os.link(aside, path)  # refused where a ledger is, which a rename would replace
        aside.unlink()
        tombstone.unlink(missing_ok=True)
        _sync(path.parent)
        _sync(aside.parent)
    except FileExistsError:
        raise NotRemoved(
            f"{workflow_id} cannot be put back: another ledger has that id since; move {path} away first"
        ) from None
    except OSError as error:
        raise LedgerUnavailable(path, "put back", error) from error


def removed_sentence(data: Path, workflow_id: str, undo: str) -> str | None:
    """Return when a workflow was removed, and what became of it; None without a tombstone of it.

    Args:
        undo: what puts it back.
    """
    with contextlib.suppress(CostledgerError):
        found = _read(_tombstone_path(data, workflow_id))
        said = f"workflow {workflow_id!r} was removed at {found.removed_at}"
        if found.purged:
            return f"{said}, and its bytes were erased: nothing brings it back"
        return f"{said}, and its ledger of {counted(found.events, 'event')} is set aside; to put it back: {undo}"
    return None


def _ids_of(line: dict[str, object]) -> set[tuple[str, str]]:
    """Return the native ids of a line: its session, its response, and the response's other names."""
    found = {("session", line.get("session_id")), ("message", line.get("message_id"))}
    source = line.get("source")
    names = source.get("names") if isinstance(source, dict) else None
    found |= {("message", name) for name in names or ()}
    return {(kind, value) for kind, value in found if isinstance(value, str)}


def _digests(ids: Iterable[tuple[str, str]]) -> list[str]:
    return sorted(_digest(kind, value) for kind, value in ids)


def _digest(kind: str, value: str) -> str:
    return sha256(f"costledger removed {kind}\n{value}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _tombstone_path(data: Path, workflow_id: str) -> Path:
    return data / _FOLDER / f"{_digest('workflow', workflow_id)}.json"


def _read(path: Path) -> Tombstone:
    try:
        return Tombstone(**orjson.loads(path.read_bytes()))
    except OSError as error:
        raise LedgerUnavailable(path, "read", error) from error
    except (ValueError, TypeError) as error:
        raise NotRemoved(f"{path} is no tombstone ({error}); restore it from a backup") from None


def _beside(ledger: Path) -> Iterator[Path]:
    """Yield the files that failures left next to a ledger: tails, markers and damaged copies."""
    with contextlib.suppress(FileNotFoundError):
        yield from (path for path in ledger.parent.iterdir() if path.name.startswith(f"{ledger.name}."))


def _now() -> str:
    return timestamps.to_wire(timestamps.now())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Transcripts: files that a session's agent writes continuously, many of them below one folder.

Which workflow a transcript belongs to is unknown before it is read: one file may contain several sessions, and one
message may be in several files. So the reader of a tool's transcripts only lists the files and extracts one of them,
from where the last import stopped; `ledger.importing.transcript_importer` considers all files together.
"""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from ledger.providers.service_tiers import PREMIUM_TIERS
from ledger.providers.usage import is_larger, measure
from ledger.sources.findings import Beginning, Skipped

__all__ = [
    "BEGINNING",
    "COPY",
    "DATABASE_SUFFIXES",
    "Extract",
    "FileStamp",
    "Mark",
    "Transcript",
    "TranscriptMessage",
    "WrittenTotal",
]

DATABASE_SUFFIXES: Final = (".db", ".sqlite", ".sqlite3", ".vscdb")
"""Of SQLite databases that agents write."""

COPY: Final = 2
"""`TranscriptMessage.copied` of a message that the file certainly has from another session."""


class TranscriptMessage(NamedTuple):
    """One provider response, at its largest in one file.

    Attributes:
        first_at: the earliest moment that its lines carry, as they spell it; "" when none does.
        project, branch: where its session worked; "" when the file names none.
        line: of the largest reading.
        names, subagent, skill, plugin: see `Call`.
        copied: whether the file has it from another session, as a fork does: 2 certainly, 1 likely, 0 no sign of it.
        parent: the session that it was copied from, where the file names that; "" otherwise.
        partial: the transcript may not show all of it, or not all calls of its session.
        tier_asked: the service tier is the one that the client requests; which one served the call is unknown.
        nanousd: what its log says that it cost, in nanodollars; None: it is to be priced.
        root: the session in whose workflow it counts, when that is another one; "" otherwise.
        several: see `Call`.
    """

    message_id: str
    session_id: str
    agent: str | None
    model: str | None
    usage: Mapping[str, int]
    first_at: str
    service_tier: str | None
    project: str
    branch: str
    line: int
    names: tuple[str, ...] = ()
    subagent: str | None = None
    skill: str | None = None
    plugin: str | None = None
    copied: int = 0
    parent: str = ""
    partial: bool = False
    tier_asked: bool = False
    nanousd: int | None = None
    root: str = ""
    several: bool = False

    @property
    def measure(self) -> bytes:
        """Sort key of the views of one response; see `measure`."""
        return measure(self.usage, self.nanousd)

    @property
    def priced_tier(self) -> str | None:
        """The service tier to price it at: of a requested one and the standard one, the cheaper."""
        return None if self.tier_asked and self.service_tier in PREMIUM_TIERS else self.service_tier

    def is_larger(self, had: TranscriptMessage) -> bool:
        """Return whether this view of a response counts, and not the one that was read before."""
        return is_larger(self.measure, had.measure, same_model=self.model == had.model)

    def in_session_of(self, first: TranscriptMessage) -> TranscriptMessage:
        """Return this view of a response, under the session that had it first."""
        moments = [at for at in (self.first_at, first.first_at) if at]
        return self._replace(
            session_id=first.session_id,
            agent=first.agent,
            project=first.project,
            branch=first.branch,
            first_at=min(moments, default=""),
            copied=first.copied,
            parent=first.parent,
            root=first.root,
            subagent=first.subagent or self.subagent,
            names=self.names or first.names,
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a file was read: bytes and lines, and a digest of the last bytes before, which must still be there.

    Attributes:
        beginnings: of the sessions in this file so far.
        state: what else its reader needs to continue, as JSON.
    """

    offset: int = 0
    lines: int = 0
    ending: str = ""
    beginnings: Mapping[str, Beginning] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)


BEGINNING: Final = Mark()


@dataclass(frozen=True, slots=True)
class WrittenTotal:
    """A session's cost so far by its client's own account, including what it carried over.

    Attributes:
        line: messages before it in the file were spent before it.
        tokens: of all models and kinds together.
        models: `(model, nanodollars, usage)`.
        at: the latest moment before it, in the ledger's spelling; "" when there is none.
    """

    session_id: str
    line: int
    nanousd: int
    tokens: int
    models: tuple[tuple[str, int, Mapping[str, int]], ...]
    at: str
    partial: bool = False


@dataclass(slots=True)
class Extract:
    """The content of one file.

    Attributes:
        totals: in the order of the file.
        opening: of two files that show a message at the same moment, the one with the smaller number had it first;
            None: unknown.
        forked: the file has copies of another session's messages, also before the mark.
        last_at: the latest moment in it, as it spells it; of two files that show a message at the same moment, the one
            that ended first had it first.
        resumed: only what was added since the mark; False: all of it.
        failed: the file could not be read to its end, or has messages that do not count yet; it is read again.
        agents: the kind of each sub-agent whose id the file names, its own and those it started.
        foreign: it has lines, and none is of this tool.
        count: how many messages the whole file has, where these are neither all of them nor all new ones.
    """

    messages: list[TranscriptMessage]
    skipped: list[Skipped]
    mark: Mark
    last_at: str = ""
    resumed: bool = False
    failed: bool = False
    totals: list[WrittenTotal] = field(default_factory=list)
    opening: int | None = None
    forked: bool = False
    agents: Mapping[str, str] = field(default_factory=dict)
    count: int | None = None
    foreign: bool = False


class Transcript(Protocol):
    """One tool's transcripts."""

    @property
    def agent(self) -> str:
        """The name of a session's own agent; its sub-agents have names of their own."""
        ...

    def identify(self, path: Path) -> bool:
        """Return whether the path looks like this tool's output, from the beginning of a few files."""
        ...

    def existing_folders(self) -> list[Path]:
        """Return the default folders of the tool that exist here, also where they cannot be read."""
        ...

    def default_folders(self) -> list[Path]:
        """Return the folders that `existing_folders` looks for, whether they exist or not."""
        ...

    def files(self, path: Path, skipped: list[Skipped] | None = None) -> list[Path]:
        """Return the transcripts of a path, sorted.

        Args:
            skipped: gets each folder that cannot be read.

        Raises:
            SourceUnreadable: the path is missing, holds none, or nothing of it can be read.
        """
        ...

    def read(self, path: Path, mark: Mark) -> Extract:
        """Extract one file after a mark; never raises for what is in the file."""
        ...


@dataclass(frozen=True, slots=True)
class FileStamp:
    """Size, time and inode of a file by `stat`: while they are the same, it was not written to.

    Those of a SQLite database include its `-wal`, which has the latest changes.
    """

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> FileStamp | None:
        """Return the stamp of a file; None when it is gone or is no regular file."""
        try:
            found = path.stat()
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        size, written = found.st_size, found.st_mtime_ns
        if path.name.endswith(DATABASE_SUFFIXES):
            with contextlib.suppress(OSError):
                log = path.with_name(f"{path.name}-wal").stat()
                size, written = size + log.st_size, max(written, log.st_mtime_ns)
        return cls(size, written, found.st_ino)

"""Transcripts: files that a session's agent keeps writing to, many of them below one folder.

What they hold is not known to belong to a workflow before it is read: sessions stand side by side in one file, and one
message in several. So a transcript's source only says which files there are and what stands in one of them, from where
it was left off; `ledger.importing.transcript_importer` considers all files together.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import os
import re
import stat
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, Protocol, cast

import orjson

from ledger.errors import SourceUnreadable, reason
from ledger.events import timestamps
from ledger.events.fields import check_name
from ledger.events.workflow_ids import is_workflow_id
from ledger.providers.service_tiers import PREMIUM_TIERS
from ledger.providers.usage import is_larger, measure
from ledger.sources.findings import Beginning, Skipped
from ledger.sources.formats.jsonl import records_of_line
from ledger.sources.formats.regular_files import open_regular

__all__ = [
    "BEGINNING",
    "COPY",
    "Extract",
    "Mark",
    "Transcript",
    "TranscriptLines",
    "TranscriptMessage",
    "Written",
    "WrittenTotal",
    "branch_name",
    "files_below",
    "moment",
    "name",
    "name_id",
]

_BUFFER_BYTES: Final = 1024 * 1024
_LINE_BYTES_MAX: Final = 64 * 1024 * 1024
"""As for any log: a line holds a tool's whole output, images included; the largest seen is 9 MB."""
_ENDING_BYTES: Final = 1024
"""Enough to hold ids and a moment, which tell a rewritten file from a grown one; smaller files are read whole."""
_HEAD_LINES: Final = 8
"""Lines at the beginning that are always parsed: they say where and when a session began."""

COPY: Final = 2
"""`Seen.copied` of what a file certainly has from another session."""

_GZIP: Final = ".gz"
_SUFFIXES: Final = (".jsonl", f".jsonl{_GZIP}")
_DETACHED: Final = "HEAD"
"""What git calls the branch while none is checked out."""
_NO_ID: Final = re.compile(r"[^A-Za-z0-9_-]+")


class TranscriptMessage(NamedTuple):
    """One provider response, at its largest in one file.

    Attributes:
        first_at: the earliest moment that its lines carry, as they spell it; "" when none does.
        project, branch: where its session worked; "" when the file does not say.
        line: of the largest reading.
        names, subagent, skill, plugin: see `Call`.
        copied: whether the file has it from another session, as a fork does: 2 certain, 1 likely, 0 no sign of it.
        parent: the session that it was copied from, where the file names that; "" otherwise.
        partial: the transcript may not show all of it, or not all calls of its session.
        tier_asked: the service tier is what the client was set to ask for; which one served the call is not known.
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

    @property
    def priced_tier(self) -> str | None:
        """The service tier to price it at: of one only asked for and the standard one, the cheaper."""
        return None if self.tier_asked and self.service_tier in PREMIUM_TIERS else self.service_tier

    def is_larger(self, had: TranscriptMessage) -> bool:
        """Whether this view of a response is the one that counts, and not the one that was seen before."""
        return is_larger(measure(self.usage), measure(had.usage), same_model=self.model == had.model)

    def at_place_of(self, first: TranscriptMessage) -> TranscriptMessage:
        """This view of a response, under the session that had it first."""
        moments = [at for at in (self.first_at, first.first_at) if at]
        return self._replace(
            session_id=first.session_id,
            agent=first.agent,
            project=first.project,
            branch=first.branch,
            first_at=min(moments, default=""),
            copied=first.copied,
            parent=first.parent,
            subagent=first.subagent or self.subagent,
            names=self.names or first.names,
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a file was read: bytes and lines, and a digest of the last bytes before, which must still be there.

    Attributes:
        begun: the sessions that this file showed so far.
        state: what else its reader needs to go on, as JSON.
    """

    offset: int = 0
    lines: int = 0
    ending: str = ""
    begun: Mapping[str, Beginning] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)


BEGINNING: Final = Mark()


@dataclass(frozen=True, slots=True)
class WrittenTotal:
    """What a client wrote that its session had cost so far, with what it carried over.

    Attributes:
        line: what stands before it in the file was spent before it.
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
    """What one file held.

    Attributes:
        totals: in the order of the file.
        opening: of two files that show a message at the same moment, the one with the smaller number had it first;
            None: the file does not say.
        forked: the file has copies of another session's messages, also before the mark.
        last_at: the latest moment in it, as it spells it; of two files that show a message at the same moment, the one
            that ended first had it first.
        resumed: only what was added since the mark; False: all of it.
        failed: the file could not be read to its end.
        agents: what kind of agent each sub-agent is whose id the file names, its own and those it started.
    """

    seen: list[TranscriptMessage]
    skipped: list[Skipped]
    mark: Mark
    last_at: str = ""
    resumed: bool = False
    failed: bool = False
    totals: list[WrittenTotal] = field(default_factory=list)
    opening: int | None = None
    forked: bool = False
    agents: Mapping[str, str] = field(default_factory=dict)


class Transcript(Protocol):
    """One tool's transcripts."""

    @property
    def agent(self) -> str:
        """What a session's own agent is called; its sub-agents have names of their own."""
        ...

    def identify(self, path: Path) -> bool:
        """Whether the path looks like this tool's output; reads at most the beginning of a few files."""
        ...

    def places(self) -> list[Path]:
        """Where the tool keeps its transcripts by default, as far as these places exist."""
        ...

    def default_folders(self) -> list[Path]:
        """The folders that `places` looks for, whether they exist or not."""
        ...

    def files(self, path: Path) -> list[Path]:
        """The transcripts of a path, sorted.

        Raises:
            SourceUnreadable: the path is missing, or holds none.
        """
        ...

    def read(self, path: Path, mark: Mark) -> Extract:
        """What stands in one file behind a mark; never raises for what is in the file."""
        ...


@dataclass(frozen=True, slots=True)
class Written:
    """What `stat` says of a file: with the same three it was not written to since."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> Written | None:
        """None when it is gone or is no regular file."""
        try:
            found = path.stat()
        except OSError:
            return None
        return cls(found.st_size, found.st_mtime_ns, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def files_below(path: Path) -> list[Path]:
    """All transcripts below a folder, or the one file; symbolic links are followed, each folder once.

    Raises:
        SourceUnreadable: the path is missing, or holds none.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise SourceUnreadable(path, "is no file or folder" if path.exists() else "there is no such file or folder")
    found: list[Path] = []
    known: set[tuple[int, int]] = set()
    _new(str(path), known)
    for where, folders, names in os.walk(path, followlinks=True):
        folders[:] = [name for name in sorted(folders) if _new(os.path.join(where, name), known)]
        found += [Path(where, name) for name in names if name.endswith(_SUFFIXES)]
    if not found:
        raise SourceUnreadable(path, "holds no transcript (no file *.jsonl)")
    return sorted(found)


def _new(folder: str, known: set[tuple[int, int]]) -> bool:
    try:
        at = os.stat(folder)
    except OSError:
        return False
    before = len(known)
    known.add((at.st_dev, at.st_ino))
    return len(known) > before


def moment(value: object) -> str:
    """A moment in the ledger's spelling; "" for what is none, such as one without a zone."""
    try:
        return timestamps.parse(value)
    except ValueError:
        return ""


def name(value: object) -> str:
    """A name that a ledger can hold; "" for what is none."""
    try:
        return check_name(value)
    except ValueError:
        return ""


def branch_name(value: object) -> str:
    """The name of a git branch; "" for none, as while no branch is checked out."""
    return "" if value == _DETACHED else name(value)


def name_id(text: str, *, readable: str | None = None) -> str:
    """A workflow id for any text: itself when it is one, else what can be read of it and a digest of all of it.

    Args:
        readable: what to show of a long text, such as a path's last part.
    """
    if readable is None and is_workflow_id(text):
        return text
    shown = _NO_ID.sub("-", readable or text).strip("-")[:64]
    return f"{shown or 'unnamed'}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


class _Neighbours:
    """Neighbouring lines that could not be read, told as one."""

    def __init__(self, path: Path, skipped: list[Skipped]) -> None:
        self._path, self._skipped = path, skipped
        self._first, self._last, self._reason = 0, 0, ""

    def add(self, line: int, reason: str) -> None:
        if self._first and line == self._last + 1 and reason == self._reason:
            self._last = line
            return
        self.end()
        self._first, self._last, self._reason = line, line, reason

    def end(self) -> None:
        if self._first:
            more = self._last - self._first
            after = "the line" if more == 1 else f"the {more:,} lines"
            reason = f"{self._reason}; the same holds for {after} after it" if more else self._reason
            self._skipped.append(Skipped(self._path, self._first, reason))
        self._first = 0


class TranscriptLines:
    """The records of a transcript that can matter, from a mark on, in bounded memory.

    Args:
        wanted: a record can matter when its line holds one of these; those of the first lines always do.

    Attributes:
        skipped: what could not be read.
        mark: behind the last whole line that was handed out; `begun` is the caller's.
        resumed: the records are those behind the mark; False: the file was rewritten, they are all.
        failed: until the file was read to its end.
    """

    def __init__(self, path: Path, mark: Mark, *wanted: bytes) -> None:
        self.path, self.mark, self.skipped = path, mark, list[Skipped]()
        self.resumed, self.failed = False, True
        self._wanted = wanted
        self._unread = _Neighbours(path, self.skipped)

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        try:
            with _opened(self.path) as file:
                self.resumed = self._resume(file)
                if not self.resumed:
                    self.mark = BEGINNING
                    file.seek(0)
                yield from self._records(file)
            self.failed = False
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            self._unread.end()
            self.skipped.append(Skipped(self.path, self.mark.lines + 1, f"the gzip file is cut or damaged: {error}"))
        except OSError as error:
            self.skipped.append(Skipped(self.path, None, f"cannot be read: {reason(error)}"))
        self._unread.end()

    def _resume(self, file: IO[bytes]) -> bool:
        """Go to the mark; False when the bytes before it are not the ones that were read."""
        if self.mark.offset < _ENDING_BYTES:
            return False
        file.seek(self.mark.offset - _ENDING_BYTES)
        return _ending(file.read(_ENDING_BYTES)) == self.mark.ending

    def _records(self, file: IO[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Nearly all bytes stand in lines that cannot matter: those are only searched, never parsed.

        From the end, since `bytes.rfind` takes half as long as `in`.
        """
        lines, offset, ending = self.mark.lines, self.mark.offset, b""
        try:
            while line := file.readline(_LINE_BYTES_MAX):
                number, size = lines + 1, len(line)
                if line.endswith(b"}\n") and line.startswith(b"{"):
                    if number <= _HEAD_LINES or max(map(line.rfind, self._wanted)) >= 0:
                        yield from self._of_line(line, number)
                elif line.endswith(b"\n"):
                    yield from self._of_line(line.removeprefix(codecs.BOM_UTF8), number)
                elif size < _LINE_BYTES_MAX:  # its newline is still to come: read now, and again when it is there
                    yield from self._of_line(line, number)
                    break
                else:
                    self._unread.add(number, f"is longer than {_LINE_BYTES_MAX:,} bytes")
                    while not line.endswith(b"\n") and (line := file.readline(_LINE_BYTES_MAX)):
                        size += len(line)
                ending = line[-_ENDING_BYTES:] if len(line) >= _ENDING_BYTES else (ending + line)[-_ENDING_BYTES:]
                lines, offset = number, offset + size
        finally:
            known = len(ending) == _ENDING_BYTES and not self.path.name.endswith(_GZIP)
            self.mark = Mark(offset, lines, _ending(ending) if known else "", self.mark.begun, self.mark.state)

    def _of_line(self, line: bytes, number: int) -> Iterable[tuple[int, dict[str, Any]]]:
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            value = None
        return ((number, value),) if isinstance(value, dict) else self._of_odd_line(line, number)

    def _of_odd_line(self, line: bytes, number: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """The objects of a line that is not one object."""
        if not line.strip():
            return
        for found in records_of_line(self.path, number, line):
            if isinstance(found, Skipped):
                self._unread.add(number, found.reason)
            else:
                yield found


def _opened(path: Path) -> IO[bytes]:
    if not path.name.endswith(_GZIP):
        return open_regular(path, buffering=_BUFFER_BYTES)
    file = open_regular(path)
    unpacked = gzip.GzipFile(fileobj=file, mode="rb")
    unpacked.myfileobj = file  # type: ignore[assignment]  # which it closes with itself
    return cast(IO[bytes], unpacked)


def _ending(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]

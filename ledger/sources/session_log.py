"""The port for the logs of coding agents: a reader says which files are its agent's, and which calls are in one.

A reader is a `SessionLog` with `is_log`, `recognises` and `extract`. It makes a `TranscriptMessage` of each call with
`call`; what repeats in a file, in other files or in a later import is found by the message ids, so an id must be the
same wherever the agent repeats the call, and another one for any other call. A figure that only grows, such as the
total of a session, is a call whose id is the session's: its largest reading counts.
"""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import orjson

from ledger.errors import InvalidInput, reason
from ledger.events import money, timestamps
from ledger.events.fields import TOKENS_MAX, problem_of_count
from ledger.sources.agent_places import agent_folders
from ledger.sources.findings import Beginning, Skipped
from ledger.sources.formats.regular_files import open_regular
from ledger.sources.names import branch_name, moment, name
from ledger.sources.transcript import BEGINNING, Extract, Mark, TranscriptMessage
from ledger.sources.transcript_reader import TranscriptLines, files_below

if TYPE_CHECKING:
    import sqlite3

__all__ = ["LogReading", "SessionLog", "call", "count", "dollars", "items", "mapping", "unix_moment", "used"]

_IDENTIFIED_FILES_MAX: Final = 3
_DOCUMENT_BYTES_MAX: Final = 64 * 1024 * 1024
"""A document is in memory whole."""
_TEXT_LINE_BYTES_MAX: Final = 64 * 1024
"""Of a longer line only the end is read: none that names a cost is so long."""
_BUFFER_BYTES: Final = 1024 * 1024
_DATABASE_WAIT_SECONDS: Final = 2.0
_WHOLE: Final = Mark()


class SessionLog(ABC):
    """The logs of one coding agent; implements `Transcript`."""

    agent = "main"
    ignored: ClassVar[frozenset[str]] = frozenset()
    """Names of folders that are not searched, because they have many files and no log."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    @abstractmethod
    def is_log(self, path: str) -> bool:
        """Return whether a file below a folder is one of the agent's logs, by its path alone."""

    @abstractmethod
    def recognises(self, log: LogReading) -> bool:
        """Return whether the content of a file is the agent's, from its beginning."""

    @abstractmethod
    def extract(self, log: LogReading) -> None:
        """Add the calls of a file, and when its sessions began; never raises for what is in the file."""

    def title(self, log: LogReading, session_id: str) -> str:  # noqa: ARG002
        """Return what a session in this file is about; "" where the file does not show it."""
        return ""

    def identify(self, path: Path) -> bool:
        """See `Transcript.identify`."""
        return any(self.recognises(LogReading(file)) for file in self.files(path)[:_IDENTIFIED_FILES_MAX])

    def default_folders(self) -> list[Path]:
        """See `Transcript.default_folders`: the places of its entry in `AGENTS`."""
        return agent_folders(self.kind)

    def existing_folders(self) -> list[Path]:
        """See `Transcript.existing_folders`."""
        return agent_folders(self.kind, existing=True)

    def files(self, path: Path, skipped: list[Skipped] | None = None) -> list[Path]:
        """See `Transcript.files`; a path that is a file is read whatever its name is."""
        return files_below(path, skipped=skipped, wanted=self.is_log, ignored=self.ignored)

    def read(self, path: Path, mark: Mark) -> Extract:
        """See `Transcript.read`."""
        log = LogReading(path, mark)
        self.extract(log)
        return log.extracted()


class LogReading:
    """One reading of one file: what is in it, and what was found.

    Attributes:
        mark: how far the file was read before.
        state: what a later reading needs to continue; of the reading before, once it is known to be continued.
        resumed: only what was added since the mark is read.
        failed: the file could not be read to its end, and is to be read again.
        count: how many calls the whole file has, where that is not the number of those that were added.
    """

    def __init__(self, path: Path, mark: Mark = BEGINNING) -> None:
        self.path, self.mark = path, mark
        self.state: dict[str, Any] = {}
        self.resumed, self.failed = False, False
        self.count: int | None = None
        self._done = _WHOLE
        self._last_at = ""
        self._messages: dict[str, TranscriptMessage] = {}
        self._beginnings: dict[str, Beginning] = {}
        self._skipped: list[Skipped] = []

    def document(self) -> Any:
        """Return the JSON document that the file is; None when it is none, which is reported."""
        try:
            with open_regular(self.path) as file:
                if os.fstat(file.fileno()).st_size > _DOCUMENT_BYTES_MAX:
                    self.problem(1, f"is a document of more than {_DOCUMENT_BYTES_MAX:,} bytes")
                    return None
                return orjson.loads(file.read())
        except orjson.JSONDecodeError as error:
            self.problem(1, f"is no whole JSON document: {error}")
        except OSError as error:
            self._unreadable(error)
        return None

    def text(self) -> Iterator[tuple[int, str]]:
        """Yield the lines of a text that are whole, each with its number; always all of them."""
        try:
            with open_regular(self.path, buffering=_BUFFER_BYTES) as file:
                number = 0
                while line := file.readline(_TEXT_LINE_BYTES_MAX):
                    if line.endswith(b"\n"):
                        number += 1
                        yield number, line.decode("utf-8", "replace").rstrip()
        except OSError as error:
            self._unreadable(error)

    def lines(self, *wanted: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the records of JSON lines since the mark, each with its line; see `TranscriptLines`.

        The `state` is the one before when the records continue it, and empty when they are all of the file.
        """
        found = TranscriptLines(self.path, self.mark, *wanted)
        self.failed, started = True, False
        for number, record in found:
            if not started:
                self._resume(continued=found.resumed)
                started = True
            yield number, record
        if not started:
            self._resume(continued=found.resumed)
        self.failed, self._done = found.failed, found.mark
        self._skipped += found.skipped

    @contextlib.contextmanager
    def database(self) -> Iterator[sqlite3.Connection | None]:
        """Open the SQLite database that the file is, to read it; None when that is impossible, which is reported.

        An error of SQLite within the block ends the block, and is reported too.
        """
        import sqlite3

        from ledger.sources.formats.sqlite_read_only import open_read_only

        try:
            db = open_read_only(self.path, wait_seconds=_DATABASE_WAIT_SECONDS)
        except (sqlite3.Error, OSError) as error:
            self._unreadable(error)
            yield None
            return
        with contextlib.closing(db):
            try:
                yield db
            except sqlite3.Error as error:
                self._unreadable(error)

    def _unreadable(self, error: Exception) -> None:
        self.failed = True
        self.problem(None, f"cannot be read: {reason(error) if isinstance(error, OSError) else error}")

    def since(self, continued: Callable[[Mapping[str, Any]], bool]) -> None:
        """Continue a reading before, when its state allows that; otherwise all of the file is read."""
        self._resume(continued=self.mark.offset > 0 and continued(self.mark.state))
        self._done = Mark(offset=1)

    def _resume(self, *, continued: bool) -> None:
        self.resumed = continued
        self.state = dict(self.mark.state) if continued else {}
        self._beginnings = dict(self.mark.beginnings) if continued else {}

    def begin(self, session_id: str, at: str = "", project: str = "", branch: str = "") -> None:
        """Add when a session began, where and on which git branch, each as far as it is known; before its calls."""
        had = self._beginnings.get(session_id, Beginning())
        began = min(had.at or at, at or had.at)
        self._beginnings[session_id] = Beginning(began, had.project or project, had.branch or branch_name(branch))

    def add(self, line: int, make: Callable[..., TranscriptMessage | None], *given: Any) -> None:
        """Add the call that a function makes of what it is given; one that is invalid is reported with its line."""
        try:
            message = make(*given)
        except (InvalidInput, ValueError) as error:
            self.problem(line, f"a call that does not fit: {error}")
            return
        if message is None:
            return
        _, project, branch = self._beginnings.get(message.session_id, Beginning())
        message = message._replace(line=line, project=project, branch=branch)
        had = self._messages.get(message.message_id)
        if had is not None:
            message = (message if message.is_larger(had) else had).in_session_of(had)
        self._messages[message.message_id] = message
        self._last_at = max(self._last_at, message.first_at)

    def problem(self, line: int | None, why: str) -> None:
        """Report something that cannot be read."""
        self._skipped.append(Skipped(self.path, line, why))

    def extracted(self) -> Extract:
        """Return what was found."""
        done = self._done
        mark = Mark(done.offset, done.lines, done.ending, self._beginnings, self.state)
        return Extract(
            list(self._messages.values()),
            self._skipped,
            mark,
            self._last_at,
            resumed=self.resumed,
            failed=self.failed,
            count=self.count,
        )


def call(
    id: str,
    session_id: object,
    model: object,
    usage: Mapping[str, int],
    at: str,
    *,
    nanousd: int | None = None,
    subagent: object = None,
    root: object = None,
    partial: bool = False,
    several: bool = False,
    unknown: bool = False,
) -> TranscriptMessage | None:
    """Return a call of a model, for `LogReading.add`; None when it neither used nor cost anything.

    Args:
        id: its own in all logs; see the module.
        usage: in disjoint buckets; see `used`.
        at: in the ledger's spelling, see `moment` and `unix_moment`; "" when it is unknown.
        nanousd: what the log says that it cost; None: it is to be priced.
        subagent: the kind of sub-agent that made it.
        root: the session in whose workflow it counts, when that is another one: the session that started this one.
        partial: the log may not show all of it, or not all calls of its session.
        several: it is the sum of several calls, such as all of a session; where a threshold or fee for each call could
            matter, it has no price.
        unknown: something was used, also where neither usage nor cost is known: the reading is then "at least" nothing.

    Raises:
        ValueError: it names no session.
    """
    if not any(usage.values()) and not nanousd:
        if not unknown:
            return None
        usage, nanousd, partial = {}, None, True
    session, kind = name(session_id), name(subagent) or None
    if not session:
        raise ValueError("it names no session")
    message = TranscriptMessage(id, session, None, name(model) or None, usage, at, None, "", "", 0)
    return message._replace(subagent=kind, partial=partial, nanousd=nanousd, root=name(root), several=several)


def used(fresh: object, output: object, *, reads: object = 0, writes: object = 0) -> dict[str, int]:
    """Return our buckets of disjoint counts; each may be missing.

    Raises:
        ValueError: one is no whole number.
    """
    counts = {
        "input_tokens": count(fresh),
        "cache_write_tokens": count(writes),
        "cache_read_tokens": count(reads),
        "output_tokens": count(output),
    }
    return {name: many for name, many in counts.items() if many or name in ("input_tokens", "output_tokens")}


def count(value: object) -> int:
    """Return a count of tokens; 0 for None.

    Raises:
        ValueError: it is no whole number, negative or too large.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None:
        return 0
    if type(value) is not int or not 0 <= value <= TOKENS_MAX:
        raise ValueError(problem_of_count(value))
    return value


def dollars(value: object) -> int | None:
    """Return the nanodollars that a log names; None for 0, which is no price: a subscription, or a model without one.

    Raises:
        InvalidMoney: it is no amount.
    """
    return (None if value is None else money.parse(value, most_nanousd=money.READING_NANOUSD_MAX)) or None


def mapping(value: object) -> Mapping[str, Any]:
    """Return an object of parsed JSON; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Mapping[str, Any]]:
    """Return the objects of a list of parsed JSON; none for anything else."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def unix_moment(value: object, *, milliseconds: bool = False) -> str:
    """Return a number of seconds since 1970 in the ledger's spelling; "" for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    try:
        at: datetime = timestamps.from_unix(value / 1000 if milliseconds else value)
        return moment(timestamps.to_wire(at))
    except (ValueError, OverflowError, OSError):
        return ""

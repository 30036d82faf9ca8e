"""Aider's chat histories, `.aider.chat.history.md` in a repository, and its analytics log (`--analytics-log`).

Source of the format: Aider-AI/aider, `aider/io.py`, `aider/coders/base_coder.py` and `aider/analytics.py`; observed in
histories of version 0.86:

- a history is a text that only grows. A run begins with `# aider chat started at …`, in local time and without a zone;
  `> Model: …` (with several models `> Main model: …`) names the model from there on;
- `> Tokens: … sent, … received. Cost: $… message, $… session.` follows each message. With a cache there are
  `… cache write, … cache hit` between, and the cost may be on the next line. `session` is the sum of the run;
- all figures are rounded: tokens to two or three digits, costs below a cent to two digits, others to whole cents. So
  the sum of the messages may differ from the true cost by these roundings;
- `sent` includes cache writes, and for some providers cache hits;
- without a cost, the model has no price there. The tokens are rounded and in part cached: such a call is not priced;
- a message that the user interrupted may lack the line, so a run is a lower bound;
- nothing in a history has an id: a call is known by the text of its run before it, which copies share;
- an analytics log has exact figures of the same messages as `message_send`, of all repositories. Nothing in it names
  the run of a history, so one of the two is to be imported. Models that are not public are `REDACTED`.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from ledger.events import timestamps
from ledger.events.ids import digest
from ledger.providers.usage import disjoint
from ledger.sources.names import moment, name
from ledger.sources.session_log import LogReading, SessionLog, call, count, dollars, mapping, unix_moment, used
from ledger.sources.transcript import TranscriptMessage

__all__ = ["AiderRuns"]

_HISTORY: Final = ".aider.chat.history.md"
_SENT: Final = "message_send"
_RUN: Final = re.compile(r"# aider chat started at (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")
_MODEL: Final = re.compile(r"> (?:Main model|Model): (\S+)")
_COST: Final = r"Cost: \$(?P<cost>\d+(?:\.\d+)?) message, \$\d+(?:\.\d+)? session\."
_TOKENS: Final = re.compile(
    r"> Tokens: (?P<sent>\S+) sent(?:, (?P<write>\S+) cache write)?(?:, (?P<hit>\S+) cache hit)?,"
    r" (?P<received>\S+) received\."
    rf"(?: {_COST})?"
)
_LATER_COST: Final = re.compile(f"> {_COST}")
_ROUNDED: Final = re.compile(r"(\d{1,9}(?:\.\d)?)([kM]?)")
_THOUSANDS: Final = {"": 1, "k": 1000, "M": 1000_000}
_HEAD_LINES: Final = 50
_USER: Final = "#### "


class AiderRuns(SessionLog):
    """The logs `aider`."""

    ignored = frozenset({"node_modules", ".git", ".venv", ".aider.tags.cache.v4"})

    def is_log(self, path: str) -> bool:
        """See `SessionLog.is_log`; an analytics log is read when it is named."""
        return path.endswith(_HISTORY)

    def recognises(self, log: LogReading) -> bool:
        """See `SessionLog.recognises`."""
        head = [line for _, line in islice(log.text(), _HEAD_LINES)]
        return _is_history(head) or any(line.startswith("{") and '"aider_version"' in line for line in head)

    def extract(self, log: LogReading) -> None:
        """See `SessionLog.extract`."""
        if self.is_log(str(log.path)) or _is_history(line for _, line in islice(log.text(), _HEAD_LINES)):
            _read_history(log)
            return
        for number, record in log.lines(b'"message_send"'):
            if record.get("event") == _SENT:
                log.add(number, _message, log, record)

    def title(self, log: LogReading, session_id: str) -> str:
        """See `SessionLog.title`: the first words of the user in a run."""
        had: Counter[str] = Counter()
        is_here = False
        for _, line in log.text():
            if run := _RUN.fullmatch(line):
                is_here = _session_of(log, run[1], had) == session_id
            elif is_here and line.startswith(_USER):
                return name(line.removeprefix(_USER))
        return ""


def _is_history(head: Iterable[str]) -> bool:
    return any(_RUN.fullmatch(line) for line in head)


@dataclass(slots=True)
class _AiderRun:
    """A run of a history while it is read.

    Attributes:
        text: digest of the run's text so far; copies of a history share it, and other runs do not.
        waiting: the last line with tokens, whose cost may be on the next one.
    """

    session_id: str = ""
    at: str = ""
    model: str = ""
    text: Any = field(default_factory=hashlib.sha256)
    waiting: tuple[int, re.Match[str]] | None = None


def _read_history(log: LogReading) -> None:
    project = str(log.path.absolute().parent) if log.path.name == _HISTORY else ""
    had: Counter[str] = Counter()
    run = _AiderRun()
    for number, line in log.text():
        _add_waiting(log, run, _LATER_COST.fullmatch(line))
        if header := _RUN.fullmatch(line):
            run = _AiderRun(_session_of(log, header[1], had), _local_moment(header[1]))
            log.begin(run.session_id, run.at, project)
        elif named := _MODEL.match(line):
            run.model = named[1]
        elif run.session_id and (found := _TOKENS.fullmatch(line)):
            run.waiting = number, found
        run.text.update(line.encode("utf-8", "surrogatepass"))
    _add_waiting(log, run, None)


def _add_waiting(log: LogReading, run: _AiderRun, later: re.Match[str] | None) -> None:
    """Add the call of a line with tokens, once it is known whether its cost is on the line after it."""
    if run.waiting is not None:
        number, found = run.waiting
        log.add(number, _call, run, found, found["cost"] or (later["cost"] if later else None))
        run.waiting = None


def _session_of(log: LogReading, start: str, had: Counter[str]) -> str:
    """The id of a run: its folder, its start, and its number among those that started in the same second."""
    had[start] += 1
    id = f"aider-{start.replace(' ', '-').replace(':', '')}-{name(log.path.absolute().parent.name)}"
    return id if had[start] < 2 else f"{id}-{had[start]}"


def _local_moment(start: str) -> str:
    """The moment of a local time, which is taken for one of this machine."""
    try:
        return moment(timestamps.to_wire(datetime.strptime(start, "%Y-%m-%d %H:%M:%S").astimezone()))
    except (ValueError, OverflowError):
        return ""


def _call(run: _AiderRun, found: re.Match[str], cost: str | None) -> TranscriptMessage | None:
    """The call of one message, as a history has it."""
    sent, write, hit, received = (_rounded(found[name]) for name in ("sent", "write", "hit", "received"))
    nanousd = dollars(cost)
    return call(
        digest("aider", "message", run.at, run.text.hexdigest()),
        run.session_id,
        run.model if nanousd else None,
        disjoint(sent, write, hit, received),
        run.at,
        nanousd=nanousd,
        partial=True,
    )


def _rounded(text: str | None) -> int:
    if text is None:
        return 0
    found = _ROUNDED.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no number of tokens")
    return count(int(Decimal(found[1]) * _THOUSANDS[found[2]]))


def _message(log: LogReading, record: Mapping[str, Any]) -> TranscriptMessage | None:
    """The call of one message, as an analytics log has it: of its user, on its day."""
    sent = mapping(record.get("properties"))
    at, user = unix_moment(record.get("time")), name(record.get("user_id"))
    figures = tuple(sent.get(figure) for figure in ("prompt_tokens", "completion_tokens", "cost", "total_cost"))
    session_id = f"aider-{at[:10]}-{digest(user)[:8]}"
    log.begin(session_id, at)
    nanousd, model = dollars(sent.get("cost")), name(sent.get("main_model"))
    return call(
        digest("aider", "analytics", user, record.get("time"), *figures),
        session_id,
        model if nanousd and "REDACTED" not in model else None,
        used(sent.get("prompt_tokens"), sent.get("completion_tokens")),
        at,
        nanousd=nanousd,
        partial=True,
    )

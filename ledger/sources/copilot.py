"""GitHub Copilot CLI's sessions: `session-state/<session>/events.jsonl` and `session-store.db` in `~/.copilot`.

The format is not published; observed in sessions of versions 1.0.77 and 1.0.78, and described for earlier ones:

- a message of the assistant names its output only. A process that ends writes `session.shutdown`, with what each model
  used and cost; one that is killed writes none, and its messages are a lower bound;
- `totalNanoAiu` is money: 10⁻¹¹ dollars each (a credit, or AIU, is one cent). It equals the list price of the tokens.
  `requests.cost` counts premium requests, which are no dollars. Up to about version 1.0.18 there is none, and a model
  that the plan includes may have 0: such tokens are priced;
- `tokenDetails` is disjoint and includes compactions. Without it there is `usage`, whose `inputTokens` include cache
  reads and writes, and which leaves compactions out;
- a resumed session continues its file. Up to version 1.0.18 each shutdown is that of its process, so they add up; from
  1.0.78 it includes those before. The messages show which: their output since the last shutdown or resume, or since the
  beginning, is that of the shutdown. Where they show neither, the larger figures count, never the sum;
- a compaction may set the counters back, and what a rewind removed is missing from them. Then the messages have more
  output than the shutdowns, and the session cost at least what these name;
- `session.usage_checkpoint` has the money of the session so far, also where no shutdown follows;
- lines have ids, and a file that was copied while it grew repeats them;
- `assistant_usage_events`, a table of newer versions, has a row for each request, also of killed processes, compactions
  and what was rewound. The shutdowns repeat the rows;
- sub-agents are within the counters of their session.

So a call here is the sum of a session's requests to one model: the larger of what the rows and the events show counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from ledger.events.ids import digest
from ledger.sources.names import moment, name
from ledger.sources.session_log import LogReading, SessionLog, call, count, dollars, mapping, used
from ledger.sources.transcript import BEGINNING, DATABASE_SUFFIXES, TranscriptMessage

if TYPE_CHECKING:
    import sqlite3

__all__ = ["CopilotSessions"]

_STATE: Final = "session-state"
_EVENTS: Final = "events.jsonl"
_STORE: Final = "session-store.db"
_START: Final = "session.start"
_WANTED: Final = tuple(
    f'"{type}"'.encode()
    for type in (
        _START,
        "session.resume",
        "session.shutdown",
        "session.usage_checkpoint",
        "session.compaction_complete",
        "assistant.message",
    )
)
_DOLLARS_PER_NANO_AIU: Final = -11
"""The exponent: 10⁹ nano-AIU are one credit, which is one cent."""
_ROWS: Final = "assistant_usage_events"
_SUMMED: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "total_nano_aiu")


class CopilotSessions(SessionLog):
    """The logs `copilot`."""

    ignored = frozenset({"checkpoints", "files", "logs", "node_modules", "otel", "pkg", "research"})

    def is_log(self, path: str) -> bool:
        """See `SessionLog.is_log`."""
        *folders, file = path.split("/")
        return file == _STORE or (file == _EVENTS and _STATE in folders)

    def recognises(self, log: LogReading) -> bool:
        """See `SessionLog.recognises`: the first event names the version, the store has a table of requests."""
        if log.path.name.endswith(DATABASE_SUFFIXES):
            with log.database() as db:
                return db is not None and _has_rows(db)
            return False
        first = next((record for _, record in log.lines(*_WANTED)), {})
        return first.get("type") == _START and "copilotVersion" in mapping(first.get("data"))

    def extract(self, log: LogReading) -> None:
        """See `SessionLog.extract`."""
        if log.path.name.endswith(DATABASE_SUFFIXES):
            with log.database() as db:
                if db is not None and _has_rows(db):
                    _read_rows(log, db)
            return
        _read_events(log)

    def title(self, log: LogReading, session_id: str) -> str:
        """See `SessionLog.title`: the summary in the store, or the first words of the user."""
        if not log.path.name.endswith(DATABASE_SUFFIXES):
            words = (mapping(record.get("data")).get("content") for _, record in log.lines(b'"user.message"'))
            return next((text for text in words if isinstance(text, str) and text.strip()), "")
        with log.database() as db:
            if db is not None:
                rows = db.execute("SELECT summary FROM sessions WHERE id = ?", (session_id,)).fetchall()
                return next((name(summary) for (summary,) in rows), "")
        return ""


@dataclass(slots=True)
class _ModelTotal:
    """What the shutdowns of a session name for one model.

    Attributes:
        inputs: fresh, read from the cache, and written to it.
        output: of messages.
        hidden: output of compactions, which no message shows.
        nano_aiu: money.
        is_short: compactions are not included.
    """

    inputs: tuple[int, int, int] = (0, 0, 0)
    output: int = 0
    hidden: int = 0
    nano_aiu: int = 0
    requests: int = 0
    is_short: bool = False

    def joined(self, other: _ModelTotal, *, adds: bool) -> _ModelTotal:
        """Return both together: their sums, or the larger of each figure."""
        join = int.__add__ if adds else max
        fresh, reads, writes = map(join, self.inputs, other.inputs)
        return _ModelTotal(
            (fresh, reads, writes),
            join(self.output, other.output),
            join(self.hidden, other.hidden),
            join(self.nano_aiu, other.nano_aiu),
            join(self.requests, other.requests),
            self.is_short or other.is_short,
        )


@dataclass(slots=True)
class _EventSums:
    """What the events of one session show, up to a line.

    Attributes:
        output: of the messages, by model.
        since_shutdown, since_resume: output of the messages since then.
        unpaid: models with messages since the last figure of money.
        checked: money that checkpoints name after the last shutdown, by model.
        money: of the session, as the last checkpoint or shutdown names it.
        last: by model, the line and the moment at which it grew last.
    """

    session_id: str
    totals: dict[str, _ModelTotal] = field(default_factory=dict)
    output: dict[str, int] = field(default_factory=dict)
    since_shutdown: int = 0
    since_resume: int = 0
    unpaid: set[str] = field(default_factory=set)
    checked: dict[str, int] = field(default_factory=dict)
    money: int = 0
    compacted: bool = False
    last: dict[str, tuple[int, str]] = field(default_factory=dict)

    def take(self, log: LogReading, line: int, event: Mapping[str, Any]) -> None:
        """Add an event.

        Raises:
            ValueError: a figure does not fit.
        """
        data, at = mapping(event.get("data")), moment(event.get("timestamp"))
        match event.get("type"):
            case "session.start":
                self.session_id = name(data.get("sessionId")) or self.session_id
                place = mapping(data.get("context"))
                began = moment(data.get("startTime")) or at
                log.begin(self.session_id, began, name(place.get("cwd")), name(place.get("branch")))
            case "session.resume":
                self.since_resume = 0
            case "assistant.message":
                self._take_message(str(data.get("model") or ""), count(data.get("outputTokens")), (line, at))
            case "session.usage_checkpoint":
                self._take_checkpoint(_nano_aiu(data.get("totalNanoAiu")))
            case "session.compaction_complete":
                self.compacted = True
            case "session.shutdown":
                blocks = {
                    model: _block(mapping(each), compacted=self.compacted)
                    for model, each in mapping(data.get("modelMetrics")).items()
                }
                self._take_shutdown(blocks, data.get("totalNanoAiu"), (line, at))

    def _take_message(self, model: str, output: int, where: tuple[int, str]) -> None:
        self.output[model] = self.output.get(model, 0) + output
        self.since_shutdown += output
        self.since_resume += output
        self.unpaid.add(model)
        self.last[model] = where

    def _take_checkpoint(self, money: int) -> None:
        """Add what the session cost since the figure before, if all of it is one model's."""
        models = self.unpaid or self.output.keys() | self.totals.keys()
        if money > self.money and len(models) == 1:
            (model,) = models
            self.checked[model] = self.checked.get(model, 0) + money - self.money
        self.money = money
        self.unpaid.clear()

    def _take_shutdown(self, blocks: Mapping[str, _ModelTotal], money: object, where: tuple[int, str]) -> None:
        said, before = (sum(each.output for each in some.values()) for some in (blocks, self.totals))
        all = sum(self.output.values())
        adds = said != all and (
            said in (self.since_shutdown, self.since_resume) or (money is None and before + said <= all)
        )
        for model, block in blocks.items():
            block.nano_aiu = max(block.nano_aiu, self.checked.get(model, 0) if adds else 0)
            had = self.totals.get(model, _ModelTotal())
            if not adds:
                had.nano_aiu += self.checked.get(model, 0)
            self.totals[model] = had.joined(block, adds=adds)
            self.checked.pop(model, None)
            self.last[model] = where
        self.money = _nano_aiu(money)
        self.since_shutdown = self.since_resume = 0
        self.unpaid.clear()

    def call_of(self, model: str, at: str) -> TranscriptMessage | None:
        """Return the sum of a model's requests; what only messages show is output without money."""
        total = self.totals.get(model, _ModelTotal())
        fresh, reads, writes = total.inputs
        missing = max(0, self.output.get(model, 0) - total.output)
        return _sum_of(
            self.session_id,
            model,
            used(fresh, total.output + missing + total.hidden, reads=reads, writes=writes),
            total.nano_aiu + self.checked.get(model, 0),
            at,
            requests=total.requests + bool(missing),
            partial=bool(missing) or total.is_short,
        )


def _read_events(log: LogReading) -> None:
    """Read all events: repeated lines are only found with those before them."""
    log.mark = BEGINNING
    sums, known = _EventSums(name(log.path.parent.name)), set[object]()
    for number, event in log.lines(*_WANTED):
        id = event.get("id")
        if not isinstance(id, str) or id not in known:
            known.add(id if isinstance(id, str) else number)
            log.add(number, sums.take, log, number, event)
    for model, (line, at) in sums.last.items():
        log.add(line, sums.call_of, model, at)


def _sum_of(
    session_id: object,
    model: str,
    usage: Mapping[str, int],
    nano_aiu: int,
    at: str,
    *,
    requests: int,
    partial: bool,
) -> TranscriptMessage | None:
    return call(
        digest("copilot", "model", session_id, model),
        session_id,
        model,
        usage,
        at,
        nanousd=dollars(Decimal(nano_aiu).scaleb(_DOLLARS_PER_NANO_AIU)),
        partial=partial,
        several=requests != 1,
    )


def _block(metrics: Mapping[str, Any], *, compacted: bool) -> _ModelTotal:
    """What a shutdown names for one model."""
    usage, details = mapping(metrics.get("usage")), mapping(metrics.get("tokenDetails"))
    output = all = count(usage.get("outputTokens"))
    reads, writes = count(usage.get("cacheReadTokens")), count(usage.get("cacheWriteTokens"))
    fresh = _fresh(count(usage.get("inputTokens")), reads, writes)
    if details:
        fresh, all, reads, writes = (
            count(mapping(details.get(kind)).get("tokenCount"))
            for kind in ("input", "output", "cache_read", "cache_write")
        )
    money, requests = _nano_aiu(metrics.get("totalNanoAiu")), count(mapping(metrics.get("requests")).get("count"))
    is_short = compacted and not details
    return _ModelTotal((fresh, reads, writes), output, max(0, all - output), money, requests, is_short)


def _fresh(whole: int, reads: int, writes: int) -> int:
    return whole - reads - writes if whole >= reads + writes else whole


def _nano_aiu(value: object) -> int:
    """Money as the log names it; 0 for None.

    Raises:
        ValueError: it is no whole number, or negative.
    """
    if value is None:
        return 0
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no number of nano-AIU")
    return value


def _has_rows(db: sqlite3.Connection) -> bool:
    query = (
        f"SELECT name FROM pragma_table_info('{_ROWS}') INTERSECT VALUES ('session_id'), ('model'), ('output_tokens')"
    )
    return len(db.execute(query).fetchall()) == len(("session_id", "model", "output_tokens"))


def _read_rows(log: LogReading, db: sqlite3.Connection) -> None:
    """Add up the rows of the sessions that have new ones."""
    log.since(lambda state: type(state.get("row")) is int)
    last = db.execute(f"SELECT coalesce(max(rowid), 0) FROM {_ROWS}").fetchone()[0]
    read = log.state.get("row", 0) if log.resumed else 0
    columns = {name for (name,) in db.execute("SELECT name FROM pragma_table_info(?)", (_ROWS,))}
    sums = ", ".join(f"sum({column})" if column in columns else "0" for column in _SUMMED)
    at = "max(created_at)" if "created_at" in columns else "NULL"
    for row in db.execute(
        f"SELECT session_id, model, count(*), {at}, {sums} FROM {_ROWS} WHERE session_id IN"
        f" (SELECT session_id FROM {_ROWS} WHERE rowid > ?) GROUP BY session_id, model",
        (read if read <= last else 0,),
    ).fetchall():
        session_id = name(row[0])
        if session_id:
            log.begin(session_id, *_session_of(db, session_id))
            log.add(1, _row_sum, session_id, *row[1:])
    log.state = {"row": last}
    log.count = db.execute(f"SELECT count(*) FROM (SELECT 1 FROM {_ROWS} GROUP BY session_id, model)").fetchone()[0]


def _session_of(db: sqlite3.Connection, session_id: str) -> tuple[str, str, str]:
    """When a session began, where, and on which branch, as far as the store has it."""
    columns = [name for (name,) in db.execute("SELECT name FROM pragma_table_info('sessions')")]
    found = db.execute("SELECT * FROM sessions WHERE id = ?", (session_id,)).fetchone() if "id" in columns else None
    session = dict(zip(columns, found or (), strict=False))
    return moment(session.get("created_at")), name(session.get("cwd")), name(session.get("branch"))


def _row_sum(
    session_id: str, model: object, requests: int, at: object, whole: object, output: object, *rest: object
) -> TranscriptMessage | None:
    reads, writes, nano_aiu = rest
    cached, written = count(reads), count(writes)
    usage = used(_fresh(count(whole), cached, written), output, reads=cached, writes=written)
    return _sum_of(
        session_id, str(model or ""), usage, _nano_aiu(nano_aiu), moment(at), requests=requests, partial=False
    )

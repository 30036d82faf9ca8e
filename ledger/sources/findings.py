"""What a source found, before it is compared with a ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ledger.errors import readable
from ledger.events import timestamps

__all__ = [
    "Beginning",
    "Call",
    "Counter",
    "Evidence",
    "Findings",
    "Location",
    "Message",
    "Options",
    "Part",
    "Session",
    "Skipped",
    "Total",
    "date",
    "file_time",
    "spelled",
]


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller of an import specifies and the files do not contain.

    Attributes:
        map: what the columns of a foreign table mean, each as `field=column`, or `field==value` for all rows.
        workflow_by: what a workflow is, for transcripts without a `workflow_id`: "session", "project" or "branch".
    """

    workflow_id: str | None = None
    agent: str | None = None
    map: tuple[str, ...] = ()
    workflow_by: str = "session"


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was not read, and why.

    Attributes:
        note: it was read, and counts in another way than the source shows.
    """

    path: Path
    line: int | None
    reason: str
    note: bool = False


@dataclass(frozen=True, slots=True)
class Location:
    """A line of a file; lines count from 1."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Total:
    """What a process cost in all, and by model.

    Attributes:
        nanousd: in nanodollars; None: to be priced from `usage`.
        models: `(model, nanodollars or None, usage in our buckets)`.
        partial: the true cost is at least this.
        carried_nanousd: what the session had cost before the process began, by the process's own account.
        spent_at, spent_at_from: when by the best evidence it was spent, in the ledger's spelling, and which evidence:
            "file" for the file's modification time, "adw_state", "application" or "transcript"; see `date`.
    """

    nanousd: int | None
    models: tuple[tuple[str, int | None, Mapping[str, int]], ...]
    location: Location
    partial: bool = False
    carried_nanousd: int = 0
    spent_at: str | None = None
    spent_at_from: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One provider response; its usage is what the source shows of it, `spent_at` as for `Total`.

    Attributes:
        names, subagent: see `Call`.
    """

    message_id: str
    model: str | None
    usage: Mapping[str, int]
    location: Location
    names: tuple[str, ...] = ()
    subagent: str | None = None
    spent_at: str | None = None
    spent_at_from: str | None = None


@dataclass(slots=True)  # a frozen one takes three times as long to make, and a first import makes 100,000
class Call:
    """One finished provider call, for sources whose calls no total covers.

    Found again, in another file or under another session, it is the same call: it counts where the ledger first had it.

    Attributes:
        kind: of the source, as a reading's `source.kind` names it.
        cost_usd: as the source spells it; None: priced from model and usage.
        observed_at: an ISO 8601 time with a zone; None when the source has none.
        service_tier: how the provider was asked to serve it, such as "batch"; None: the standard tier.
        partial: the usage is known to be incomplete, or the source does not show every call of its session.
        names: what else the response is called, such as the provider's request id.
        subagent, skill, plugin: whom the cost is attributed to; no part of the meter.
        process, cut: of a log's message, see `Session`.
        several: it is the sum of several calls, such as those of a session; how much each of them read is unknown.
        client: `session_id` is a coding agent's own, unique everywhere: all readings of it are in one subtree.
        checked: names, tier, usage and moment are valid in a ledger, the moment in its spelling.
        waits: it counts once its session is known to have had a prompt; see `importing.prompt_planner`.
        prompt: it is no call, and shows that its session had a prompt.
    """

    kind: str
    message_id: str
    model: str | None
    usage: Mapping[str, int] | None
    location: Location
    agent: str | None = None
    session_id: str | None = None
    cost_usd: object = None
    observed_at: str | None = None
    service_tier: str | None = None
    partial: bool = False
    checked: bool = False
    names: tuple[str, ...] = ()
    subagent: str | None = None
    skill: str | None = None
    plugin: str | None = None
    client: bool = False
    process: str = ""
    cut: bool = False
    several: bool = False
    spent_at: str | None = None
    spent_at_from: str | None = None
    waits: bool = False
    prompt: bool = False


@dataclass(frozen=True, slots=True)
class Counter:
    """The figure of a counter that counts for the meter of exactly this path, as telemetry exports it.

    A meter has one counter per series of each process, or one per increment when increments are exported; it shows
    the sum of its counters, each at its highest.

    Attributes:
        series: which counter, from its native attributes and times.
        cost_usd: as the source spells it; None: it counts tokens only, and stays without a price, since the price of
            a call depends on how large that call was.
        waits: see `Call`.
    """

    kind: str
    series: str
    model: str | None
    usage: Mapping[str, int] | None
    location: Location
    agent: str | None = None
    session_id: str | None = None
    cost_usd: object = None
    observed_at: str | None = None
    partial: bool = False
    client: bool = False
    process: str | None = None
    final: bool = False
    carried_usd: object = None
    spent_at: str | None = None
    spent_at_from: str | None = None
    waits: bool = False


T = TypeVar("T", Total, Message)


class Evidence(NamedTuple):
    """When something was spent whose source has no time, and by which evidence; see `Total`."""

    spent_at: str | None
    spent_at_from: str | None


@dataclass(slots=True)
class Session:
    """What one process did in one session, as one log shows it.

    Attributes:
        process: what distinguishes two processes of the same session; "" when the file does not name it.
        own: what the process itself cost up to its last total, without what the session had cost before; None
            without a total.
        messages: by id, each at its largest.
        after_total: ids of the messages that came after the last total.
        cut: ids of the messages that may have been cut off: nothing follows them.
        location: where the process begins; None when the log does not show that.
    """

    kind: str
    session_id: str
    process: str
    agent: str | None
    own: Total | None = None
    messages: dict[str, Message] = field(default_factory=dict)
    after_total: list[str] = field(default_factory=list)
    cut: set[str] = field(default_factory=set)
    location: Location | None = None

    @property
    def where(self) -> Location:
        """A line that shows the session: its total, else its last message, else where it begins."""
        if self.own is not None:
            return self.own.location
        last = [message.location for message in self.messages.values()][-1:]
        return next(iter([*last, *([self.location] if self.location else [])]), Location("unknown", 1))


class Beginning(NamedTuple):
    """When a session or a workflow began, in which folder and on which git branch; "" for what the source lacks.

    Unlike `Findings.started` it is a bound that may be found piece by piece, in any order.
    """

    at: str = ""
    project: str = ""
    branch: str = ""


@dataclass(slots=True)
class Findings:
    """Everything a source found about one workflow.

    Attributes:
        calls: in the order they were read; of one call's repetitions the largest counts.
        counters: in the order they were read.
        started: wire fields of a start, `id` among them; None when the source has none.
        beginning: becomes a start when the ledger has none so early, or none with a project.
        facts: wire fields of a start, `id` among them, that describe the workflow without starting a run of it.
        status: "completed", "failed" or "cancelled" with the wire fields of that end; "running" without.
    """

    sessions: list[Session] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    counters: list[Counter] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    started: dict[str, Any] | None = None
    beginning: Beginning | None = None
    facts: dict[str, Any] | None = None
    status: tuple[str, dict[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What a source can read about one workflow.

    Attributes:
        size_bytes: how much there is to read, for a progress bar.
        written_at: when the newest of its files was written, in seconds since 1970; 0.0 without one.
        read: reads it; what cannot be read is in `Findings.skipped`.
        fingerprint: changes whenever there is something else to read; None: size and time decide.
    """

    workflow_id: str
    size_bytes: int
    read: Callable[[], Findings]
    written_at: float = 0.0
    fingerprint: str | None = None


def date(session: Session, evidence: Callable[[str | None], Evidence]) -> None:
    """Date the totals and messages of a session, whose source has no times, by evidence.

    Args:
        evidence: returns the moment, from the one found before.
    """

    def dated(one: T) -> T:
        """Return a total or a message with its date."""
        found = evidence(one.spent_at)
        return replace(one, spent_at=found.spent_at, spent_at_from=found.spent_at_from) if found.spent_at else one

    session.own = None if session.own is None else dated(session.own)
    session.messages = {id: dated(message) for id, message in session.messages.items()}


def file_time(path: Path) -> Evidence:
    """Return a file's modification time."""
    try:
        return Evidence(timestamps.to_wire(timestamps.from_unix(path.stat().st_mtime)), "file")
    except (OSError, ValueError, OverflowError):
        return Evidence(None, None)


def spelled(path: Path) -> str:
    """Return a path, made absolute, as text for a ledger line."""
    return readable(path.absolute())

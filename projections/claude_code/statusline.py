"""`statusline` and `hook`: what Claude Code runs and waits for. They note, print, never fail, and exit 0.

The JSON on stdin is described at https://code.claude.com/docs/en/statusline and
https://code.claude.com/docs/en/hooks. Every field is taken as optional: versions differ.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import sys
import time

from ledger.claude_code.spool import Spool, file_name, is_file_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    Json = dict[str, Any]

__all__ = ["hook", "run", "statusline"]

_RED, _YELLOW, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[0m"
_SHORT_ID: Final = 8
_INPUT_BYTES_MAX: Final = 4 * 1024 * 1024
_DRAIN: Final = "projections.claude_code.drain_process"
_AMOUNT: Final = re.compile(r"\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?\Z")
"""What `ledger.events.money` takes for an amount; that one takes longer to import than an agent should wait."""
_USD_MAX: Final = 1e9
_VERSION_CHARACTERS_MAX: Final = 32
_NAME_CHARACTERS_MAX: Final = 512
"""Of a name in an event."""


class _NotRecorded(ValueError):
    """What was told would be left out of the ledger: the reason for the line, and for the log the value, too."""

    def __init__(self, reason: str, value: object) -> None:
        super().__init__(f"{reason}: {value!r:.200}")
        self.reason = reason


def run(arguments: list[str]) -> int | None:
    """Run `statusline` or `hook` from their arguments; None when these need the whole command line (`--help`)."""
    options = _options(arguments[1:])
    if options is None:
        return None
    if arguments[0] == "statusline":
        statusline(options.get("--data"), options.get("--after"))
    else:
        hook(options.get("--data"))
    return 0


def _options(arguments: list[str]) -> dict[str, str] | None:
    names = iter(arguments)
    options: dict[str, str] = {}
    for name in names:
        value = next(names, None)
        if name not in ("--data", "--after") or value is None:
            return None
        options[name] = value
    return options


def statusline(data: str | None, after: str | None = None) -> None:
    """Note the session's cost when it has changed, and print the line.

    Args:
        data: the data directory when the environment names none: the settings are general, an agent's environment
            says where this run belongs.
        after: a shell command whose line is printed first.
    """
    spool, given = Spool(_data(data)), _stdin()
    line = "costledger"
    try:
        line = _told(spool, _object(given))
    except _NotRecorded as error:
        line = _coloured(f"not recorded: {error.reason}", _RED)
        spool.log(_now(), f"statusline: not recorded: {error}")
    except Exception as error:  # an agent's screen is no place for it
        spool.log(_now(), f"statusline: {type(error).__name__}: {error}")
    theirs = "" if after is None else _printed_by(after, given)
    _print(spool, f"{theirs} · {line}\n" if theirs else f"{line}\n")
    _drain(spool)


def hook(data: str | None) -> None:
    """Note which transcripts have grown. Nothing is printed: some hooks' output is read by the model."""
    spool = Spool(_data(data))
    try:
        told = _object(_stdin())
        transcripts = [told.get("transcript_path"), told.get("agent_transcript_path")]
        said = _said(told)
        said["transcripts"] = [os.path.expanduser(path) for path in transcripts if isinstance(path, str) and path]
        if told.get("hook_event_name") == "SessionEnd" and told.get("reason") == "clear":
            said["cleared"] = True
        if said["transcripts"] or "cleared" in said:
            spool.add(said)
    except _NotRecorded as error:
        spool.log(_now(), f"hook: not recorded: {error}")
    except Exception as error:
        spool.log(_now(), f"hook: {type(error).__name__}: {error}")
    _drain(spool)


def _print(spool: Spool, line: str) -> None:
    """In UTF-8, which is what Claude Code reads, in whatever locale; it may have stopped reading, too."""
    try:
        os.write(1, line.encode("utf-8", "replace"))
    except OSError as error:
        spool.log(_now(), f"statusline: not printed: {error}")


def _data(given: str | None) -> str:
    """The data directory; `install` names it in the settings, so that none has to be looked for here."""
    named = os.environ.get("COSTLEDGER_DATA") or given
    if not named:
        from ledger.config.locate import data_directory, user_data_directory
        from ledger.errors import InvalidConfig

        try:
            named = str(data_directory())
        except InvalidConfig:
            named = str(user_data_directory())
    return os.path.abspath(named)


def _stdin() -> bytes:
    return b"" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.buffer.read(_INPUT_BYTES_MAX)


def _object(given: bytes) -> Json:
    """The object on stdin; numbers with a point stay text, since a cost is no binary float."""
    told = json.loads(given, parse_float=str)
    if not isinstance(told, dict):
        raise ValueError("expected a JSON object on stdin, as Claude Code gives it")
    return told


def _said(told: Json) -> Json:
    session_id = told.get("session_id")
    if not isinstance(session_id, str) or not session_id:
        raise ValueError(f"no session_id that could name a workflow: {session_id!r}")
    workflow_id, agent = os.environ.get("COSTLEDGER_WORKFLOW"), os.environ.get("COSTLEDGER_AGENT")
    if workflow_id and not is_file_name(workflow_id):
        raise _NotRecorded("COSTLEDGER_WORKFLOW is no workflow id", workflow_id)
    if agent and not _is_name(agent):
        raise _NotRecorded("COSTLEDGER_AGENT is no name", agent)
    workspace = _part(told, "workspace")
    said = {
        "at": _now(),
        "session_id": session_id,
        "workflow_id": workflow_id or _other_name(session_id),
        "agent": agent,
        "project_dir": workspace.get("project_dir") or told.get("cwd"),
    }
    return {name: value for name, value in said.items() if value}


def _other_name(session_id: str) -> str | None:
    """The workflow of a session whose id cannot name one."""
    name = file_name(session_id)
    return None if name == session_id else name


def _is_name(text: str) -> bool:
    """Whether the ledger takes it for a name, by the rule of `ledger.events.event`."""
    if not 0 < len(text) <= _NAME_CHARACTERS_MAX:
        return False
    return not any(c < " " or c == "\x7f" or "\ud800" <= c <= "\udfff" for c in text)


def _told(spool: Spool, told: Json) -> str:
    said, counter = _said(told), _counter(told)
    if not _is_name(said["session_id"]):
        raise _NotRecorded("session_id is no name", said["session_id"])
    note = spool.note(said["session_id"])
    if counter is not None and counter != note.get("counter_usd"):
        said["counter_usd"] = counter
        duration = _part(told, "cost").get("total_duration_ms")
        if isinstance(version := told.get("version"), str) and len(version) <= _VERSION_CHARACTERS_MAX:
            said["version"] = version
        if isinstance(duration, int) and duration >= 0:
            said["since_ms"] = max(0, int(time.time() * 1000) - duration)
            said["duration_ms"] = duration
        spool.add(said)
    return _line(said, note, _part(told, "context_window"))


def _counter(told: Json) -> str | None:
    """What the counter shows, as it is spelled; None when it is not told."""
    counter = _part(told, "cost").get("total_cost_usd")
    if counter is None:
        return None
    text = str(counter).strip() if isinstance(counter, (int, str)) else ""
    if len(text) > 64 or not _AMOUNT.match(text) or not float(text) < _USD_MAX:
        raise _NotRecorded("total_cost_usd is no amount", counter)
    return text


def _cost(said: Json, note: Json) -> float:
    """What the row shows now, or will once what is said is appended: see `projections.claude_code.drain`."""
    cost = _number(note.get("cost_usd"))
    if "counter_usd" not in said:
        return cost
    shown = float(said["counter_usd"])
    if note.get("carried"):
        process = _process({"processes": note["carried"]}, said.get("since_ms", -1))
        grown = max(0.0, shown - _number(process["shown_usd"])) if process else 0.0
        return max(cost, _number(note["by_counters_usd"]) + grown)
    if "counters" not in note:  # nothing is known yet, or by a version that did not tell; rather too little
        return max(cost, shown)
    grown = _grown(note["counters"], shown, said.get("since_ms", -1), said.get("duration_ms"))
    return max(_number(note["least_usd"]), _number(note["by_counters_usd"]) + grown)


def _grown(counters: list[Json], shown: float, since_ms: int, duration_ms: int | None) -> float:
    """By how much a session's counters grow, once one of them shows this: as `session_cost` sums them up."""
    process_of = [_process(counter, since_ms) for counter in counters]
    for counter, process in zip(counters, process_of, strict=True):
        until_ms, lower = process.get("late_until_ms"), shown < _number(counter["shown_usd"])
        if lower and duration_ms is not None and until_ms is not None and duration_ms <= until_ms:
            return 0.0
    rising = [at for at, counter in enumerate(counters) if _number(counter["shown_usd"]) <= shown]
    spoke = next((at for at in rising if process_of[at]), rising[0] if rising else None)
    return shown - (0.0 if spoke is None else _number(counters[spoke]["shown_usd"]))


def _process(counter: Json, since_ms: int) -> Json:
    """The process of a counter that has begun at this moment; empty when none has."""
    for process in counter.get("processes", ()):
        first, last = process["since_ms"]
        if first <= since_ms <= last:
            return dict(process)
    return {}


def _line(said: Json, note: Json, context: Json) -> str:
    """What a person sees: workflow, cost, what is left of the budget, how full the context is."""
    # A session stays in the workflow that has it, whatever is named now.
    workflow_id = str(note.get("workflow_id") or said.get("workflow_id") or said["session_id"])
    cost = _cost(said, note)
    shown = [workflow_id if len(workflow_id) <= 20 else f"{workflow_id[:_SHORT_ID]}…"]
    least = "at least " if note.get("cost_basis") == "partial" else ""
    known = note.get("cost_basis") or "counter_usd" in said or "counter_usd" in note
    nothing = "unpriced" if least else "" if known else "unknown"
    shown.append(nothing if nothing and not cost else f"{least}${cost:,.2f}")
    budget = _number(note.get("budget_usd"))
    if budget:
        left, warn_at = budget - cost, _number(note.get("budget_warn_at")) or 1
        text = f"${left:,.2f} left of ${budget:,.2f}" if left >= 0 else f"${-left:,.2f} over ${budget:,.2f}"
        shown.append(_coloured(text, _RED if left < 0 else _YELLOW if cost >= warn_at * budget else ""))
    if (used := context.get("used_percentage")) is not None:
        shown.append(f"context {_number(used):.0f}%")
    return " · ".join(shown)


def _coloured(text: str, colour: str) -> str:
    return f"{colour}{text}{_PLAIN}" if colour and not os.environ.get("NO_COLOR") else text


def _number(value: object) -> float:
    """For the eye only: what is appended is the text that was given."""
    try:
        return float(value) if isinstance(value, (int, str)) else 0.0
    except ValueError:
        return 0.0


def _part(told: Json, name: str) -> Json:
    found = told.get(name)
    return found if isinstance(found, dict) else {}


def _now() -> str:
    seconds, nanos = divmod(time.time_ns(), 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanos // 1000:06d}Z"


def _printed_by(command: str, given: bytes) -> str:
    import subprocess

    try:
        done = subprocess.run(command, shell=True, input=given, stdout=subprocess.PIPE, check=False)  # noqa: S602 - theirs
    except OSError:
        return ""
    return done.stdout.decode("utf-8", "replace").rstrip("\n")


def _drain(spool: Spool) -> None:
    """Start a drain in a process and session of its own, unless one runs or nothing waits.

    It is handed the lock: from this moment on nobody starts another one.
    """
    try:
        if not spool.waits() or (lock := spool.drain_lock()) is None:
            return
        try:
            if os.fork() == 0:
                _become_drain(spool.data, lock)
        finally:
            os.close(lock)
    except Exception as error:
        spool.log(_now(), f"could not start to append: {type(error).__name__}: {error}")


def _become_drain(data: str, lock: int) -> None:
    """The child: away from the agent's terminal and pipes first, which would otherwise wait for it."""
    try:
        lock = fcntl.fcntl(lock, fcntl.F_DUPFD, 3)  # stays open in the next program, and is none of the three below
        null = fcntl.fcntl(os.open(os.devnull, os.O_RDWR), fcntl.F_DUPFD_CLOEXEC, 3)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.setsid()
        os.nice(10)  # the agent comes first
        os.execv(sys.executable, [sys.executable, "-P", "-m", _DRAIN, data, str(lock)])
    finally:
        os._exit(1)

"""`statusline` and `hook`: commands that Claude Code runs and waits for. They spool, print, never fail, and exit 0.

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

from ledger.claude_code.spool import Spool, file_name, is_file_name, same_start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    Json = dict[str, Any]

__all__ = ["hook", "run", "statusline"]

_RED, _YELLOW, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[0m"
_SHORT_ID: Final = 8
_INPUT_BYTES_MAX: Final = 4 * 1024 * 1024
_DRAIN: Final = "projections.claude_code.drain"
_AMOUNT: Final = re.compile(r"\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?\Z")
"""An amount as in `ledger.events.money`, which takes longer to import than an agent should wait."""
_USD_MAX: Final = 1e6
"""Of one reading, as in `ledger.events.money`."""
_VERSION_CHARACTERS_MAX: Final = 32
_NAME_CHARACTERS_MAX: Final = 512
"""Of a name in an event."""


class _NotRecorded(ValueError):
    """An input that the ledger would refuse: the reason for the line, and for the log the value, too."""

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
    """Spool the session's cost when it has changed, and print the line.

    Args:
        data: the data directory when the environment names none: the settings are general, an agent's environment
            is specific.
        after: a shell command whose line is printed first.
    """
    spool, given = Spool(_data(data)), _stdin()
    line = "costledger"
    try:
        line = _recorded(spool, _object(given))
    except _NotRecorded as error:
        line = _coloured(f"not recorded: {error.reason}", _RED)
        spool.log(_now(), f"statusline: not recorded: {error}")
    except Exception as error:  # an agent's screen shows no traceback
        spool.log(_now(), f"statusline: {type(error).__name__}: {error}")
    theirs = "" if after is None else _printed_by(after, given)
    _print(spool, f"{theirs} · {line}\n" if theirs else f"{line}\n")
    _drain(spool)


def hook(data: str | None) -> str | None:
    """Spool which transcripts have grown; return the session's workflow, None where it is unknown.

    Nothing is printed: some hooks' output is read by the model.
    """
    spool, workflow_id = Spool(_data(data)), None
    try:
        given = _object(_stdin())
        transcripts = [given.get("transcript_path"), given.get("agent_transcript_path")]
        entry = _entry(given)
        workflow_id = entry.get("workflow_id") or entry["session_id"]
        entry["transcripts"] = [os.path.expanduser(path) for path in transcripts if isinstance(path, str) and path]
        if given.get("hook_event_name") == "SessionEnd" and given.get("reason") == "clear":
            entry["cleared"] = True
        if entry["transcripts"] or "cleared" in entry:
            spool.add(entry)
    except _NotRecorded as error:
        spool.log(_now(), f"hook: not recorded: {error}")
    except Exception as error:
        spool.log(_now(), f"hook: {type(error).__name__}: {error}")
    _drain(spool)
    return workflow_id


def _print(spool: Spool, line: str) -> None:
    """Print in UTF-8, which Claude Code reads, in whatever locale; it may have stopped reading, too."""
    try:
        os.write(1, line.encode("utf-8", "replace"))
    except OSError as error:
        spool.log(_now(), f"statusline: not printed: {error}")


def _data(given: str | None) -> str:
    """Return the data directory; `install` names it in the settings, so that a search is rarely needed here."""
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
    """Return the object on stdin; numbers with a point stay text, since a cost is no binary float."""
    found = json.loads(given, parse_float=str)
    if not isinstance(found, dict):
        raise ValueError("expected a JSON object on stdin, as Claude Code gives it")
    return found


def _entry(given: Json) -> Json:
    """Return the spool line of a session, without its cost."""
    session_id = given.get("session_id")
    if not isinstance(session_id, str) or not session_id:
        raise ValueError(f"no session_id that could name a workflow: {session_id!r}")
    workflow_id, agent = os.environ.get("COSTLEDGER_WORKFLOW"), os.environ.get("COSTLEDGER_AGENT")
    if workflow_id and not is_file_name(workflow_id):
        raise _NotRecorded("COSTLEDGER_WORKFLOW is no workflow id", workflow_id)
    if agent and not _is_name(agent):
        raise _NotRecorded("COSTLEDGER_AGENT is no name", agent)
    workspace = _part(given, "workspace")
    entry = {
        "at": _now(),
        "session_id": session_id,
        "workflow_id": workflow_id or _other_name(session_id),
        "agent": agent,
        "project_dir": workspace.get("project_dir") or given.get("cwd"),
    }
    return {name: value for name, value in entry.items() if value}


def _other_name(session_id: str) -> str | None:
    """Return the workflow of a session whose id cannot name one."""
    name = file_name(session_id)
    return None if name == session_id else name


def _is_name(text: str) -> bool:
    """Return whether the ledger accepts it as a name, by the rule of `ledger.events.event`."""
    if not 0 < len(text) <= _NAME_CHARACTERS_MAX:
        return False
    return not any(c < " " or c == "\x7f" or "\ud800" <= c <= "\udfff" for c in text)


def _recorded(spool: Spool, given: Json) -> str:
    """Spool the counter when it has changed; return the line to print."""
    entry, counter = _entry(given), _counter(given)
    if not _is_name(entry["session_id"]):
        raise _NotRecorded("session_id is no name", entry["session_id"])
    session = spool.session(entry["session_id"])
    if counter is not None:
        entry["counter_usd"] = counter
        duration = _part(given, "cost").get("total_duration_ms")
        if isinstance(version := given.get("version"), str) and len(version) <= _VERSION_CHARACTERS_MAX:
            entry["version"] = version
        if isinstance(duration, int) and duration >= 0:
            entry["since_ms"] = max(0, int(time.time() * 1000) - duration)
            entry["duration_ms"] = duration
        if counter != session.get("counter_usd") or _is_of_another_process(entry, session):
            spool.add(entry)
    return _line(entry, session, _part(given, "context_window"))


def _is_of_another_process(entry: Json, session: Json) -> bool:
    """Return whether a counter started at another moment than the stored one, such as that of a resumed session."""
    since, stored = entry.get("since_ms"), session.get("since_ms")
    return since != stored and not same_start(since, stored)


def _counter(given: Json) -> str | None:
    """Return the counter's figure as it is spelled; None without one."""
    counter = _part(given, "cost").get("total_cost_usd")
    if counter is None:
        return None
    text = str(counter).strip() if isinstance(counter, (int, str)) else ""
    if len(text) > 64 or not _AMOUNT.match(text) or not float(text) < _USD_MAX:
        raise _NotRecorded("total_cost_usd is no amount", counter)
    return text


def _cost(entry: Json, session: Json) -> float:
    """Return the cost to show: the stored row's, plus the growth of the counter since then.

    Calls that a hook has read before the counter showed them are in the row already (`ahead_usd`).
    """
    cost = _number(session.get("cost_usd"))
    if "counter_usd" not in entry:
        return cost
    shown = float(entry["counter_usd"])
    if "ahead_usd" not in session:  # a new session, or one that an earlier version cached; rather too little
        return max(cost, shown)
    if "counter_usd" in session and _is_of_another_process(entry, session):
        return cost
    grown = shown - _number(session.get("counter_usd"))
    return cost + max(0.0, grown - _number(session["ahead_usd"]))


def _line(entry: Json, session: Json, context: Json) -> str:
    """Return the line: workflow, cost, the rest of the budget, how full the context is."""
    # A session stays in the workflow that has it, whatever the environment names now.
    workflow_id = str(session.get("workflow_id") or entry.get("workflow_id") or entry["session_id"])
    cost = _cost(entry, session)
    shown = [workflow_id if len(workflow_id) <= 20 else f"{workflow_id[:_SHORT_ID]}…"]
    least = "at least " if session.get("cost_basis") == "partial" else ""
    has_reading = session.get("cost_basis") or "counter_usd" in entry or "counter_usd" in session
    nothing = "unpriced" if least else "" if has_reading else "unknown"
    shown.append(nothing if nothing and not cost else f"{least}${cost:,.2f}")
    budget = _number(session.get("budget_usd"))
    if budget:
        left, warn_at = budget - cost, _number(session.get("budget_warn_at")) or 1
        text = f"${left:,.2f} left of ${budget:,.2f}" if left >= 0 else f"${-left:,.2f} over ${budget:,.2f}"
        shown.append(_coloured(text, _RED if left < 0 else _YELLOW if cost >= warn_at * budget else ""))
    if (used := context.get("used_percentage")) is not None:
        shown.append(f"context {_number(used):.0f}%")
    return " · ".join(shown)


def _coloured(text: str, colour: str) -> str:
    return f"{colour}{text}{_PLAIN}" if colour and not os.environ.get("NO_COLOR") else text


def _number(value: object) -> float:
    """Return a number to show; the text itself is what is appended."""
    try:
        return float(value) if isinstance(value, (int, str)) else 0.0
    except ValueError:
        return 0.0


def _part(given: Json, name: str) -> Json:
    found = given.get(name)
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

    It inherits the lock: from this moment on no process starts another one.
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
    """Become the drain, in the child: first leave the agent's terminal and pipes, which would otherwise wait."""
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

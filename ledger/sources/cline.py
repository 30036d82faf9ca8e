"""Tasks of Cline, Roo Code and Kilo Code in VS Code: `globalStorage/<extension>/tasks/<task>/ui_messages.json`.

Sources of the format: cline/cline, `src/shared/getApiMetrics.ts`; RooCodeInc/Roo-Code,
`src/core/task-persistence/taskMessages.ts` and `packages/types/src/{history,message}.ts`:

- the file is an array of messages, written again as a whole. A request is a message with its own `say`,
  `api_req_started`, whose text is JSON; other messages may quote such text. It is written before the request, and its
  figures are added afterwards. Without figures it is running, or was cancelled; with figures it was paid, cancelled or
  not. Old versions wrote the figures into an `api_req_finished` after it;
- a checkpoint that is restored removes messages and adds `deleted_api_reqs` (Roo: `api_req_deleted`) with their sums.
  An import may have read them before. So the state is what was read, and only the rest of the sums is new;
- `subagent_usage` (newer versions of Cline) has the sums of sub-agents, and `condense_context` (Roo) the cost of a
  summary. `history_item.json` and `state/taskHistory.json` repeat the sums of a task;
- `tokensIn` does not include cached tokens, except in Roo with `apiProtocol` `openai`; the cost is the same;
- `usageMissing`: the provider reported no usage, so the figures are the extension's guess;
- a message names its model in `modelInfo`, in newer versions of Cline;
- a cost is computed by the extension, or the provider's; 0 is a subscription, or a model without a price;
- a subtask of Roo is a task of its own, whose `history_item.json` names the first task in `rootTaskId`.

A message has no id but its time, in milliseconds, by which the extensions themselves identify it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from operator import sub
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from ledger.errors import InvalidInput
from ledger.events.ids import digest
from ledger.sources.formats.regular_files import open_regular
from ledger.sources.names import name
from ledger.sources.session_log import LogReading, SessionLog, call, count, dollars, items, mapping, unix_moment, used
from ledger.sources.transcript import TranscriptMessage

__all__ = ["ClineTasks"]

_FILE: Final = "ui_messages.json"
_EXTENSIONS: Final = {
    "cline": "saoudrizwan.claude-dev",
    "roo": "rooveterinaryinc.roo-cline",
    "kilo-code": "kilocode.kilo-code",
}
_REQUEST: Final = "api_req_started"
_FINISHED: Final = "api_req_finished"
_SUMS: Final = ("deleted_api_reqs", "api_req_deleted")
_SUBAGENTS: Final = "subagent_usage"
_CONDENSED: Final = "condense_context"
_HISTORY_BYTES_MAX: Final = 16 * 1024 * 1024

_Figures = tuple[int, ...]
"""Input, output, cache writes and reads as the file spells them, and nanodollars."""
_NOTHING: Final[_Figures] = (0, 0, 0, 0, 0)


class _TaskMessage(NamedTuple):
    """A message that names figures, or will.

    Attributes:
        includes: the input includes cached tokens.
        is_open: it has no figures, though it is not the last request.
    """

    id: str
    say: str
    figures: _Figures
    at: str
    model: object
    includes: bool = False
    guessed: bool = False
    is_open: bool = False


class ClineTasks(SessionLog):
    """The logs `cline`, `roo` and `kilo-code`."""

    ignored = frozenset({"checkpoints", "cache", "node_modules", "puppeteer", "settings"})

    def is_log(self, path: str) -> bool:
        """See `SessionLog.is_log`: a task of this extension, or of one that its path does not name."""
        *folders, file = path.split("/")
        return file == _FILE and not any(
            extension in folders for kind, extension in _EXTENSIONS.items() if kind != self.kind
        )

    def recognises(self, log: LogReading) -> bool:
        """See `SessionLog.recognises`."""
        messages = items(log.document()) if self.is_log(str(log.path)) else []
        return any(type(each.get("ts")) is int and each.get("type") in ("say", "ask") for each in messages)

    def extract(self, log: LogReading) -> None:
        """See `SessionLog.extract`."""
        log.state = dict(log.mark.state)
        messages, task, item = items(log.document()), name(log.path.parent.name), _history_item(log.path)
        if not task or not messages:
            return
        began = next((at for each in messages if (at := unix_moment(each.get("ts"), milliseconds=True))), "")
        log.begin(task, began, name(item.get("workspace")) or name(item.get("cwdOnTaskInitialization")))
        entries = _entries(log, messages)
        rest = _new_sums(log, entries)
        root = name(item.get("rootTaskId")) or name(item.get("parentTaskId"))
        partial = any(each.is_open for each in entries)
        for entry in entries:
            counted = entry._replace(figures=rest.get(entry.id, entry.figures))
            log.add(1, _call, task, counted, root if root != task else "", item.get("mode"), partial)

    def title(self, log: LogReading, session_id: str) -> str:  # noqa: ARG002
        """See `SessionLog.title`: the task, as its user wrote it."""
        texts = (each.get("text") for each in items(log.document()) if each.get("say") in ("task", "text"))
        return next((text for text in texts if isinstance(text, str) and text.strip()), "")


def _entries(log: LogReading, messages: list[Mapping[str, Any]]) -> list[_TaskMessage]:
    """The messages with figures; a request takes those of the `api_req_finished` after it."""
    found: list[_TaskMessage] = []
    for message in messages:
        try:
            entry = _entry(message) if message.get("type") == "say" else None
        except (InvalidInput, ValueError) as error:
            log.problem(1, f"a call that does not fit: {error}")
            continue
        if entry is None:
            continue
        last = next((at for at in range(len(found) - 1, -1, -1) if found[at].say == _REQUEST), None)
        if entry.say == _FINISHED:
            if last is not None and found[last].figures == _NOTHING:
                found[last] = found[last]._replace(figures=entry.figures, is_open=False)
            continue
        if entry.say == _REQUEST and last is not None and found[last].figures == _NOTHING:
            found[last] = found[last]._replace(is_open=True)
        if entry.say in _SUMS and last is not None:
            entry = entry._replace(includes=found[last].includes)
        found.append(entry)
    return found


def _entry(message: Mapping[str, Any]) -> _TaskMessage | None:
    """One message with figures; None for one of another kind.

    Raises:
        ValueError: it does not fit.
    """
    say, ts, text = message.get("say"), message.get("ts"), message.get("text")
    if say == _CONDENSED:
        given = mapping(message.get("contextCondense"))
        figures: _Figures = (0, 0, 0, 0, dollars(given.get("cost")) or 0)
    elif say in (_REQUEST, _FINISHED, _SUBAGENTS, *_SUMS):
        try:
            given = mapping(orjson.loads(text if isinstance(text, str) else "{}"))
        except orjson.JSONDecodeError as error:
            raise ValueError(f"its text is no JSON: {error}") from None
        counts = (count(given.get(kind)) for kind in ("tokensIn", "tokensOut", "cacheWrites", "cacheReads"))
        figures = (*counts, dollars(given.get("cost")) or 0)
    else:
        return None
    if type(ts) is not int:
        raise ValueError("it has no time")
    return _TaskMessage(
        f"{say} {ts}",
        say,
        figures,
        unix_moment(ts, milliseconds=True),
        mapping(message.get("modelInfo")).get("modelId"),
        given.get("apiProtocol") == "openai",
        given.get("usageMissing") is True,
        say == _REQUEST and figures == _NOTHING and "cancelReason" in given,
    )


def _new_sums(log: LogReading, entries: list[_TaskMessage]) -> dict[str, _Figures]:
    """Return of each sum of removed requests what no import has read one by one; the state has what was read so far."""
    read, counted = _state(log, "read"), _state(log, "sums")
    present = {each.id for each in entries}
    removed = [_state(log, "removed").get("", _NOTHING)]
    removed += [figures for id, figures in read.items() if id not in present]
    room: _Figures = tuple(map(sum, zip(*removed, strict=True)))
    rest = {id: figures for id, figures in counted.items() if id in present}
    for entry in entries:
        if entry.say in _SUMS and entry.id not in rest:
            covered = tuple(map(min, entry.figures, room))
            rest[entry.id] = tuple(map(sub, entry.figures, covered))
            room = tuple(map(sub, room, covered))
    log.state = {
        "read": {each.id: each.figures for each in entries if each.figures != _NOTHING},
        "sums": rest,
        "removed": {"": room},
    }
    return rest


def _state(log: LogReading, key: str) -> dict[str, _Figures]:
    return {id: tuple(figures) for id, figures in mapping(log.mark.state.get(key)).items()}


def _call(task: str, entry: _TaskMessage, root: str, mode: object, partial: bool) -> TranscriptMessage | None:
    whole, output, writes, reads, nanousd = entry.figures
    cached = writes + reads if entry.includes else 0
    return call(
        digest("cline", task, entry.id),
        task,
        entry.model,
        used(whole - cached if whole >= cached else whole, output, reads=reads, writes=writes),
        entry.at,
        nanousd=nanousd or None,
        subagent="subagents" if entry.say == _SUBAGENTS else mode if root else None,
        root=root,
        partial=partial or entry.guessed,
        several=entry.say in (_SUBAGENTS, *_SUMS),
    )


def _history_item(path: Path) -> Mapping[str, Any]:
    """What the extension's history says of a task: its own file (Roo), or the one of all tasks (Cline)."""
    own = path.with_name("history_item.json")
    if own.exists():
        return next(_documents(own), {})
    history = path.parent.parent.parent / "state" / "taskHistory.json"
    try:
        found = history.stat()
    except OSError:
        return {}
    return _by_task(history, found.st_mtime_ns, found.st_size).get(path.parent.name, {})


@lru_cache(maxsize=4)
def _by_task(history: Path, mtime_ns: int, size: int) -> Mapping[str, Mapping[str, Any]]:  # noqa: ARG001
    return {str(each.get("id")): each for each in _documents(history)}


def _documents(path: Path) -> Iterator[Mapping[str, Any]]:
    """The object that a file is, or those of its list; none where it cannot be read."""
    try:
        with open_regular(path) as file:
            value = orjson.loads(file.read(_HISTORY_BYTES_MAX))
    except (OSError, orjson.JSONDecodeError):
        return
    yield from [value] if isinstance(value, dict) else items(value)

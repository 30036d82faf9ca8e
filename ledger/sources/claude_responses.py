"""Responses in Claude Code's transcripts: each joined from the lines of one file that show it, as messages.

One response spans several lines, one per content block, which repeat `message.id` and `usage`; only the last has the
final output. See `ledger.sources.claude` for what was observed of these files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from sys import intern
from typing import Any, Final

from ledger.events.fields import check_name
from ledger.providers.service_tiers import service_tier_of
from ledger.providers.usage import measure, usage_of
from ledger.sources.findings import Beginning
from ledger.sources.names import moment, name
from ledger.sources.transcript import COPY, TranscriptMessage

__all__ = ["ClaudeFile", "ClaudeResponse", "messages_of", "searches_of", "take_response"]

_SYNTHETIC: Final = "<synthetic>"
"""The model that Claude Code names in messages that it creates itself, such as an interruption; they cost nothing."""

_LIKELY_COPY, _ORIGINAL = 1, 0
"""Of `TranscriptMessage.copied`: a file likely has a response from another one, and no sign of that."""
_SEARCH: Final = "WebSearch"
"""The client's own tool for web searches."""
_ATTRIBUTION: Final = ("attributionAgent", "attributionSkill", "attributionPlugin")


@dataclass(slots=True)
class ClaudeResponse:
    """One response as the lines of one file show it; `at` and what follows are the first line's.

    Attributes:
        usage: as the line with the largest view has it, and `model`, `output_tokens`, `line`.
        tools: ids of the web searches that it asks for.
    """

    id: str
    model: object
    usage: Mapping[str, Any]
    output_tokens: int
    line: int
    at: object
    agent: object
    session_id: object
    branch: object
    request: object = None
    forked_from: object = None
    version: object = None
    attribution: Mapping[str, Any] = field(default_factory=dict)
    tools: set[str] = field(default_factory=set)


@dataclass(slots=True)
class ClaudeFile:
    """State of a transcript's reader, from the beginning of its file on; stored with the file's mark.

    Attributes:
        born: the moment of its first line, if that is one that is never copied; a copied line is older.
        asked, asked_by: the first moment at which it shows a request, and the version that made it; lines before it are
            copies if that version wrote them, else likely.
        opening: how many responses it had before its first prompt was noted; more than another file that has the same
            ones, if it copied them. None while no prompt was noted.
        forked: it has copies.
        model: of the latest response; a web search is priced by it.
    """

    born: str = ""
    asked: str = ""
    asked_by: str = ""
    opening: int | None = None
    forked: bool = False
    model: str = ""

    def copied(self, response: ClaudeResponse) -> int:
        """Return whether a response was copied into the file: certainly, likely, or without a sign of it."""
        at = response.at if isinstance(response.at, str) else ""
        if response.forked_from is not None or (at and at < self.born):
            return COPY
        if at and at < self.asked:
            return COPY if response.version == self.asked_by else _LIKELY_COPY
        return _ORIGINAL


def take_response(responses: dict[str, ClaudeResponse], record: Mapping[str, Any], line: int, file: ClaudeFile) -> bool:
    """Store the response that a line shows, at its largest; return False when the line shows none.

    A repetition of a response in one file has the same moment or a later one.

    Raises:
        InvalidInput, ValueError: its id or its output is invalid.
    """
    kind, shown, agent = record.get("type"), record, record.get("agentId")
    if kind == "progress":
        data = record.get("data")
        inner = data.get("message") if isinstance(data, dict) else None
        if not isinstance(data, dict) or not isinstance(inner, dict) or inner.get("type") != "assistant":
            return False
        shown, agent = inner, data.get("agentId")
    elif kind != "assistant":
        return False
    body = shown.get("message")
    if not isinstance(body, dict) or not isinstance(usage := body.get("usage"), dict):
        return False
    model, output = body.get("model"), usage.get("output_tokens")
    if model == _SYNTHETIC and not any(usage_of(usage).values()):
        return True
    if not isinstance(output, int) or output < 0:
        usage_of(usage)
        output = 0
    id = body.get("id")
    had = responses.get(id) if isinstance(id, str) else None
    if had is None:
        id = check_name(id)
        had = responses[id] = _first_view(id, usage, output, line, agent, record, shown)
    elif output > had.output_tokens or (output == had.output_tokens and _is_larger(model, usage, had)):
        had.model, had.usage, had.output_tokens, had.line = model, usage, output, line
    if model != file.model:
        file.model = name(model) or file.model
    _take_searches(had, body.get("content"))
    return True


def _first_view(
    id: str,
    usage: Mapping[str, Any],
    output: int,
    line: int,
    agent: object,
    record: Mapping[str, Any],
    shown: Mapping[str, Any],
) -> ClaudeResponse:
    """A response as the first line shows it: the record itself, or the message inside a `progress` record."""
    return ClaudeResponse(
        id,
        shown["message"].get("model"),
        usage,
        output,
        line,
        shown.get("timestamp", record.get("timestamp")),
        agent,
        record.get("sessionId"),
        record.get("gitBranch"),
        shown.get("requestId", record.get("requestId")),
        record.get("forkedFrom"),
        record.get("version"),
        {key: record[key] for key in _ATTRIBUTION if key in record},
    )


def _take_searches(response: ClaudeResponse, content: object) -> None:
    for block in content if isinstance(content, list) else ():
        if not isinstance(block, dict) or block.get("name") != _SEARCH or block.get("type") != "tool_use":
            continue
        if isinstance(block.get("id"), str):
            response.tools.add(block["id"])


def _is_larger(model: object, usage: Mapping[str, Any], had: ClaudeResponse) -> bool:
    """Whether a line with the same output shows more of a response; nearly every line repeats the one before.

    Raises:
        InvalidInput: a count is invalid.
    """
    return model == had.model and usage != had.usage and measure(usage_of(usage)) > measure(usage_of(had.usage))


def messages_of(
    response: ClaudeResponse, beginnings: Mapping[str, Beginning], file: ClaudeFile, subagent: str
) -> Iterator[TranscriptMessage]:
    """Yield the response itself, and the calls of other models that are inside it.

    Raises:
        InvalidInput, ValueError: a name or a count is invalid.
    """
    usage, model = usage_of(response.usage), None if response.model is None else intern(check_name(response.model))
    session_id, request = intern(check_name(response.session_id)), name(response.request)
    marks = response.attribution
    if response.agent:
        subagent = subagent or name(marks.get("attributionAgent")) or check_name(response.agent)
    parent = response.forked_from.get("sessionId") if isinstance(response.forked_from, dict) else None
    own = TranscriptMessage(
        response.id,
        session_id,
        None,
        model,
        usage,
        moment(response.at),
        service_tier_of(name(response.usage.get("service_tier"))),
        beginnings[session_id].project,
        intern(name(response.branch)),
        response.line,
        (request,) if request else (),
        subagent or None,
        name(marks.get("attributionSkill")) or None,
        name(marks.get("attributionPlugin")) or None,
        file.copied(response),
        name(parent),
        partial=True,
    )
    yield own
    iterations = response.usage.get("iterations")
    if isinstance(iterations, list):
        yield from _of_other_models(own, iterations)


def _of_other_models(own: TranscriptMessage, iterations: list[Any]) -> Iterator[TranscriptMessage]:
    """The calls of other models in `usage.iterations`, which the response's own usage leaves out."""
    for number, iteration in enumerate(iterations):
        if isinstance(iteration, dict) and iteration.get("model") not in (None, own.model):
            yield own._replace(
                message_id=check_name(f"{own.message_id}#{number}"),
                model=check_name(iteration["model"]),
                usage=usage_of(iteration),
                names=tuple(check_name(f"{each}#{number}") for each in own.names),
            )


def searches_of(
    record: Mapping[str, Any],
    responses: Mapping[str, ClaudeResponse],
    file: ClaudeFile,
    beginnings: Mapping[str, Beginning],
    line: int,
) -> Iterator[TranscriptMessage]:
    """Yield the web searches of the client's own tool, which the result of the tool counts and no response does."""
    given, body = record.get("toolUseResult"), record.get("message")
    count = given.get("searchCount") if isinstance(given, dict) and "query" in given else None
    if not isinstance(count, int) or isinstance(count, bool) or count <= 0 or not isinstance(body, dict):
        return
    content = body.get("content")
    for block in content if isinstance(content, list) else ():
        tool = name(block.get("tool_use_id")) if isinstance(block, dict) else ""
        issuing = next((each for each in responses.values() if tool in each.tools), None)
        if not tool or (issuing is not None and usage_of(issuing.usage).get("web_search_requests")):
            continue
        model = name(issuing.model) if issuing is not None else file.model
        session_id = check_name(record.get("sessionId"))
        yield TranscriptMessage(
            tool,
            session_id,
            None,
            model or None,
            {"web_search_requests": count},
            moment(record.get("timestamp")),
            None,
            beginnings[session_id].project,
            name(record.get("gitBranch")),
            line,
            copied=COPY if record.get("forkedFrom") is not None else _ORIGINAL,
            partial=True,
        )
        return

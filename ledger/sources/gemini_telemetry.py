"""Telemetry of Gemini CLI and of its fork Qwen Code: which log records are a call, and what its tokens mean.

Sources of the facts: https://github.com/google-gemini/gemini-cli/blob/main/packages/core/src/telemetry/types.ts,
https://github.com/QwenLM/qwen-code/blob/main/packages/core/src/telemetry/types.ts, and recorded exports of both.

- `gemini_cli.api_response` and `qwen-code.api_response` are one answered call with all kinds of tokens. `…api_error`
  and `…api_cancel` are none.
- Input includes cached tokens, and tokens of tools' results are added to it. Thoughts are output: at Gemini CLI they
  are added to the output, at Qwen Code they are part of it where the total is input and output.
- Gemini CLI writes a second record of the same call, `gen_ai.client.inference.operation.details`, without cached tokens
  and thoughts. Neither record has an id of the other; both have the session, time, model, input and output of the call,
  so these are the identity of both. Alone, the second one is a lower bound: it does not show how much of its input was
  cached, so only its output counts.
- The chats of Gemini CLI name none of these: telemetry and chats are two accounts of a session that cannot be matched.
  Those of Qwen Code have the provider's ids.
- The spans of both repeat the log records. Qwen Code's name the response as its log records do, and count as the same
  call; Gemini CLI's do not, and are ignored.
- Gemini CLI exports every 5 seconds, whatever is set (observed in 0.61): a process that was killed leaves no record of
  its last calls, so its telemetry is a lower bound.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from ledger.events.ids import digest
from ledger.providers.genai_semconv import INPUT, OUTPUT, first, text, token_count
from ledger.providers.usage import disjoint

__all__ = ["AGENT", "Answer", "answer_of", "is_own", "is_repeated_by_logs"]

AGENT: Final = "main"
"""As readings of the chats name it."""

_GEMINI: Final = "gemini-cli"
_QWEN: Final = "qwen-code"
_RESPONSES: Final = {"gemini_cli.api_response": _GEMINI, "qwen-code.api_response": _QWEN}
_PREFIXES: Final = ("gemini_cli.", "qwen-code.")
_TWIN: Final = "gen_ai.client.inference.operation.details"
_ERROR_STATUS: Final = 400


class Answer(NamedTuple):
    """One answered call.

    Attributes:
        native: what both records of the call have in common, or the provider's id of the response.
        usage: in disjoint buckets; None: unknown.
        partial: the usage is known to be incomplete.
        names: the provider's id of the response, where it is known; see `Call`.
    """

    native: str
    model: str | None
    usage: dict[str, int] | None
    partial: bool
    names: tuple[str, ...] = ()


def is_own(scope: str, names: Collection[Any]) -> bool:
    """Return whether a log record is one of these clients', by its scope or the names of its event."""
    return scope in (_GEMINI, _QWEN) or any(isinstance(name, str) and name.startswith(_PREFIXES) for name in names)


def is_repeated_by_logs(scope: str, attributes: Mapping[str, Any]) -> bool:
    """Return whether a span is of a call that only a log record can identify."""
    return scope == _GEMINI or (scope == _QWEN and not attributes.get("gen_ai.response.id"))


def answer_of(
    names: Collection[Any], attributes: Mapping[str, Any], session: str | None, moment: str | None
) -> Answer | None:
    """Return the call that a log record of these clients is; None when it is none.

    Args:
        names: of the event.
        moment: of the record, as its `event.timestamp`.

    Raises:
        InvalidEvent: a token count is no whole number.
    """
    client = next((client for name, client in _RESPONSES.items() if name in names), None)
    if client is not None:
        return None if _failed(attributes) else _response(client, attributes, session, moment)
    if _TWIN in names and first(attributes, *INPUT, *OUTPUT) is not None and not attributes.get("error.type"):
        return _twin(attributes, session, moment)
    return None


def _failed(attributes: Mapping[str, Any]) -> bool:
    """Whether a response is that of a failed request, as versions of 2025 record it."""
    status = text(first(attributes, "status_code", "http.status_code")) or ""
    return bool(attributes.get("error")) or (status.isdecimal() and int(status) >= _ERROR_STATUS)


def _response(client: str, attributes: Mapping[str, Any], session: str | None, moment: str | None) -> Answer:
    model = text(attributes.get("model"))
    whole, output = token_count(attributes, "input_token_count"), token_count(attributes, "output_token_count")
    cached, tool = token_count(attributes, "cached_content_token_count"), token_count(attributes, "tool_token_count")
    thoughts, total = token_count(attributes, "thoughts_token_count"), token_count(attributes, "total_token_count")
    inside = total == whole + output + tool if total else client == _QWEN
    usage = disjoint(whole, 0, cached, output if inside else output + thoughts)
    usage["input_tokens"] += tool
    response = text(attributes.get("response_id"))
    native, names = response or _identity(session, moment, model, whole, output), (response,) if response else ()
    if not any(usage.values()):
        return Answer(native, model, None, partial=True, names=names)
    partial = client == _GEMINI or (inside and thoughts > 0 and not total)
    return Answer(native, model, usage, partial=partial, names=names)


def _twin(attributes: Mapping[str, Any], session: str | None, moment: str | None) -> Answer:
    model = text(first(attributes, "gen_ai.response.model", "gen_ai.request.model"))
    whole, output = token_count(attributes, *INPUT), token_count(attributes, *OUTPUT)
    return Answer(_identity(session, moment, model, whole, output), model, {"output_tokens": output}, partial=True)


def _identity(session: str | None, moment: str | None, model: str | None, whole: int, output: int) -> str:
    return digest(_GEMINI, "call", session, moment, model, whole, output)

"""Streamed responses: their events, collected into what a whole response reports.

- Anthropic: `message_start` has id, model and the input's tokens, `message_delta` the cumulative output
  (https://docs.anthropic.com/en/docs/build-with-claude/streaming);
- OpenAI chat: the usage is in a last chunk without choices, when `stream_options.include_usage` asks for it
  (https://platform.openai.com/docs/api-reference/chat-streaming);
- OpenAI responses: `response.completed`, `.incomplete` and `.failed` carry the whole response;
- OpenAI images, transcriptions and speech: the last event has the usage;
- Gemini: each chunk carries the usage so far.

Pure: no file, no clock.
"""

from __future__ import annotations

from typing import Any, Final

from ledger.providers.further_costs import shown_in
from ledger.providers.service_tiers import served_as
from ledger.providers.usage import mapping, of

__all__ = ["Gathered"]

_ENDS: Final = frozenset(
    {
        "message_stop",
        *(f"response.{end}" for end in ("completed", "incomplete", "failed")),
        "image_generation.completed",
        "image_edit.completed",
        "transcript.text.done",
        "speech.audio.done",
    }
)


class Gathered:
    """One streamed response, as far as it has arrived.

    Attributes:
        whole: its end has arrived, or its last usage.
    """

    def __init__(self) -> None:
        self.whole = False
        self._answer: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}

    def take(self, event: object) -> None:
        """Take the next event; an event of another kind changes nothing."""
        kind = of(event, "type")
        if isinstance(kind, str) and kind in _ENDS:
            self.whole = True
        carried = of(event, "message") or of(event, "response")
        self._learn(event if carried is None else carried)
        if kind == "message_delta":
            self._add(of(event, "usage"))

    def answer(self) -> dict[str, Any]:
        """Return the fields of a whole response, for `responses.response_of`; no usage when none has arrived."""
        return self._answer | ({"usage": self._usage} if self._usage else {})

    def _learn(self, part: object) -> None:
        for name, others in _NAMES.items():
            for other in others:
                if (value := of(part, other)) is not None and not isinstance(value, (dict, list)):
                    self._answer[name] = value
        usage = of(part, "usage")
        if usage is None:
            usage = of(part, "usage_metadata")
        if (tier := served_as(part, None)) is not None:
            self._answer["service_tier"] = tier
        self._answer |= shown_in(part)
        self._add(usage)
        if usage is not None and of(part, "choices") is not None:
            self.whole = True  # OpenAI chat: the last chunk

    def _add(self, usage: object) -> None:
        """Let each later count replace the earlier one; an absent count leaves it."""
        self._usage |= {name: value for name, value in mapping(usage).items() if value is not None}


_NAMES: Final = {
    "id": ("id", "response_id"),
    "model": ("model", "model_version"),
    "service_tier": ("service_tier",),
}

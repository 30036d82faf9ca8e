"""What a response costs besides the tokens that its usage counts as its own.

- Anthropic lists calls of the API's own in `usage.iterations`: a compaction of the context, whose tokens the usage
  leaves out (https://platform.claude.com/docs/en/build-with-claude/compaction), and an advisor, another model
  (https://platform.claude.com/docs/en/agents-and-tools/tool-use/advisor-tool). Inference in one region only costs more
  (https://platform.claude.com/docs/en/manage-claude/data-residency).
- OpenAI's Responses API charges for each web search, and for other tools by the call or the container
  (https://platform.openai.com/docs/pricing#built-in-tools); they are items of the output.
- Gemini charges for grounding, above a free number of prompts (https://ai.google.dev/gemini-api/docs/pricing), which
  the metadata of a candidate shows. Its SDK's automatic function calling returns the last of several responses.

Pure: no file, no clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ledger.providers.usage import mapping, of

__all__ = ["costs_more", "inner_calls", "searches_in", "shown_in", "shows_a_fee"]

_SEARCH: Final = "web_search_call"
_FEES: Final = frozenset({"code_interpreter_call", "file_search_call", "image_generation_call"})
"""Items of OpenAI's output with a price that no bucket holds."""
_GLOBAL: Final = frozenset({"", "global", "not_available"})
_GROUNDED: Final = ("web_search_queries", "webSearchQueries", "grounding_chunks", "groundingChunks")
_EARLIER: Final = "automatic_function_calling_history"
"""google-genai: its function calls, each after a response of its own."""


def searches_in(answer: object) -> int:
    """Return how many web searches the output of a response of OpenAI has; opening a found page is none."""
    return sum(
        of(item, "type") == _SEARCH and of(of(item, "action"), "type") in (None, "search")
        for item in _listed(answer, "output")
    )


def costs_more(answer: object, usage: object) -> bool:
    """Return whether a response cost more than its usage shows, by an amount that it does not show."""
    return (
        str(of(usage, "inference_geo") or "") not in _GLOBAL
        or any(of(item, "type") in _FEES for item in _listed(answer, "output"))
        or any(_is_grounded(candidate) for candidate in _listed(answer, "candidates"))
        or bool(of(answer, _EARLIER))
    )


def _is_grounded(candidate: object) -> bool:
    found = of(candidate, "grounding_metadata") or of(candidate, "groundingMetadata")
    return any(of(found, name) for name in _GROUNDED)


def shows_a_fee(exported: object) -> bool:
    """Return whether a response of OpenAI, as JSON in an attribute of a span, has an item with a price of its own."""
    return isinstance(exported, str) and any(f'"type":"{kind}"' in exported for kind in (_SEARCH, *_FEES))


def inner_calls(usage: object) -> Iterator[tuple[str, str | None, Mapping[str, Any]]]:
    """Yield the calls of the API's own that a usage leaves out: a suffix for the id, the model, and its usage.

    The model is None for that of the response.
    """
    for number, iteration in enumerate(_listed(usage, "iterations")):
        if of(iteration, "type") == "compaction":
            yield f"#{number}", None, mapping(iteration)
        elif of(iteration, "type") == "advisor_message":
            yield f"#{number}", of(iteration, "model"), mapping(iteration)


def shown_in(event: object) -> dict[str, list[Any]]:
    """Return the fields of a response, or of an event of a stream, as far as they show such costs."""
    items = [item for item in _listed(event, "output") if of(item, "type") in _FEES or of(item, "type") == _SEARCH]
    grounded = [candidate for candidate in _listed(event, "candidates") if _is_grounded(candidate)]
    return {name: found for name, found in (("output", items), ("candidates", grounded)) if found}


def _listed(part: object, name: str) -> list[Any]:
    found = of(part, name)
    return found if isinstance(found, list) else []

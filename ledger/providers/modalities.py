"""Modalities: the tokens of a usage that are audio, images or video, which a price book may charge apart from text.

OpenAI: https://platform.openai.com/docs/api-reference/chat/object (`…_tokens_details`), images
https://platform.openai.com/docs/api-reference/images/object, and transcriptions, whose `input_token_details` is spelled
without an s. Gemini: https://ai.google.dev/api/generate-content#ModalityTokenCount. Our buckets hold tokens of all
modalities together, priced as text, which is never more expensive: so the cost of such a call is a lower bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ledger.providers.usage import mapping

__all__ = ["ALWAYS_APART", "modalities_of"]

ALWAYS_APART: Final = frozenset({"audio"})
"""Modalities with a price of their own even if a book does not list it: audio tokens as OpenAI names them."""
_KINDS: Final = ("audio", "image", "video")
_OPENAI: Final = {
    "input": ("prompt_tokens_details", "input_tokens_details", "input_token_details"),
    "output": ("completion_tokens_details", "output_tokens_details"),
}
_GEMINI: Final = {
    "input": ("prompt_tokens_details", "promptTokensDetails", "tool_use_prompt_tokens_details"),
    "output": ("candidates_tokens_details", "candidatesTokensDetails"),
}


def modalities_of(usage: object) -> frozenset[str]:
    """Return which tokens of the usage of a response are not text, as "input_audio", "output_image" and so on.

    Args:
        usage: the `usage` of a provider's response, as an object of its SDK or as parsed JSON.
    """
    given = mapping(usage)
    return frozenset([*_of_openai(given), *_of_gemini(given)])


def _of_openai(given: Mapping[str, Any]) -> Iterator[str]:
    for side, names in _OPENAI.items():
        details = _first(given, names)
        for kind in _KINDS:
            if details.get(f"{kind}_tokens"):
                yield f"{side}_{kind}"
                yield kind
    # A response of the images API: its output is images, reported or not.
    if "image_tokens" in mapping(given.get("input_tokens_details")) and not _first(given, _OPENAI["output"]):
        yield "output_image"


def _first(given: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    return next((found for name in names if (found := mapping(given.get(name)))), {})


def _of_gemini(given: Mapping[str, Any]) -> Iterator[str]:
    for side, names in _GEMINI.items():
        for name in names:
            listed = given.get(name)
            for part in map(mapping, listed) if isinstance(listed, list) else ():
                modality = part.get("modality")
                kind = str(getattr(modality, "value", modality)).lower()
                if kind in _KINDS and (part.get("token_count") or part.get("tokenCount")):
                    yield f"{side}_{kind}"

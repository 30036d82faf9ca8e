"""Names of models with their provider's before them, as gateways and clouds spell them.

LiteLLM puts a provider and a slash before the name (https://docs.litellm.ai/docs/providers), OpenRouter the maker's.
Bedrock's ids begin with where a call may run and the maker
(https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html): these are AWS's prices, which
differ by that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["PROVIDERS", "spellings"]

PROVIDERS: Final = {
    "anthropic": "anthropic",
    "azure": "azure",
    "azure_ai": "azure",
    "bedrock": "aws",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "google": "google",
    "groq": "groq",
    "mistral": "mistral",
    "moonshot": "moonshotai",
    "moonshotai": "moonshotai",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "together_ai": "together",
    "vertex_ai": "google",
    "x-ai": "x-ai",
    "xai": "x-ai",
}
"""What stands before a slash, and genai-prices' id of the provider whose prices hold then."""

_MAKERS: Final = {"text-embedding-3-": "openai", "text-embedding-ada-": "openai"}
"""How bare names begin that genai-prices finds only with their maker: OpenAI answers with these."""

_BEDROCK: Final = re.compile(
    r"(?:(?:us|us-gov|eu|apac|jp|au|ca|global)\.)?"
    r"(?:ai21|amazon|anthropic|cohere|deepseek|meta|minimax|mistral|moonshot|openai|qwen)\.[a-z]",
    re.IGNORECASE,
)


def spellings(model: str) -> Iterator[tuple[str | None, str]]:
    """How a price list may know a model: a provider, or None for whichever it is, and that provider's own name.

    A provider that is named comes first: another one's list may know parts of the name, too.
    """
    before, slash, name = model.partition("/")
    if slash and name and (provider := PROVIDERS.get(before.lower())):
        yield provider, name.removeprefix("converse/") if provider == "aws" else name
    for start, maker in _MAKERS.items():
        if model.startswith(start):
            yield maker, model
    yield None, model
    if not slash and _BEDROCK.match(model):
        yield "aws", model

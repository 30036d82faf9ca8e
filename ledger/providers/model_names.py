"""Model names with a provider in front, as gateways and clouds spell them.

LiteLLM puts a provider and a slash before the name (https://docs.litellm.ai/docs/providers), OpenRouter the maker's.
Bedrock's ids begin with where a call may run and the maker
(https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html): these are AWS's prices, which
differ by that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final

__all__ = ["PROVIDERS", "is_of_its_maker", "plain_name", "provider_of", "spellings"]

_SPELLINGS: Final = {
    "azure_ai": "azure",
    "bedrock": "aws",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "github_copilot": "github-copilot",
    "moonshot": "moonshotai",
    "together_ai": "together",
    "vertex_ai": "google",
    "voyage": "voyageai",
    "xai": "x-ai",
    "z-ai": "zai",
}
"""Names in front of a slash that are not the id of the provider in genai-prices."""

PROVIDERS: Final = _SPELLINGS | {
    provider: provider
    for provider in (
        "anthropic",
        "arcee",
        "avian",
        "aws",
        "azure",
        "baseten",
        "cerebras",
        "cohere",
        "cursor",
        "databricks",
        "deepseek",
        "doubleword",
        "fireworks",
        "github-copilot",
        "google",
        "groq",
        "minimax",
        "mistral",
        "modal",
        "moonshotai",
        "novita",
        "openai",
        "openrouter",
        "ovhcloud",
        "perplexity",
        "quicksilverpro",
        "together",
        "voyageai",
        "x-ai",
        "zai",
        "zhipuai",
    )
}
"""Names in front of a slash, each with the id in genai-prices of the provider whose prices apply."""

_CACHED_NAMES_MAX: Final = 1024
"""A log repeats few names on many lines."""

_ADDED: Final = re.compile(r"(?:\[\w+\]|[-@]20\d{6}(?:-v\d+(?::\d+)?)?|-v\d+:\d+|-latest)+\Z")
_MAKERS: Final = frozenset({"anthropic", "cohere", "google", "openai", "x-ai"})
_OPEN_WEIGHTS: Final = re.compile("gpt-oss", re.IGNORECASE)
_MADE_BY: Final = {"text-embedding-3-": "openai", "text-embedding-ada-": "openai"}
"""Beginnings of plain names that genai-prices finds only with their maker: OpenAI responds with these."""

_BEDROCK: Final = re.compile(
    r"(?:(?:us|us-gov|eu|apac|jp|au|ca|global)\.)?"
    r"(?:ai21|amazon|anthropic|cohere|deepseek|meta|minimax|mistral|moonshot|openai|qwen)\.[a-z]",
    re.IGNORECASE,
)


def provider_of(model: str, providers: Mapping[str, str]) -> str | None:
    """Return the provider that a glob gives a name without one; None: no glob, or the name has a provider.

    Args:
        providers: by glob, compared without case; the first match counts.
    """
    if "/" in model:
        return None
    return next((provider for glob, provider in providers.items() if fnmatchcase(model.lower(), glob.lower())), None)


def is_of_its_maker(provider: str, name: str) -> bool:
    """Return whether a name without a provider has the price of the maker that genai-prices finds by it.

    So it is for closed models, whose list price is their maker's. Open ones (`glm-5`, `gpt-oss-120b`, `kimi-k3`) are
    sold by many under the same name, each at a price of its own.
    """
    return provider in _MAKERS and not _OPEN_WEIGHTS.search(name)


def spellings(model: str) -> Iterator[tuple[str | None, str]]:
    """Yield the names of a model in a price list, each with its provider, or None for any provider.

    A provider in the name comes first: the list of another one may match parts of the name, too.
    """
    before, slash, name = model.partition("/")
    if slash and name and (provider := PROVIDERS.get(before.lower())):
        yield provider, name.removeprefix("converse/") if provider == "aws" else name
    for start, maker in _MADE_BY.items():
        if model.startswith(start):
            yield maker, model
    yield None, model
    if not slash and _BEDROCK.match(model):
        yield "aws", model


@lru_cache(maxsize=_CACHED_NAMES_MAX)
def plain_name(model: str) -> str:
    """Return the name of a model without a provider, a date or a context, which reports of one call add or omit.

    A client counts by the name that was asked for, a response names the model that answered:
    `claude-sonnet-4-5[1m]`, `us.anthropic.claude-sonnet-4-5-20250929-v1:0` and `anthropic/claude-sonnet-4-5` are one.
    """
    name = model.lower().rpartition("/")[2]
    if _BEDROCK.match(name):
        name = name.rpartition("anthropic.")[2] or name
    return _ADDED.sub("", name)

"""Service tiers: which names mean the standard price."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    pass

__all__ = ["STANDARD_TIERS"]

STANDARD_TIERS: Final = frozenset({"standard", "default", "on_demand"})
"""What providers call the ordinary way: Anthropic, OpenAI, Groq."""

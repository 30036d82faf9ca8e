"""Words for people: counts with their noun."""

from __future__ import annotations

__all__ = ["counted"]


def counted(count: int, noun: str) -> str:
    """So many of them: "1 workflow", "1,200 workflows"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")

"""Event ids: a digest of what a source knows an event by."""

from __future__ import annotations

import hashlib

__all__ = ["digest"]


def digest(*parts: object) -> str:
    """An event id from a source's kind, native ids and raw values: 32 hex digits of SHA-256."""
    text = "\x1f".join(map(str, parts))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]

"""Event ids: a digest of what identifies an event in its source."""

from __future__ import annotations

import hashlib

__all__ = ["digest"]


def digest(*parts: object) -> str:
    """Return an event id of the kind of a source, its native ids and raw values: 32 hex digits of SHA-256."""
    text = "\x1f".join(map(str, parts))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]

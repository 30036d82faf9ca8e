"""Event ids: a digest of what identifies an event in its source."""

from __future__ import annotations

import hashlib
import re

__all__ = ["digest", "is_digest"]


def digest(*parts: object) -> str:
    """Return an event id of the kind of a source, its native ids and raw values: 32 hex digits of SHA-256."""
    text = "\x1f".join(map(str, parts))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def is_digest(id: str) -> bool:
    """Return whether an id is one of `digest`, and not a source's own."""
    return re.fullmatch("[0-9a-f]{32}", id) is not None

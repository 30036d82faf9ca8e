"""JSON responses, as fast as JSON can be written; the models in `schemas` describe them."""

from __future__ import annotations

from typing import Final

import orjson
from starlette.responses import Response

from projections.json_text import json_bytes

__all__ = ["Entries", "answer"]

_PAGE_BYTES_MAX: Final = 8 * 1024 * 1024
"""A page ends at this size: a single event may have 256 kB."""


class Entries:
    """The entries of a page, each as JSON, so that a page takes about as much memory as its response.

    Attributes:
        last_seq: the seq of the last entry.
    """

    def __init__(self, limit: int) -> None:
        self.json: list[orjson.Fragment] = []
        self.last_seq: int | None = None
        self._limit, self._bytes = limit, 0

    @property
    def full(self) -> bool:
        """Whether the page is full; one that ends early has at least one entry."""
        return len(self.json) >= self._limit or self._bytes >= _PAGE_BYTES_MAX

    def add(self, seq: int, entry: object) -> None:
        """Add the next entry."""
        text = json_bytes(entry)
        self.json.append(orjson.Fragment(text))
        self._bytes += len(text)
        self.last_seq = seq


def answer(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON response."""
    return Response(json_bytes(value), status, headers, "application/json")

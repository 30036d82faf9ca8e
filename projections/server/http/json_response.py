"""Answers: JSON as fast as it can be written; what it looks like is said by the models in `shapes`."""

from __future__ import annotations

from typing import Final

import orjson
from starlette.responses import Response

from projections.json_text import json_bytes

__all__ = ["Entries", "answer"]

_PAGE_BYTES_MAX: Final = 8 * 1024 * 1024
"""A page that has so many bytes ends there: a single event may have 256 kB."""


class Entries:
    """The entries of a page, each as JSON, so that a page in memory is about as large as its answer.

    Attributes:
        last_seq: the seq of the last entry.
    """

    def __init__(self, limit: int) -> None:
        self.json: list[orjson.Fragment] = []
        self.last_seq: int | None = None
        self._limit, self._bytes = limit, 0

    @property
    def full(self) -> bool:
        """Whether the page ends here; one that ends early has at least one entry."""
        return len(self.json) >= self._limit or self._bytes >= _PAGE_BYTES_MAX

    def add(self, seq: int, entry: object) -> None:
        """Add the next entry."""
        text = json_bytes(entry)
        self.json.append(orjson.Fragment(text))
        self._bytes += len(text)
        self.last_seq = seq


def answer(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(json_bytes(value), status, headers, "application/json")

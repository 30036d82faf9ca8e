"""Answers: JSON as fast as it can be written; what it looks like is said by the models in `shapes`."""

from __future__ import annotations

from starlette.responses import Response

from projections.json_text import json_bytes

__all__ = ["answer"]


def answer(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(json_bytes(value), status, headers, "application/json")

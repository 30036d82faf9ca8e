"""Errors over HTTP: problem details (RFC 9457), one handler for all of ours; the status sits on the error."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import orjson
from pydantic import BaseModel, Field
from starlette.responses import Response

from ledger.errors import CostledgerError

__all__ = ["Problem", "Refusal", "documented", "problem_of", "response_to"]

MEDIA_TYPE: Final = "application/problem+json"


class Problem(BaseModel):
    """What went wrong, where, and what to do next."""

    type: str = Field(examples=["urn:costledger:problem:unknown-workflow"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["no workflow 'a5b80595' in data; `costledger history` lists the ones there are"])


class Refusal(Exception):
    """A request that is refused before the library is asked.

    Args:
        name: the last part of the problem's type.
        headers: that go with the answer, such as Retry-After.
    """

    def __init__(self, status: HTTPStatus, name: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.name, self.detail, self.headers = status, name, detail, headers or {}


def problem_of(error: Exception) -> dict[str, Any]:
    """The problem details of an error."""
    if isinstance(error, Refusal):
        return _problem(error.status, error.name, error.detail)
    if isinstance(error, CostledgerError):
        return _problem(HTTPStatus(error.http_status), _dashed(type(error).__name__), str(error))
    return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "unexpected", "something unexpected went wrong; the log has more")


def response_to(error: Exception) -> Response:
    """The answer that an error means."""
    problem = problem_of(error)
    headers = error.headers if isinstance(error, Refusal) else {}
    return Response(orjson.dumps(problem), problem["status"], headers, MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of the problems that a route may answer with, beside those that all may."""
    everywhere = (401, 403, 413, 421, 422, 429, 503)
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted({*statuses, *everywhere})
    }


def _problem(status: HTTPStatus, name: str, detail: str) -> dict[str, Any]:
    return {"type": f"urn:costledger:problem:{name}", "title": status.phrase, "status": int(status), "detail": detail}


def _dashed(name: str) -> str:
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")

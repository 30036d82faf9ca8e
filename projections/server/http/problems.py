"""Errors over HTTP: problem details (RFC 9457), with one handler for all of ours; each error class has its status.

`/v1/…` answers its exporters as OTLP requires (https://opentelemetry.io/docs/specs/otlp/#failures): a
`google.rpc.Status` in the request's own encoding. No message names a folder of this host: the files of the data
directory are named relative to it.
"""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import BaseModel, Field
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from ledger.errors import CostledgerError, UnknownWorkflow, is_shortage
from ledger.maintenance.removal import removed_sentence

__all__ = [
    "MEDIA_TYPE",
    "PROTOBUF",
    "TOO_FEW_DESCRIPTORS",
    "ProblemDetails",
    "Refusal",
    "Status",
    "documented",
    "documented_status",
    "from_within",
    "problem_of",
    "refused",
    "response_to",
    "sentence",
]

MEDIA_TYPE: Final = "application/problem+json"
PROTOBUF: Final = "application/x-protobuf"

_EVERYWHERE: Final = (401, 403, 408, 413, 421, 422, 429, 503)
_UNEXPECTED: Final = "something unexpected went wrong; the log has more"
_AGAIN_SECONDS: Final = "5"

TOO_FEW_DESCRIPTORS: Final = "this server has as many files and connections open as it may; try again"


class ProblemDetails(BaseModel):
    """A problem: what went wrong, where, and what to do next."""

    type: str = Field(examples=["urn:costledger:problem:unknown-workflow"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["no workflow 'a5b80595'; GET /api/workflow-history lists the ones there are"])


class Status(BaseModel):
    """A problem as a `google.rpc.Status`."""

    message: str


class Refusal(Exception):
    """A request that is refused before the library is asked.

    Args:
        name: the last part of the problem's type.
        headers: that go with the answer, such as Retry-After.
    """

    def __init__(self, status: HTTPStatus, name: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.name, self.detail, self.headers = status, name, detail, headers or {}


def problem_of(error: Exception, asked: Scope) -> dict[str, Any]:
    """Return the problem details of an error."""
    if isinstance(error, Refusal):
        return _problem(error.status, error.name, error.detail)
    if isinstance(error, CostledgerError):
        data = asked["app"].state.service.settings.data
        return _problem(HTTPStatus(error.http_status), _dashed(type(error).__name__), sentence(error, data))
    if is_shortage(error):
        return _problem(HTTPStatus.SERVICE_UNAVAILABLE, "too-few-descriptors", TOO_FEW_DESCRIPTORS)
    return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "unexpected", _UNEXPECTED)


def sentence(error: Exception, data: Path) -> str:
    """Return the message of an error for a client on another host; a general one when the error is none of ours."""
    if not isinstance(error, CostledgerError):
        return _UNEXPECTED
    if isinstance(error, UnknownWorkflow):
        undo = f"POST /api/workflow-history/{error.workflow_id}/put-back"
        if (removed := removed_sentence(data, error.workflow_id, undo)) is not None:
            return removed
        return f"no workflow {error.workflow_id!r}; GET /api/workflow-history lists the ones there are"
    return from_within(str(error), data)


def from_within(text: str, data: Path) -> str:
    """Return a message with the files of the data directory named relative to it."""
    for folder in (data.absolute(), data):
        if folder.name:
            text = text.replace(f" --data {folder} ", " ")
            text = text.replace(f"{folder}/", "").replace(f"{folder} ", "the data directory ")
    return text


def response_to(error: Exception, asked: Scope) -> Response:
    """Return the response for an error."""
    problem = problem_of(error, asked)
    status, headers = problem["status"], dict(error.headers) if isinstance(error, Refusal) else {}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.setdefault("Retry-After", _AGAIN_SECONDS)
    if not asked["path"].startswith("/v1/"):
        return Response(orjson.dumps(problem), status, headers, MEDIA_TYPE)
    if Headers(scope=asked).get("content-type", "").partition(";")[0].strip().lower() == PROTOBUF:
        return Response(_status_message(problem["detail"].encode()), status, headers, PROTOBUF)
    return Response(orjson.dumps({"message": problem["detail"]}), status, headers, "application/json")


def refused(refusal: Refusal) -> bytes:
    """Return the whole response to a connection that is then closed."""
    body, phrase = orjson.dumps(problem_of(refusal, {})), refusal.status.phrase
    head = f"HTTP/1.1 {refusal.status:d} {phrase}\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}"
    if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
        head += f"\r\nretry-after: {_AGAIN_SECONDS}"
    return f"{head}\r\nconnection: close\r\n\r\n".encode() + body


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of a route's problems, in addition to those of all routes."""
    content = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"}}}
    return _described(statuses, content)


def documented_status(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the same for a route that answers as OTLP requires."""
    content = {
        "application/json": {"schema": {"$ref": f"#/components/schemas/{Status.__name__}"}},
        PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
    }
    return _described(statuses, content)


def _described(statuses: tuple[int, ...], content: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    every = sorted({*statuses, *_EVERYWHERE})
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in every}


def _status_message(text: bytes) -> bytes:
    """Field 2, a string: https://github.com/googleapis/googleapis/blob/master/google/rpc/status.proto."""
    count, length = len(text), b""
    while count > 0x7F:
        length += bytes([count & 0x7F | 0x80])
        count >>= 7
    return b"\x12" + length + bytes([count]) + text


def _problem(status: HTTPStatus, name: str, detail: str) -> dict[str, Any]:
    return {"type": f"urn:costledger:problem:{name}", "title": status.phrase, "status": int(status), "detail": detail}


def _dashed(name: str) -> str:
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")

"""`/v1/logs`, `/v1/metrics`, `/v1/traces`: OTLP/HTTP, JSON and protobuf, as agents and collectors export it.

https://opentelemetry.io/docs/specs/otlp/#otlphttp: the answer follows the sync, a refused record is counted in
`partial_success`, and an exporter that sends the same again changes nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import APIRouter, Depends, Request
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ledger.errors import DamagedLedger, InvalidInput
from ledger.importing import ImportReport, import_parts
from ledger.sources.findings import Options, Place
from ledger.sources.otlp import extract
from ledger.sources.spool import Spool
from projections.server.access import needs, service_of
from projections.server.problems import PROTOBUF, Refusal, documented_status, sentence
from projections.server.service import Service

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["OpenTelemetry"])

_JSON: Final = "application/json"
_BODY: Final = {
    "required": True,
    "content": {
        _JSON: {"schema": {"type": "object"}},
        PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
    },
}
_TAKEN: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "What was taken is on the disk; `partialSuccess` counts what was refused.",
        "content": {
            _JSON: {"schema": {"type": "object", "properties": {"partialSuccess": {"type": "object"}}}},
            PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_WHY_MAX: Final = 3

_Lists = dict[str, "_Lists"]
_LISTS: Final[_Lists] = {
    "resourceLogs": {"scopeLogs": {"logRecords": {"attributes": {}}}},
    "resourceMetrics": {"scopeMetrics": {"metrics": {}}},
    "resourceSpans": {"scopeSpans": {"spans": {"attributes": {}}}},
}
"""What the three kinds of requests repeat: https://github.com/open-telemetry/opentelemetry-proto."""


@router.post(
    "/logs",
    dependencies=[Depends(needs("append"))],
    response_class=Response,
    responses=documented_status(400, 409, 415) | _TAKEN,
    openapi_extra={"requestBody": _BODY},
    summary="Log records, such as Claude Code's api_request",
)
async def logs(request: Request) -> Response:
    return await _export(request, ExportLogsServiceRequest, ExportLogsServiceResponse, "rejectedLogRecords")


@router.post(
    "/metrics",
    dependencies=[Depends(needs("append"))],
    response_class=Response,
    responses=documented_status(400, 409, 415) | _TAKEN,
    openapi_extra={"requestBody": _BODY},
    summary="Metrics, such as Claude Code's cost and token counters",
)
async def metrics(request: Request) -> Response:
    return await _export(request, ExportMetricsServiceRequest, ExportMetricsServiceResponse, "rejectedDataPoints")


@router.post(
    "/traces",
    dependencies=[Depends(needs("append"))],
    response_class=Response,
    responses=documented_status(400, 409, 415) | _TAKEN,
    openapi_extra={"requestBody": _BODY},
    summary="Spans with gen_ai.usage",
)
async def traces(request: Request) -> Response:
    return await _export(request, ExportTraceServiceRequest, ExportTraceServiceResponse, "rejectedSpans")


async def _export(
    request: Request, request_type: Callable[[], Message], answer_type: Callable[[], Message], rejected: str
) -> Response:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in (_JSON, PROTOBUF):
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media-type", f"send {_JSON} or {PROTOBUF}")
    body = await request.body()
    service = service_of(request)
    encoding = request.headers.get("content-encoding", "identity").strip().lower()

    def take() -> ImportReport:
        plain = _inflated(body, encoding, service.settings.body_bytes_max)
        told = _parsed(plain, request_type) if media == PROTOBUF else _json(plain)
        return _take(service, told, request.url.path)

    report = await run_in_threadpool(take)
    for name, counts in report.workflows.items():
        if counts.appended:
            request.app.state.keeper.wake(name)
    return _answered(service, report, media, answer_type, rejected)


def _take(service: Service, told: dict[str, Any], path: str) -> ImportReport:
    """Append what a request holds.

    Raises:
        CostledgerError: some of it could not be appended now; sent again, what could be changes nothing.
    """
    spool = Spool()
    for found in extract(told, Place(f"POST {path}", 1), Options()):
        spool.take(found)
    parts = spool.parts()
    report = import_parts(service.ledgers, parts, prices=service.prices)
    if not parts:
        report.skipped += spool.skipped
    for _, error in report.problems:
        if not isinstance(error, DamagedLedger | InvalidInput):
            raise error
    return report


def _answered(
    service: Service, report: ImportReport, media: str, answer_type: Callable[[], Message], rejected: str
) -> Response:
    whys = [skipped.reason for skipped in report.skipped] + [
        f"{name}: {sentence(error, service.settings.data)}" for name, error in report.problems
    ]
    told: dict[str, Any] = {}
    if whys:
        why = "; ".join(dict.fromkeys(whys[:_WHY_MAX])) + (" …" if len(whys) > _WHY_MAX else "")
        told = {"partialSuccess": {rejected: str(len(whys)), "errorMessage": why}}
    if media == _JSON:
        return Response(orjson.dumps(told), media_type=_JSON)
    return Response(ParseDict(told, answer_type()).SerializeToString(), media_type=PROTOBUF)


def _inflated(body: bytes, encoding: str, bytes_max: int) -> bytes:
    if encoding == "identity":
        return body
    if encoding not in ("gzip", "deflate"):
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "encoding", "send a body as it is, or gzip")
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        plain = inflater.decompress(body, bytes_max + 1)
    except zlib.error:
        raise Refusal(HTTPStatus.BAD_REQUEST, "encoding", f"the body is not {encoding}") from None
    if len(plain) > bytes_max:
        detail = f"a body may have {bytes_max:,} bytes once it is inflated; send several requests"
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", detail)
    if not inflater.eof:
        raise Refusal(HTTPStatus.BAD_REQUEST, "encoding", f"the body ends in the middle of its {encoding}")
    return plain


def _parsed(body: bytes, request_type: Callable[[], Message]) -> dict[str, Any]:
    message = request_type()
    try:
        message.ParseFromString(body)
        told: dict[str, Any] = MessageToDict(message)
    except (DecodeError, ValueError, RecursionError):
        raise _not_otlp("the body is not the protobuf message of this path") from None
    return told


def _json(body: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _not_otlp(f"the body is not JSON: {error}") from None
    if not isinstance(told, dict):
        raise _not_otlp("the body is not a JSON object")
    _check_lists(told, _LISTS, "")
    return told


def _check_lists(told: dict[str, Any], lists: _Lists, where: str) -> None:
    """See that what OTLP repeats is a list of objects; the rest is read field by field."""
    for name, inner in lists.items():
        repeated = told.get(name)
        if repeated is None:
            continue
        if not isinstance(repeated, list) or not all(isinstance(one, dict) for one in repeated):
            raise _not_otlp(f"{where}{name} is not a list of objects")
        for at, one in enumerate(repeated):
            _check_lists(one, inner, f"{where}{name}[{at}].")


def _not_otlp(detail: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "not-otlp", detail)

"""`/v1/logs`, `/v1/metrics`, `/v1/traces`: OTLP/HTTP, JSON and protobuf, as agents and collectors export it.

https://opentelemetry.io/docs/specs/otlp/#otlphttp: the answer follows the sync, a refused record is counted in
`partial_success`, and an exporter that sends the same again changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import APIRouter, Depends, Request
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
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
from ledger.importing.import_report import ImportReport
from ledger.importing.importer import ImportOptions, import_parts
from ledger.sources.findings import Location, Options
from ledger.sources.grouping import WorkflowGroups
from ledger.sources.otlp import extract
from projections.server.http.auth import needs, service_of
from projections.server.http.otlp_bodies import decoded, inflated, is_small, json_object
from projections.server.http.problems import PROTOBUF, Refusal, documented_status, sentence
from projections.server.service.service import Service

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
        "description": "What was accepted is on the disk; `partialSuccess` counts what was refused.",
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


_POST: Final[dict[str, Any]] = {
    "dependencies": [Depends(needs("append"))],
    "response_class": Response,
    "responses": documented_status(400, 409, 415) | _TAKEN,
    "openapi_extra": {"requestBody": _BODY},
    "description": "What was refused is counted in `partialSuccess`; the same export again changes nothing.",
}


@router.post("/logs", summary="Log records, such as Claude Code's api_request", **_POST)
async def logs(request: Request) -> Response:
    """Take log records."""
    return await _export(request, ExportLogsServiceRequest, ExportLogsServiceResponse, "rejectedLogRecords")


@router.post("/metrics", summary="Metrics, such as Claude Code's cost and token counters", **_POST)
async def metrics(request: Request) -> Response:
    """Take data points."""
    return await _export(request, ExportMetricsServiceRequest, ExportMetricsServiceResponse, "rejectedDataPoints")


@router.post("/traces", summary="Spans with gen_ai.usage", **_POST)
async def traces(request: Request) -> Response:
    """Take spans."""
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
        plain = inflated(body, encoding, service.settings.body_bytes_max)
        try:
            requests = decoded(plain, request_type()) if media == PROTOBUF else [_json(plain)]
            groups = _grouped(requests, Location(f"POST {request.url.path}", 1))
        except ValueError as error:
            whole = "the body is not the protobuf message of this path" if media == PROTOBUF else str(error)
            raise _not_otlp(whole) from None
        return _append(service, groups)

    if is_small(body, encoding):
        report = await run_in_threadpool(take)
    else:  # from its first value to its sync, so that the memory of one is given back before the next one needs it
        report = await asyncio.get_running_loop().run_in_executor(request.app.state.large_bodies, take)
    for name, counts in report.workflows.items():
        if counts.appended:
            request.app.state.refresher.wake(name)
    return _answered(service, report, media, answer_type, rejected)


def _grouped(requests: Iterable[dict[str, Any]], place: Location) -> WorkflowGroups:
    """Group the findings of requests by workflow, in a file: one part at a time is in memory."""
    spool = WorkflowGroups()
    for request in requests:
        for found in extract(request, place, Options()):
            spool.take(found)
    return spool


def _append(service: Service, spool: WorkflowGroups) -> ImportReport:
    """Append the grouped findings.

    Raises:
        CostledgerError: some of it could not be appended now; when it is sent again, what was appended changes nothing.
    """
    parts = spool.parts()
    report = import_parts(service.ledgers, parts, ImportOptions(prices=service.prices))
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
    content: dict[str, Any] = {}
    if whys:
        why = "; ".join(dict.fromkeys(whys[:_WHY_MAX])) + (" …" if len(whys) > _WHY_MAX else "")
        content = {"partialSuccess": {rejected: str(len(whys)), "errorMessage": why}}
    if media == _JSON:
        return Response(orjson.dumps(content), media_type=_JSON)
    return Response(ParseDict(content, answer_type()).SerializeToString(), media_type=PROTOBUF)


def _json(body: bytes) -> dict[str, Any]:
    value = json_object(body)
    _check_lists(value, _LISTS, "")
    return value


def _check_lists(value: dict[str, Any], lists: _Lists, where: str) -> None:
    """Check that repeated fields are lists of objects; the rest is read field by field."""
    for name, inner in lists.items():
        repeated = value.get(name)
        if repeated is None:
            continue
        if not isinstance(repeated, list) or not all(isinstance(one, dict) for one in repeated):
            raise _not_otlp(f"{where}{name} is not a list of objects")
        for at, one in enumerate(repeated):
            _check_lists(one, inner, f"{where}{name}[{at}].")


def _not_otlp(detail: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "not-otlp", detail)

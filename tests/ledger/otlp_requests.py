"""OTLP requests as exporters send them, made here or taken apart, in JSON and as protobuf's JSON mapping."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ledger import MemoryStore
from ledger.importing.import_report import ImportReport
from ledger.importing.importer import import_parts
from ledger.sources.findings import Location, Options
from ledger.sources.grouping import WorkflowGroups
from ledger.sources.otlp import extract

__all__ = ["as_protobuf", "attributes", "log", "requests_of", "single_records", "span", "take"]

_MESSAGES: Final[dict[str, Callable[[], Message]]] = {
    "resourceLogs": ExportLogsServiceRequest,
    "resourceSpans": ExportTraceServiceRequest,
}
_KINDS: Final = (("resourceLogs", "scopeLogs", "logRecords"), ("resourceSpans", "scopeSpans", "spans"))


def attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}
    return [{"key": name, "value": {kinds[type(value)]: value}} for name, value in values.items()]


def log(scope: str, values: dict[str, Any], *, at: int = 1_795_894_812_690) -> dict[str, Any]:
    """A request with one log record, written at a millisecond since 1970."""
    record = {"timeUnixNano": str(at * 10**6), "attributes": attributes(values)}
    return {"resourceLogs": [{"scopeLogs": [{"scope": {"name": scope}, "logRecords": [record]}]}]}


def span(scope: str, name: str, values: dict[str, Any], *, id: int = 1) -> dict[str, Any]:
    """A request with one span of a trace of its own."""
    span = {
        "traceId": f"{id:032x}",
        "spanId": f"{id:016x}",
        "name": name,
        "endTimeUnixNano": "1795894812690000000",
        "attributes": attributes(values),
    }
    return {"resourceSpans": [{"scopeSpans": [{"scope": {"name": scope}, "spans": [span]}]}]}


def requests_of(path: Path) -> list[dict[str, Any]]:
    """The requests of a recorded export that hold log records or spans."""
    requests = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [request for request in requests if not request.keys().isdisjoint(_MESSAGES)]


def single_records(requests: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each log record and span in a request of its own."""
    for request in requests:
        for kind, inner, records in _KINDS:
            for resource in request.get(kind, []):
                for scope in resource[inner]:
                    for record in scope[records]:
                        yield {kind: [resource | {inner: [scope | {records: [record]}]}]}


def as_protobuf(request: dict[str, Any]) -> dict[str, Any]:
    """A request as a server gets it that was sent as protobuf."""
    ((kind, _),) = ((kind, value) for kind, value in request.items() if kind in _MESSAGES)
    message = ParseDict(_with_base64_ids(copy.deepcopy(request)), _MESSAGES[kind](), ignore_unknown_fields=True)
    spelled: dict[str, Any] = MessageToDict(message)
    return spelled


def _with_base64_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_base64_ids(each) for each in value if each is not None]
    if not isinstance(value, dict):
        return value
    made = {name: _with_base64_ids(each) for name, each in value.items() if each is not None}
    for name in ("traceId", "spanId", "parentSpanId"):
        if len(digits := made.get(name, "")) in (16, 32):
            made[name] = base64.b64encode(bytes.fromhex(digits)).decode()
    return made


def take(store: MemoryStore, *requests: dict[str, Any]) -> ImportReport:
    """Append what requests hold, as the server does with one after the other."""
    report = ImportReport()
    for request in requests:
        spool = WorkflowGroups()
        for found in extract(request, Location("POST /v1", 1), Options()):
            spool.take(found)
        report.merge(import_parts(store, spool.parts()))
        report.skipped += spool.skipped if not spool.parts() else []
    return report

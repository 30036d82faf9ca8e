"""`/api/events`: agents append events, and get what their workflow has cost so far."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http import HTTPStatus
from itertools import islice
from typing import Any, Final

import orjson
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response
from starlette.types import Scope

from ledger.capture.json_events import strict_json, submitted
from ledger.errors import CostledgerError, InvalidInput
from ledger.events import timestamps
from ledger.events.clock_check import check_not_ahead
from ledger.events.event import Event, event
from projections.documents.receipts import IndexedReceiptDocument, receipt_document
from projections.server.http import schemas
from projections.server.http.auth import needs, service_of
from projections.server.http.json_response import answer
from projections.server.http.otlp_bodies import SMALL_BYTES_MAX, check_values
from projections.server.http.problems import Refusal, documented, problem_of, response_to

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["events"])

_VALUES_PER_EVENT: Final = 50
"""On average; an event with every known field has about thirty."""

_LINE: Final = re.compile(rb"\S[^\n]*")
_NDJSON: Final = "application/x-ndjson"
_BODY: Final = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "anyOf": [
                    {"$ref": "#/components/schemas/Submitted"},
                    {"type": "array", "items": {"$ref": "#/components/schemas/Submitted"}, "minItems": 1},
                ]
            },
            "examples": {
                "one": {
                    "value": {
                        "type": "cost_observed",
                        "workflow_id": "a5b80595",
                        "id": "plan-1",
                        "agent": "plan",
                        "cost_usd": "0.09",
                    }
                }
            },
        },
        _NDJSON: {"schema": {"type": "string"}},
    },
}


_Parsed = tuple[int, Event | InvalidInput]
"""The index of an event in its request, and the event, or why it is invalid."""


@router.post(
    "/events",
    dependencies=[Depends(needs("append"))],
    status_code=201,
    response_model=schemas.Receipts,
    responses=documented(400, 404, 409, 415)
    | {
        200: {"model": schemas.Receipts, "description": "every event was there already: the first receipts"},
        207: {"model": schemas.Receipts, "description": "some events were refused, the others are in their ledgers"},
    },
    openapi_extra={"requestBody": _BODY},
    summary="Append one event or many; each receipt follows a sync",
)
async def append_events(request: Request) -> Response:
    """One event, an array of events, or JSON lines.

    Idempotent by `id`: the same again gives the first receipt, the same `id` with other content 409. `workflows` says
    what each workflow has cost after these events.

    An end or a correction (a `final` reading with a `reason`) of a workflow that does not exist is refused with 404;
    every other event may be its first. Where projectors write the rows it is taken: another host may have the workflow.
    """
    lines = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if lines not in ("application/json", _NDJSON):
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media-type", f"send application/json or {_NDJSON}")
    if (encoding := request.headers.get("content-encoding", "identity").strip().lower()) != "identity":
        detail = f"the body is encoded as {encoding[:50]!r}; send it as it is"
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "content-encoding", detail)
    body = b"".join([chunk async for chunk in request.stream()])  # `request.body()` keeps it until the answer
    most = service_of(request).settings.batch_events_max
    parse = partial(_parsed, body, most, as_lines=lines == _NDJSON)
    if len(body) <= SMALL_BYTES_MAX:
        parsed = parse()
    else:
        parsed = await asyncio.get_running_loop().run_in_executor(request.app.state.large_bodies, parse)
    del body, parse  # their events are all that is needed from here on
    return await _append(request, parsed)


def _parsed(body: bytes, most: int, *, as_lines: bool) -> list[_Parsed]:
    values: list[Any]
    make: Callable[[Any], Event]
    if as_lines:
        values, make = list(islice(_lines(body), most + 1)), submitted
    else:
        if len(body) > SMALL_BYTES_MAX:
            check_values(body, _VALUES_PER_EVENT * most)
        value = strict_json(body)
        values, make = value if isinstance(value, list) else [value], _event
    if not values:
        raise InvalidInput("the body has no event")
    if len(values) > most:
        detail = f"a request may have {most:,} events, and this one has more; send several"
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-many-events", detail)
    return [(index, _made(make, one)) for index, one in enumerate(values)]


def _made(make: Callable[[Any], Event], value: Any) -> Event | InvalidInput:
    try:
        return make(value)
    except InvalidInput as error:
        return error.with_traceback(None)  # whose frames hold every value


def _event(value: Any) -> Event:
    if not isinstance(value, dict):
        raise InvalidInput("is not a JSON object")
    return check_not_ahead(event(value), timestamps.now())


def _lines(body: bytes) -> Iterator[bytes]:
    """Yield the lines that are not empty, one at a time: a body may have millions of them."""
    for line in _LINE.finditer(body):
        yield line[0].strip()


async def _append(request: Request, parsed: Sequence[_Parsed]) -> Response:
    appender = request.app.state.appender
    by_workflow: dict[str, list[tuple[int, Event]]] = {}
    refused: list[tuple[int, CostledgerError]] = []
    for index, made in parsed:
        if isinstance(made, InvalidInput):
            refused.append((index, made))
        else:
            by_workflow.setdefault(made.workflow_id, []).append((index, made))
    names = list(by_workflow)
    done = await asyncio.gather(*(appender.append(name, [e for _, e in by_workflow[name]]) for name in names))
    receipts: list[IndexedReceiptDocument] = []
    for name, appended in zip(names, done, strict=True):
        for (index, _), outcome in zip(by_workflow[name], appended.outcomes, strict=True):
            if isinstance(outcome, CostledgerError):
                refused.append((index, outcome))
            else:
                receipts.append({**receipt_document(outcome), "index": index})
    if not receipts:
        return _all_refused(request.scope, parsed, refused)
    content = {
        "receipts": sorted(receipts, key=lambda receipt: receipt["index"]),
        "errors": [_refused(request.scope, *one) for one in sorted(refused, key=lambda one: one[0])],
        "workflows": {name: appended.status for name, appended in zip(names, done, strict=True)},
    }
    new = any(not receipt["duplicate"] for receipt in receipts)
    return answer(content, HTTPStatus.MULTI_STATUS if refused else HTTPStatus.CREATED if new else HTTPStatus.OK)


def _all_refused(asked: Scope, parsed: Sequence[_Parsed], refused: list[tuple[int, CostledgerError]]) -> Response:
    """Return the problem of the first event, with those of all events when there are several."""
    refused.sort(key=lambda one: one[0])
    if len(parsed) == 1:
        return response_to(refused[0][1], asked)
    problem = problem_of(refused[0][1], asked)
    problem["detail"] = f"none of {len(parsed):,} events was appended; event {refused[0][0]}: {problem['detail']}"
    problem["errors"] = [_refused(asked, *one) for one in refused]
    return Response(orjson.dumps(problem), problem["status"], media_type="application/problem+json")


def _refused(asked: Scope, index: int, error: CostledgerError) -> dict[str, Any]:
    problem = problem_of(error, asked)
    del problem["title"]
    return {"index": index} | problem

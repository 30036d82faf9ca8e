"""`/api/stream`: server-sent events, one per changed row (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from http import HTTPStatus
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Depends, Header, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from projections.server.access import needs, service_of
from projections.server.feed import Change, Feed
from projections.server.problems import Refusal, documented
from projections.server.rows import row_as_json
from projections.server.service import Service

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["live"])

_HEARTBEAT_SECONDS: Final = 15.0
"""A comment so often keeps proxies from closing an idle stream; browsers hand none of it on."""

_RESUMED_AT_ONCE: Final = 500


@router.get(
    "/stream",
    dependencies=[Depends(needs("read"))],
    response_class=StreamingResponse,
    responses=documented(400)
    | {
        200: {
            "description": "Events `row` (data: the row as `/api/workflow-history/{adw_id}` shows it) and `removed` "
            "(data: its `adw_id`); their ids resume the stream.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
    summary="Rows as they change; nothing when nothing changes",
)
async def stream(
    request: Request,
    last_event_id: Annotated[str | None, Header(description="go on after this event", examples=["41"])] = None,
) -> Response:
    feed: Feed = request.app.state.feed
    service = service_of(request)
    if len(feed) >= service.settings.streams_max:
        detail = f"{service.settings.streams_max:,} streams are open already"
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too-many-streams", detail, {"Retry-After": "30"})
    after = None if last_event_id is None else _number(last_event_id)
    return StreamingResponse(
        _changes(feed, service, after, request.app.state.keeper.last_change),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        detail = "Last-Event-ID: send the id of an event of this stream"
        raise Refusal(HTTPStatus.BAD_REQUEST, "last-event-id", detail)
    return int(text)


async def _changes(feed: Feed, service: Service, after: int | None, last: int) -> AsyncIterator[bytes]:
    subscription = feed.subscribe()
    try:
        seen = last if after is None else after
        yield b"id: %d\nretry: 2000\n: changes after this one\n\n" % seen
        while after is not None and (missed := await run_in_threadpool(_missed, service, seen)):
            yield _told(missed)
            seen = missed[-1].number
        while not subscription.lost:
            try:
                async with asyncio.timeout(_HEARTBEAT_SECONDS):
                    changes = await subscription.changes()
            except TimeoutError:
                yield b": nothing new\n\n"
                continue
            if new := [change for change in changes if change.number > seen]:
                yield _told(new)
                seen = new[-1].number
    finally:
        feed.unsubscribe(subscription)


def _missed(service: Service, seen: int) -> list[Change]:
    history, budgets = service.history, service.config.budgets
    rows = [(number, name, history.row(name)) for number, name in history.changes_after(seen, _RESUMED_AT_ONCE)]
    return [Change(number, name, None if row is None else row_as_json(row, budgets)) for number, name, row in rows]


def _told(changes: Iterable[Change]) -> bytes:
    return b"".join(
        b"id: %d\nevent: %b\ndata: %b\n\n"
        % (
            change.number,
            b"removed" if change.row is None else b"row",
            orjson.dumps({"adw_id": change.adw_id} if change.row is None else change.row),
        )
        for change in changes
    )

"""`/api/stream`: server-sent events, one per changed row (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from http import HTTPStatus
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Depends, Header, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from ledger.errors import CostledgerError
from projections.history.store import era_of
from projections.server.background.change_feed import ChangeFeed, RowChange, Subscription
from projections.server.background.row_refresher import RowRefresher
from projections.server.http.auth import needs, service_of
from projections.server.http.problems import Refusal, documented
from projections.server.service.service import Service

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["live"])

_HEARTBEAT_SECONDS: Final = 3.0
"""How often a comment is sent: it keeps proxies from closing an idle stream, and ends that of a revoked token."""

_NUMBERS_END: Final = 2**63

_RESUMED_AT_ONCE: Final = 500


@router.get(
    "/stream",
    response_class=StreamingResponse,
    responses=documented(400)
    | {
        200: {
            "description": "Events `row` (data: the row as `/api/workflow-history/{adw_id}` shows it) and `removed` "
            "(data: its `adw_id`); their ids resume the stream. `reset` (data: `{}`) comes first when the history does "
            "not know the id that was sent, since it was made again: earlier events may be wrong, so load all that is "
            "shown again. The stream ends when its token is revoked.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
    summary="Rows as they change; nothing when nothing changes",
)
async def stream(
    request: Request,
    look_again: Annotated[Callable[[], None], Depends(needs("read"))],
    last_event_id: Annotated[str | None, Header(description="go on after this event", examples=["41"])] = None,
) -> Response:
    """A comment every three seconds keeps the connection open."""
    feed: ChangeFeed = request.app.state.feed
    service = service_of(request)
    if len(feed) >= service.settings.streams_max:
        detail = f"{service.settings.streams_max:,} streams are open already"
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too-many-streams", detail, {"Retry-After": "30"})
    after = None if last_event_id is None else _number(last_event_id)
    subscription = feed.subscribe()  # here, so that the next request counts it
    content = _while_allowed(look_again, _changes(subscription, service, after, request.app.state.refresher))
    return _EventStream(content, lambda: feed.unsubscribe(subscription))


class _EventStream(StreamingResponse):
    """A response that goes on.

    Args:
        ended: called at its end, also when the client left before its start.
    """

    def __init__(self, content: AsyncGenerator[bytes], ended: Callable[[], None]) -> None:
        super().__init__(content, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) < _NUMBERS_END):
        detail = "Last-Event-ID: send the id of an event of this stream"
        raise Refusal(HTTPStatus.BAD_REQUEST, "last-event-id", detail)
    return int(text)


async def _while_allowed(look_again: Callable[[], None], content: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Yield the content until its token is revoked."""
    async with aclosing(content):
        async for text in content:
            try:
                look_again()
            except (Refusal, CostledgerError):
                return  # the next request gets the reason
            yield text


async def _changes(
    subscription: Subscription, service: Service, after: int | None, refresher: RowRefresher
) -> AsyncGenerator[bytes]:
    reset = after is not None and not await run_in_threadpool(_knows, service, after)
    last = refresher.last_change if after is None or reset else after
    yield b"id: %d\nretry: 2000\n: changes after this one\n\n" % last
    if reset:
        yield b"id: %d\nevent: reset\ndata: {}\n\n" % last
    while after is not None and (missed := await run_in_threadpool(_missed, service, last)):
        yield _encoded(missed)
        last = missed[-1].number
    while not subscription.lost:
        try:
            async with asyncio.timeout(_HEARTBEAT_SECONDS):
                changes = await subscription.changes()
        except TimeoutError:
            yield b": nothing new\n\n"
            continue
        if new := [change for change in changes if change.number > last]:
            yield _encoded(new)
            last = new[-1].number


def _knows(service: Service, number: int) -> bool:
    """Whether the history has or had a change of this number; 0 is before its first."""
    from_there = service.history.changes_after(number - 1, 1) if number else [(0, "")]
    return bool(from_there) and era_of(from_there[0][0]) == era_of(number)


def _missed(service: Service, last: int) -> list[RowChange]:
    history = service.history
    rows = [(number, name, history.row(name)) for number, name in history.changes_after(last, _RESUMED_AT_ONCE)]
    return [RowChange(number, name, None if row is None else service.row_document(row)) for number, name, row in rows]


def _encoded(changes: Iterable[RowChange]) -> bytes:
    return b"".join(
        b"id: %d\nevent: %b\ndata: %b\n\n"
        % (
            change.number,
            b"removed" if change.row is None else b"row",
            orjson.dumps({"adw_id": change.adw_id} if change.row is None else change.row),
        )
        for change in changes
    )

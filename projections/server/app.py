"""The application: routes, the limits of requests, and the threads that start and stop with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson
from anyio import to_thread
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import Match

from ledger.errors import (
    CostledgerError,
    DamagedLedger,
    HistoryReplaced,
    HistoryUnavailable,
    HistoryUnwritable,
    LedgerUnavailable,
)
from projections.server.background.application_copy import ApplicationCopy
from projections.server.background.budget_status import BudgetStatuses
from projections.server.background.change_feed import ChangeFeed, RowChange
from projections.server.background.group_commit import GroupCommit
from projections.server.background.metrics import Metrics
from projections.server.background.row_refresher import RowRefresher
from projections.server.background.source_follower import Follower
from projections.server.background.totals import OverallTotals
from projections.server.background.verification import VerificationRunner
from projections.server.http import schemas as shapes
from projections.server.http.middleware import RequestLimits
from projections.server.http.parameters import only_known
from projections.server.http.problems import ProblemDetails, Refusal, Status, documented, response_to
from projections.server.routes import (
    breakdowns,
    events,
    health,
    login,
    otlp,
    page,
    removals,
    reports,
    spend,
    stream,
    workflows,
)
from projections.server.routes import webhooks as webhooks_routes
from projections.server.service.descriptors import threads_at_hand
from projections.server.service.service import Service
from projections.server.webhooks.dispatcher import WebhookDispatcher
from projections.server.webhooks.endpoints import Endpoint, endpoint_of

__all__ = ["EXAMPLES", "create_app"]

EXAMPLES: Final = Path(__file__).with_name("examples.json")
"""Responses of a server, by method, path and status, for the OpenAPI document; docs/api_examples.py writes them."""

_THREADS: Final = 40
"""Threads that answer requests: as many as anyio makes by default."""
_COMPRESSED_BYTES: Final = 1_000
"""A smaller answer fits into one packet as it is."""
_COMPRESSION: Final = 3
"""The level of gzip."""

_DESCRIPTION = (
    "What AI workflows cost, provably. Money is USD as text, times are UTC, errors are problem details (RFC 9457). "
    "On a loopback address no token is needed unless the server was started with --require-tokens."
)


def create_app(service: Service) -> FastAPI:
    """Return the ASGI application of a service; on shutdown it finishes the requests that it has accepted.

    Raises:
        InvalidInput: the secret of a webhook is missing.
    """
    metrics = Metrics()
    endpoints = [endpoint_of(webhook) for webhook in service.config.webhooks]

    app = FastAPI(
        title="costledger",
        version=version("costledger"),
        lifespan=lambda app: _running(app, service, metrics, endpoints),
        docs_url=None,
        redoc_url=None,
    )
    parts = (workflows, removals, breakdowns, spend, reports, events, otlp, stream, webhooks_routes, health, login)
    for module in parts:
        app.include_router(module.router, dependencies=[Depends(only_known)], responses=documented())
    app.include_router(page.router)
    for error in (CostledgerError, Refusal):
        app.add_exception_handler(error, _answered)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_middleware(GZipMiddleware, minimum_size=_COMPRESSED_BYTES, compresslevel=_COMPRESSION)
    app.add_middleware(RequestLimits, settings=service.settings, requests=metrics.requests)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _running(
    app: FastAPI, service: Service, metrics: Metrics, endpoints: Sequence[Endpoint]
) -> AsyncIterator[None]:
    """Start the threads of the server, and stop them at the end."""
    to_thread.current_default_thread_limiter().total_tokens = threads_at_hand(_THREADS)
    feed, publish = _feed(app)
    refresher = RowRefresher(service, publish)
    webhooks = WebhookDispatcher(service, endpoints, refresher, metrics)
    statuses = BudgetStatuses(service, refresher)
    appender = GroupCommit(service, refresher, statuses, metrics)
    copies = ApplicationCopy(service)
    follower, verifications = Follower(service, refresher.wake), VerificationRunner(service, refresher.suspect)
    app.state.service, app.state.refresher, app.state.feed, app.state.webhooks = service, refresher, feed, webhooks
    app.state.appender = appender
    app.state.large_bodies = ThreadPoolExecutor(1, "large bodies")
    app.state.totals, app.state.metrics, app.state.verifications = OverallTotals(service), metrics, verifications
    app.state.follower, app.state.application_copy = follower, copies
    await asyncio.to_thread(refresher.start)
    follower.start()
    copies.start()
    await webhooks.start()
    try:
        yield
    finally:
        feed.close()
        await appender.close()
        await webhooks.stop()
        verifications.stop()
        for stop in (follower.stop, copies.stop, statuses.close, refresher.stop, app.state.large_bodies.shutdown):
            await asyncio.to_thread(stop)
        await asyncio.to_thread(service.close)


def _feed(app: FastAPI) -> tuple[ChangeFeed, Callable[[Sequence[RowChange]], None]]:
    """Return a feed of the running event loop, and the function with which other threads publish to it."""
    loop, feed = asyncio.get_running_loop(), ChangeFeed()

    def distribute(changes: Sequence[RowChange]) -> None:
        if changes:
            feed.publish(changes)
        app.state.webhooks.wake()

    def publish(changes: Sequence[RowChange]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(distribute, changes)

    return feed, publish


async def _answered(request: Request, error: Exception) -> Response:
    if isinstance(error, DamagedLedger | LedgerUnavailable):
        # so that /api/health names it
        await run_in_threadpool(request.app.state.refresher.suspect, [error.path.stem])
    if isinstance(error, HistoryUnavailable) and not isinstance(error, HistoryReplaced | HistoryUnwritable):
        request.app.state.refresher.check_history(error)
    return response_to(error, request.scope)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    refusal = Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", f"{where}: {first['msg']}")
    return response_to(refusal, request.scope)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status, headers = HTTPStatus(error.status_code), dict(error.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed(request)
        if request.method == "OPTIONS":
            return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
    detail = f"{request.method} {request.url.path[:200]}: {status.description or status.phrase}"
    return response_to(Refusal(status, status.phrase.lower().replace(" ", "-"), detail, headers), request.scope)


def _allowed(request: Request) -> str:
    """Return the methods that a path answers; `RequestLimits` makes a GET of a HEAD."""

    def answers(method: str) -> bool:
        asked = {**request.scope, "method": method}
        return any(route.matches(asked)[0] is Match.FULL for route in request.app.routes)

    methods = {method for method in ("GET", "POST", "PUT", "PATCH", "DELETE") if answers(method)}
    return ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with the schemas that no handler's signature names."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes)
        schemas = made.setdefault("components", {}).setdefault("schemas", {})
        for shape in (ProblemDetails, Status, shapes.Submitted):
            schemas[shape.__name__] = shape.model_json_schema()
        for operation, example in orjson.loads(EXAMPLES.read_bytes()).items():
            method, path, status = operation.split()
            made["paths"][path][method]["responses"][status]["content"]["application/json"]["example"] = example
        app.openapi_schema = made
    return app.openapi_schema

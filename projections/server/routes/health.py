"""`/healthz`, `/readyz`, `/metrics` and `/api/health`: for its operators."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import PlainTextResponse, Response

from ledger.errors import HistoryUnavailable, HistoryUnwritable
from ledger.events import timestamps
from ledger.text import counted
from projections.documents.budgets import period_budget_document
from projections.documents.spend import unpriced_document
from projections.documents.verification import VerificationDocument, verification_document
from projections.replay.verify import Finding
from projections.reports.period_budgets import PeriodBudgetStatus, budgets_now, spent_most
from projections.server.background.metrics import families
from projections.server.background.row_refresher import RowRefresher
from projections.server.background.totals import Overall
from projections.server.background.verification import Verification, VerificationRunner
from projections.server.http import schemas
from projections.server.http.auth import needs, service_of
from projections.server.http.json_response import answer
from projections.server.http.problems import Refusal, documented, from_within, sentence
from projections.server.service.service import Service
from projections.server.webhooks.dispatcher import WebhookDispatcher

__all__ = ["router"]

router = APIRouter(tags=["operations"])

_NAMES_MAX: Final = 100


@router.get("/healthz", response_class=PlainTextResponse, summary="The process answers")
async def healthz() -> str:
    """No token is needed."""
    return "ok\n"


@router.get("/readyz", response_class=PlainTextResponse, summary="Rows follow the ledgers")
async def readyz(request: Request) -> str:
    """Also while some ledgers are damaged, which the text reports: the others go on."""
    refresher: RowRefresher = request.app.state.refresher
    if not refresher.ready:
        # No token is needed here, so the location of the history is left out.
        detail = f"{_what_fails(refresher.state.error)}; the log and GET /api/health say why"
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "not-ready", detail, {"Retry-After": "5"})
    damaged = len(refresher.state.problems)
    return f"ready; {counted(damaged, 'ledger')} cannot be replayed, see /api/health\n" if damaged else "ready\n"


def _what_fails(error: Exception | None) -> str:
    if isinstance(error, HistoryUnwritable):
        return "rows cannot be stored"
    return "the history does not answer" if isinstance(error, HistoryUnavailable) else "rows do not follow"


@router.get(
    "/metrics",
    dependencies=[Depends(needs("read"))],
    response_class=PlainTextResponse,
    summary="The same for Prometheus",
)
def metrics(request: Request) -> Response:
    """Totals are a few seconds old."""
    state = request.app.state
    refresher: RowRefresher = state.refresher
    now = CollectorRegistry()
    now.register(_Collected([*families(state.totals.overall()), *_live(refresher, len(state.feed), state.webhooks)]))
    text = generate_latest(state.metrics.registry) + generate_latest(now)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


@router.get(
    "/api/health",
    dependencies=[Depends(needs("read"))],
    response_model=schemas.Health,
    summary="What needs attention on the server and in the ledgers",
)
def health(request: Request) -> Response:
    """Totals are a few seconds old; at most 100 names of each kind of file are listed."""
    state, service = request.app.state, service_of(request)
    data = service.settings.data
    refresher: RowRefresher = state.refresher
    at = refresher.state.refreshed_at
    overall: Overall = state.totals.overall()
    problem = state.application_copy.problem()
    return answer(
        {
            "ready": refresher.ready,
            "error": None if refresher.state.error is None else sentence(refresher.state.error, data),
            "refreshed_at": timestamps.to_wire(timestamps.from_unix(at)) if at else None,
            "refresh_lag_seconds": round(refresher.state.lag_seconds, 6),
            "streams": len(state.feed),
            "problems": {
                name: sentence(problem.error, data) for name, problem in sorted(refresher.state.problems.items())
            },
            "unpriced": unpriced_document(overall.unpriced),
            "leftovers": {kind: _named(names) for kind, names in asdict(overall.leftovers).items()},
            "misplaced": overall.misplaced,
            "verification": _verification(state.verifications.last, data),
            "sources": state.follower.followed(),
            "webhooks": state.webhooks.state(),
            "budgets": [period_budget_document(one) for one in _near_or_over(service)],
            "application": state.application_copy.as_json(None if problem is None else sentence(problem, data)),
        }
    )


@router.post(
    "/api/verify",
    dependencies=[Depends(needs("admin"))],
    status_code=202,
    response_model=schemas.VerificationStarted,
    responses=documented(409),
    summary="Prove every chain, checkpoint and row; `GET /api/health` has what it found",
)
def verify(request: Request) -> Response:
    """One verification runs at a time: `started` is false when one is running already."""
    verifications: VerificationRunner = request.app.state.verifications
    started = verifications.start()
    return answer(
        {"started": started, "verification": _verification(verifications.last, service_of(request).settings.data)},
        HTTPStatus.ACCEPTED,
    )


class _Collected(Collector):
    """A collector of metrics that exist already."""

    def __init__(self, found: Sequence[Metric]) -> None:
        self._found = found

    def collect(self) -> Sequence[Metric]:
        """Return the metrics."""
        return self._found


def _live(refresher: RowRefresher, streams: int, webhooks: WebhookDispatcher) -> Iterator[Metric]:
    gauges = {
        "refresh_lag_seconds": ("From the last notification to its rows", refresher.state.lag_seconds),
        "refreshed_timestamp_seconds": ("When every ledger was last looked at", refresher.state.refreshed_at),
        "ledgers_damaged": ("Ledgers that cannot be replayed", len(refresher.state.problems)),
        "streams": ("Open event streams", streams),
    }
    for name, (help, value) in gauges.items():
        yield GaugeMetricFamily(f"costledger_{name}", help, value=value)
    pending = GaugeMetricFamily("costledger_webhook_pending", "Messages that wait", labels=["endpoint"])
    dead = GaugeMetricFamily("costledger_webhook_dead", "Messages that were given up", labels=["endpoint"])
    for state in webhooks.state():
        pending.add_metric([state["id"]], state["pending"])
        dead.add_metric([state["id"]], state["dead"])
    yield from (pending, dead)


def _verification(last: Verification | None, data: Path) -> VerificationDocument | None:
    if last is None:
        return None
    return verification_document(
        last.proof,
        [Finding(*(from_within(text, data) for text in astuple(one))) for one in list(last.findings)],
        started_at=last.started_at,
        finished_at=last.finished_at,
        error=None if last.error is None else from_within(last.error, data),
    )


def _near_or_over(service: Service) -> list[PeriodBudgetStatus]:
    """Return the budgets of periods that are near or over; none while the history does not answer, which is named."""
    try:
        return spent_most(budgets_now(service.history, service.config.budgets, rules=service.tag_rules))
    except HistoryUnavailable:
        return []


def _named(names: Sequence[str]) -> dict[str, Any]:
    return {"count": len(names), "names": names[:_NAMES_MAX]}

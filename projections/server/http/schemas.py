"""The shapes of answers, for the OpenAPI document. Money is text in USD, times are UTC text, tokens are counts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Accept",
    "AcceptedSchema",
    "Access",
    "AuditLog",
    "Events",
    "Health",
    "Login",
    "Receipts",
    "Resent",
    "ResyncSchema",
    "SpendSchema",
    "Stale",
    "Steps",
    "Submitted",
    "VerificationBegun",
    "WebhooksSchema",
    "WorkflowPage",
    "WorkflowRow",
]

Usd = Annotated[str, Field(pattern=r"^-?[0-9]+\.[0-9]{2,9}$", examples=["2.37"])]
Moment = Annotated[str, Field(examples=["2026-11-23T18:33:01.123456Z"])]
AdwId = Annotated[str, Field(examples=["a5b80595"])]


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class BudgetSchema(_Schema):
    """How a workflow stands against its budget."""

    budget: Usd
    spent: Usd
    left: Usd = Field(description="negative once it is over")
    percent: int | None = Field(
        description="spent, of the budget, rounded down, and at least 101 when it is over; null of a budget of 0",
        examples=[84],
    )
    state: str = Field(
        description="ok, warned (from the first share of [budgets] warn_at on) or over", examples=["warned"]
    )
    at_least: bool = Field(description="some usage has no price or is incomplete, so more than this was spent")


class Copy(_Schema):
    """What an application's own table shows of a workflow."""

    stored_cost: Usd | None = Field(description="null: its column is NULL", examples=["0.09"])
    ledger_cost: Usd = Field(description="what the ledger says")
    held: bool = Field(description="the workflow runs and a larger cost is stored, which stays until it ends")
    wrong: list[str] = Field(description="columns that do not show the row", examples=[["actual_cost_total"]])
    overwrites: int = Field(description="how often another writer has set it back, each within an hour of the last")


class WorkflowRow(_Schema):
    """A row of `workflow_history`."""

    adw_id: AdwId
    issue_number: int | None = Field(examples=[17])
    workflow_template: str | None = Field(examples=["adw_sdlc"])
    project: str | None = Field(
        examples=["/home/ann/shop"],
        description="the repository, or the folder, that it worked in; a name, where its start gives one",
    )
    branch: str | None = Field(examples=["main"], description="the git branch on which it began")
    tool: str | None = Field(
        examples=["Claude Code"], description="whose logs its readings come from; null without a reading"
    )
    status: str = Field(examples=["completed"], description="running, completed, failed or cancelled")
    idle: bool = Field(description="running, and without activity for `idle_after` of the configuration, an hour")
    start_time: Moment | None
    end_time: Moment | None
    duration_seconds: int | None = Field(
        examples=[841],
        description="from start to end; null while it runs, and when the end was recorded a day after all activity",
    )
    last_activity: Moment | None = Field(description="the latest of its readings, starts and ends")
    actual_cost_total: Usd = Field(
        description="0.00 is a figure only with a `cost_basis` of reported or priced: without one it is unknown, and "
        "with `unpriced_events` nothing of it has a price"
    )
    estimated_cost_total: Usd | None
    budget: BudgetSchema | None = Field(description="null: neither its start nor the configuration sets one")
    cost_breakdown: dict[str, Any] = Field(examples=[{"by_agent": {"plan": "2.37"}, "by_model": {"opus": "2.37"}}])
    token_breakdown: dict[str, Any]
    input_tokens: int = Field(description="uncached input")
    cached_tokens: int = Field(description="cache writes")
    cache_hit_tokens: int = Field(description="cache reads")
    cache_miss_tokens: int = Field(description="uncached input")
    output_tokens: int
    total_tokens: int
    cache_efficiency_percent: float = Field(description="100 × reads ÷ (input + writes + reads)")
    model_used: str | None = Field(description="the model that cost most")
    cost_basis: str | None = Field(description="reported, priced or partial (at least this); null without a reading")
    unpriced_events: int = Field(description="meters whose tokens have no price")
    event_count: int
    ledger_seq: int
    ledger_hash: str
    error_message: str | None
    created_at: Moment
    updated_at: Moment
    application: Copy | None = Field(
        description="null: no application's table is named, it has no row of this workflow, or the row comes by stream"
    )


class StatusTotals(_Schema):
    count: int
    cost: Usd
    at_least: bool


class Analytics(_Schema):
    """What all rows of the filter add up to, not only those of the page."""

    total_cost: Usd
    average_cost: Usd | None
    at_least: bool = Field(description="some row is partial or has unpriced events: the true total is above this")
    partial_count: int
    unpriced_events: int
    input_tokens: int
    cached_tokens: int
    cache_hit_tokens: int
    output_tokens: int
    total_tokens: int
    cache_efficiency_percent: float
    by_status: dict[str, StatusTotals]


class WorkflowPage(_Schema):
    workflows: list[WorkflowRow]
    total_count: int
    analytics: Analytics


class AuditEntrySchema(_Schema):
    id: int
    adw_id: AdwId
    old_cost: Usd | None
    new_cost: Usd
    reason: str = Field(examples=["resync --force"])
    timestamp: Moment


class AuditLog(_Schema):
    entries: list[AuditEntrySchema]
    application: list[AuditEntrySchema] = Field(description="the newest entries of the application's own audit log")
    next: int | None = Field(description="`after` for the entries behind these; null when there are none")


class LedgerEvent(_Schema):
    """A line of the ledger, and what it did to the workflow's cost."""

    event: dict[str, Any] = Field(description="the line as it is in the ledger")
    cost_before: Usd
    cost_after: Usd


class Events(_Schema):
    events: list[LedgerEvent] = Field(description="`limit` of them, or fewer where they fill 8 MiB")
    next: int | None = Field(description="`after` of the next page; null on the last one")


class StepSchema(_Schema):
    """An event that moved the cost."""

    seq: int
    recorded_at: Moment
    observed_at: Moment | None
    type: str
    meter: str
    from_cost: Usd
    to_cost: Usd
    why: str
    file: str | None
    line: int | None


class Steps(_Schema):
    adw_id: AdwId
    steps: list[StepSchema] = Field(description="`limit` of them, or fewer where they fill 8 MiB")
    event_count: int = Field(description="events that were read for this page: all of the ledger's on the last one")
    next: int | None = Field(description="`after` of the next page; null on the last one")


class CostChangeSchema(_Schema):
    adw_id: AdwId
    old_cost: Usd | None = Field(description="null when there was no row")
    new_cost: Usd
    status: str
    reason: str = Field(
        description="who wrote the row: this resync, or whoever was faster, such as another one, or a refresh",
        examples=["resync --force"],
    )


class ResyncSchema(_Schema):
    resynced_count: int
    workflows: list[AdwId]
    changes: list[CostChangeSchema]
    errors: list[str]
    appended: int = Field(description="events that the sources held and the ledgers did not")
    skipped: int = Field(description="inputs of the sources that could not be read")


class DoubtSchema(_Schema):
    """A finding: why a workflow needs attention, and the step that ends it."""

    adw_id: AdwId
    status: str
    cost: Usd
    cost_basis: str | None = Field(description="null: its cost is unknown, and no zero", examples=["reported"])
    unpriced_events: int = Field(description="meters whose tokens have no price: a cost of 0.00 is unpriced then")
    kind: str = Field(examples=["low_cost"])
    why: str
    next_step: str


class Stale(_Schema):
    doubts: list[DoubtSchema] = Field(description="of the rows that changed last")
    more: bool = Field(description="there may be findings about older rows, too")


class Accept(_Schema):
    reason: str = Field(min_length=1, max_length=4096, pattern=r"\S", examples=["a promotion: the model was free"])
    kinds: list[str] | None = Field(
        default=None, max_length=50, description="of the findings; without it all of the workflow"
    )


class AcceptedSchema(_Schema):
    adw_id: AdwId
    accepted: list[str] = Field(description="the kinds of the findings", examples=[["low_cost"]])
    id: str
    seq: int


class ReceiptSchema(_Schema):
    """The event is in its ledger, and on the disk."""

    index: int = Field(description="place in the request, from 0")
    workflow_id: AdwId
    id: str
    seq: int
    hash: str
    duplicate: bool = Field(description="it was there before; this is the first receipt")


class RefusedEventSchema(_Schema):
    """An event that was not appended; the others were."""

    index: int
    type: str
    status: int
    detail: str


class WorkflowStandingSchema(_Schema):
    """How a workflow stands after these events.

    On rows that projectors write, `cost` is the larger of the row's and this host's ledger's: at least so much was
    spent by all hosts, and all of it once projectors have read these events.
    """

    cost: Usd
    at_least: bool = Field(description="some usage has no price or is incomplete, so more than `cost` was spent")
    unpriced_events: int = Field(description="meters whose tokens have no price")
    status: str
    budget: BudgetSchema | None = Field(description="what is left, so that an agent can stop itself; null: no budget")
    hosts: Literal["all", "this"] = Field(
        description="whose events count: `this` host's alone where projectors write the rows, and there is none yet or "
        "they could not be asked at once; a budget that another host set is then not known"
    )
    problem: str | None = Field(
        description="why the ledger cannot be replayed, so that the row alone says what was spent; null when it can"
    )


class Receipts(_Schema):
    receipts: list[ReceiptSchema]
    errors: list[RefusedEventSchema]
    workflows: dict[str, WorkflowStandingSchema]


class Submitted(BaseModel):
    """An event as `costledger append` takes it, without seq, hash and recorded_at; fields not named here are kept."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["cost_observed"])
    workflow_id: AdwId
    id: str | None = Field(default=None, description="said again, the same event appends nothing")
    cost_usd: str | float | None = Field(default=None, examples=["0.09"])
    agent: str | None = Field(default=None, examples=["plan"])
    model: str | None = Field(default=None, description="without a `cost_usd`, its price times `usage` is the cost")


class SpendFigures(_Schema):
    cost: Usd
    at_least: bool = Field(description="more was spent: some usage has no price or is incomplete")
    input_tokens: int = Field(description="uncached input")
    cache_write_tokens: int
    cache_write_1h_tokens: int = Field(description="the part of the cache writes that lives for an hour")
    cache_read_tokens: int
    output_tokens: int
    total_tokens: int
    web_search_requests: int
    unpriced_events: int = Field(description="messages without a price: a cost of 0.00 is unpriced then, and no figure")


class SpendGroup(SpendFigures):
    group: str | int | None = Field(description="null: nobody named it", examples=["claude-sonnet-4-5"])


class SpendLine(SpendGroup):
    period: str = Field(description="a day, an ISO week or a month", examples=["2026-11-23"])
    models: list[str]


class Unpriced(_Schema):
    """Usage without a price: the true cost is above what is told."""

    events: int
    tokens: int


class SpendSchema(_Schema):
    """Spend over time; `lines` add up to `groups`, which are one for each value of `by`, and all of them to `total`."""

    period: str
    by: str | None
    timezone: str = Field(description="whose days; for `local`, what the server's host calls its zone")
    lines: list[SpendLine]
    groups: list[SpendGroup]
    total: SpendFigures
    spent_at_from: dict[str, Usd] = Field(
        description="what is dated by evidence since its source has no time: file (the log's modification time), "
        "adw_state, application (its row) or transcript",
        examples=[{"file": "1.23"}],
    )
    unpriced: dict[str, Unpriced] = Field(description="by model")


class Named(_Schema):
    count: int
    names: list[str] = Field(description="the first hundred")


class LeftoversSchema(_Schema):
    """Files beside the ledgers that say what went wrong."""

    fenced: Named = Field(description="a sync failed, and nobody has appended to that ledger since")
    torn: Named = Field(description="tails that were never acknowledged, moved aside")
    damaged: Named = Field(description="what a salvage put aside")


class VerificationFinding(_Schema):
    workflow_id: str
    problem: str
    next_step: str


class VerificationSchema(_Schema):
    """The last `POST /api/verify`."""

    started_at: Moment
    finished_at: Moment | None = Field(description="null: it is running")
    ledgers: int
    events: int
    rows: int
    findings_count: int
    findings: list[VerificationFinding] = Field(description="the first two hundred")
    error: str | None = Field(description="why it could not be finished")


class VerificationBegun(_Schema):
    begun: bool = Field(description="false: one is running already")
    verification: VerificationSchema


class Followed(_Schema):
    """A source that is followed."""

    kind: str
    path: str
    trouble: str | None = Field(description="why it cannot be followed as it is")


class EndpointSchema(_Schema):
    """One receiver of webhooks."""

    id: str
    host: str = Field(
        description="scheme and host; the rest of a URL may hold a secret", examples=["https://hooks.example"]
    )
    events: list[str]
    pending: int = Field(description="messages that it is yet to take")
    oldest_pending_at: Moment | None
    dead: int = Field(description="messages that were given up")
    delivered: int
    last_delivered_at: Moment | None
    last_error: str | None = Field(description="of the last attempt; null: it succeeded")


class DeadLetterSchema(_Schema):
    """A message that an endpoint did not take."""

    id: str = Field(description="its webhook-id", examples=["msg_2b0c8a7de1f34b3e9c5d7a6b1f2e3d4c"])
    endpoint: str
    type: str = Field(examples=["cost.updated"])
    adw_id: AdwId
    made_at: Moment
    attempts: int
    last_error: str


class WebhooksSchema(_Schema):
    endpoints: list[EndpointSchema]
    dead_letters: list[DeadLetterSchema] = Field(description="the newest thousand, the newest first")


class Resent(_Schema):
    id: str
    endpoints: list[str] = Field(description="that will be sent it again")


class ApplicationCopySchema(_Schema):
    """How an application's table is kept right."""

    compared_at: Moment | None
    waiting: int = Field(description="rows that only a resync writes, since an upgrade reads ledgers in another way")
    error: str | None = Field(description="why it could not be read or written; null when it could")


class Health(_Schema):
    """What needs attention on the server and in the ledgers."""

    ready: bool
    error: str | None = Field(description="why the last look at the ledgers failed; null when it did not")
    refreshed_at: Moment | None
    refresh_lag_seconds: float
    streams: int
    problems: dict[str, str] = Field(description="ledgers that could not be replayed, and why")
    unpriced: dict[str, Unpriced] = Field(description="by model")
    beside: LeftoversSchema
    misplaced: str | None = Field(description="why the data directory may be one of two, and what to do")
    verification: VerificationSchema | None = Field(description="null: none since the server was started")
    sources: list[Followed]
    webhooks: list[EndpointSchema]
    application: ApplicationCopySchema | None = Field(description="null: no application's table is named")


class Login(_Schema):
    token: str = Field(min_length=1, max_length=200, description="as `costledger token create` printed it")


class Access(_Schema):
    token_needed: bool
    scope: str | None = Field(description="read, append or admin, of the cookie's token; null without one")

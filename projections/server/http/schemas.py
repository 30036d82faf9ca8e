"""Requests, and the answers that only the server gives, for the OpenAPI document; see `projections.documents`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from projections.documents.budgets import BudgetDocument, PeriodBudgetDocument
from projections.documents.receipts import IndexedReceiptDocument
from projections.documents.spend import UnpricedDocument
from projections.documents.types import AdwIdText, Moment, Usd
from projections.documents.verification import VerificationDocument
from projections.documents.webhooks import EndpointDocument

__all__ = ["Accept", "Access", "Health", "Login", "MoveAsked", "Receipts", "Resent", "Submitted", "VerificationStarted"]


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Accept(_Schema):
    reason: str = Field(min_length=1, max_length=4096, pattern=r"\S", examples=["a promotion: the model was free"])
    kinds: list[str] | None = Field(
        default=None, max_length=50, description="of the findings; without it all of the workflow"
    )


class MoveAsked(_Schema):
    to: str = Field(min_length=1, max_length=128, examples=["issue-17"], description="the workflow to count in")
    session_id: str | None = Field(default=None, max_length=512, description="only this session of it")
    agent: str | None = Field(default=None, max_length=512, description="the agent's name there")
    reason: str | None = Field(default=None, max_length=4096)


class RefusedEventSchema(_Schema):
    """An event that was not appended; the others were."""

    index: int
    type: str
    status: int
    detail: str


class WorkflowStandingSchema(_Schema):
    """The status of a workflow after these events.

    On rows that projectors write, `cost_usd` is the larger of the row's and this host's ledger's: at least so much was
    spent by all hosts, and all of it once projectors have read these events.
    """

    cost_usd: Usd | None = Field(description="null: unknown, or with `unpriced_events` unpriced")
    at_least: bool = Field(
        description="some usage has no price or is incomplete, or there is no reading: more than `cost_usd` was spent"
    )
    unpriced_events: int = Field(description="meters whose tokens have no price")
    status: str
    budget: BudgetDocument | None = Field(description="what is left, so that an agent can stop itself; null: no budget")
    hosts: Literal["all", "this"] = Field(
        description="whose events count: `this` host's alone where projectors write the rows, and there is none yet or "
        "they could not be asked at once; a budget that another host set is then not known"
    )
    problem: str | None = Field(
        description="why the ledger cannot be replayed, so that the row alone says what was spent; null when it can"
    )


class Receipts(_Schema):
    receipts: list[IndexedReceiptDocument]
    errors: list[RefusedEventSchema]
    workflows: dict[str, WorkflowStandingSchema]


class Submitted(BaseModel):
    """An event as `costledger append` takes it, without seq, hash and recorded_at; fields not named here are kept."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["cost_observed"])
    workflow_id: AdwIdText
    id: str | None = Field(default=None, description="said again, the same event appends nothing")
    cost_usd: str | float | None = Field(default=None, examples=["0.09"])
    agent: str | None = Field(default=None, examples=["plan"])
    model: str | None = Field(default=None, description="without a `cost_usd`, its price times `usage` is the cost")


class Named(_Schema):
    count: int
    names: list[str] = Field(description="the first hundred")


class LeftoversSchema(_Schema):
    """Files that show what went wrong with ledgers; they are in the same folder."""

    fenced: Named = Field(description="a sync failed, and nothing was appended to that ledger since")
    torn: Named = Field(description="tails that were never acknowledged, moved aside")
    damaged: Named = Field(description="what a salvage put aside")


class VerificationStarted(_Schema):
    started: bool = Field(description="false: one is running already")
    verification: VerificationDocument


class Followed(_Schema):
    """A source that is followed."""

    kind: str
    path: str
    trouble: str | None = Field(description="why it cannot be followed as it is")


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
    unpriced: dict[str, UnpricedDocument] = Field(description="by model")
    leftovers: LeftoversSchema
    misplaced: str | None = Field(description="why the data directory may be one of two, and what to do")
    verification: VerificationDocument | None = Field(description="null: none since the server was started")
    sources: list[Followed]
    webhooks: list[EndpointDocument]
    budgets: list[PeriodBudgetDocument] = Field(description="of periods, near or over; see `/api/budgets`")
    application: ApplicationCopySchema | None = Field(description="null: no application's table is named")


class Login(_Schema):
    token: str = Field(min_length=1, max_length=200, description="as `costledger token create` printed it")


class Access(_Schema):
    token_needed: bool
    scope: str | None = Field(description="read, append or admin, of the cookie's token; null without one")

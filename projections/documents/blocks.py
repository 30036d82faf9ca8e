"""The windows of plans: five hours, or seven days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Final

from ledger.events import money, timestamps
from projections.documents.types import About, Moment, TypedDict, Usd, document
from projections.folding.spend import QUARTER_SECONDS
from projections.reports.blocks import Block, Window
from projections.reports.timezones import zone_called

__all__ = ["BlockBurn", "BlockDocument", "BlocksDocument", "blocks_document"]

_LAST_SECOND: Final = int(datetime.max.replace(tzinfo=UTC).timestamp()) - 1
"""Of the calendar, so that the end of a window after it is a time."""


@document
class BlockBurn(TypedDict):
    """The rate of the active window since its first activity, and what it comes to if that goes on."""

    seconds_left: int
    per_hour_usd: Usd
    tokens_per_minute: int
    projected_usd: Usd
    projected_tokens: int


@document
class BlockDocument(TypedDict):
    """What was spent in one window."""

    start_time: Annotated[Moment, About("the full hour of its first activity")]
    end_time: Moment
    cost_usd: Annotated[Usd, About("list price: where a plan pays, what the API would have cost")]
    at_least: Annotated[bool, About("more was spent: some usage has no price or is incomplete")]
    total_tokens: int
    models: list[str]
    is_active: bool
    burn: Annotated[BlockBurn | None, About("null unless it is active")]


@document
class BlocksDocument(TypedDict):
    """The windows with activity, the latest last."""

    window: Annotated[str, About("5h or 7d", examples=["5h"])]
    timezone: Annotated[str, About("for `local`, what the host calls its zone")]
    blocks: list[BlockDocument]


def blocks_document(window: Window, found: Sequence[Block], zone: tzinfo | None, now: datetime) -> BlocksDocument:
    """Return windows as they are at a moment."""
    return {"window": window, "timezone": zone_called(zone), "blocks": [_block(block, now) for block in found]}


def _block(block: Block, now: datetime) -> BlockDocument:
    return {
        "start_time": _moment(block.start),
        "end_time": _moment(block.end),
        "cost_usd": money.to_wire(block.cost),
        "at_least": block.spent.at_least,
        "total_tokens": block.tokens,
        "models": sorted(block.spent.models),
        "is_active": block.is_active(now),
        "burn": _burn(block, now) if block.is_active(now) else None,
    }


def _moment(quarter: int) -> str:
    return timestamps.to_wire(timestamps.from_unix(min(quarter * QUARTER_SECONDS, _LAST_SECOND)))


def _burn(block: Block, now: datetime) -> BlockBurn:
    burn = block.burn(now)
    return {
        "seconds_left": burn.seconds_left,
        "per_hour_usd": money.to_wire(burn.per_hour),
        "tokens_per_minute": burn.tokens_per_minute,
        "projected_usd": money.to_wire(burn.projected),
        "projected_tokens": burn.projected_tokens,
    }

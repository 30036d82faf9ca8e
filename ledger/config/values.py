"""Values of `costledger.toml`: amounts, rates, shares, spans of time and names, each checked as it is read."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict

from ledger.errors import InvalidMoney, InvalidWorkflowId, shown
from ledger.events import money
from ledger.events.fields import check_name
from ledger.events.workflow_ids import check_workflow_id
from ledger.providers.model_names import PROVIDERS

__all__ = ["Condition", "Name", "Provider", "Rate", "Section", "Share", "Span", "Usd", "WorkflowId"]

_RATE_DECIMALS_MAX: Final = 12
"""Decimals of USD per million tokens: far finer than any list price, and a token's price stays short."""

_SPAN: Final = re.compile(r"([0-9]{1,6}) ?([smhd])", re.ASCII)
_SPAN_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _usd(value: object) -> int:
    try:
        return money.parse(value)
    except InvalidMoney as error:
        raise ValueError(str(error)) from None


def _rate(value: object) -> Decimal:
    _usd(value)
    rate = Decimal(str(value).strip()).normalize()
    if -int(rate.as_tuple().exponent) > _RATE_DECIMALS_MAX:
        raise ValueError(f"{shown(str(value))} has more than {_RATE_DECIMALS_MAX} decimals")
    return rate


def _name(value: object) -> str:
    return check_name(value)


def _workflow_id(value: object) -> str:
    try:
        return check_workflow_id(value)
    except InvalidWorkflowId as error:
        raise ValueError(str(error)) from None


def _provider(value: object) -> str:
    name = check_name(value)
    if name not in PROVIDERS:
        near = get_close_matches(name, PROVIDERS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"those that have one: {', '.join(sorted(PROVIDERS))}"
        raise ValueError(f"{shown(name)} is no provider with a price list; {hint}")
    return name


def _span(value: object) -> timedelta:
    found = _SPAN.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None or not (span := timedelta(seconds=int(found[1]) * _SPAN_SECONDS[found[2]])):
        raise ValueError('expected a time such as "90m", "1h" or "2d"')
    return span


def _share(value: object) -> Decimal:
    """A share of a budget as the file spells it."""
    try:
        share = Decimal(str(value).strip()) if isinstance(value, int | Decimal | str) else Decimal(0)
    except InvalidOperation:
        share = Decimal(0)
    if not share.is_finite() or not 0 < share <= 1:
        raise ValueError("expected a share of the budget such as 0.8, above 0 and at most 1")
    return share


def _condition(value: object) -> str:
    name, equals, asked = value.partition("=") if isinstance(value, str) else ("", "", "")
    if not equals or not name.strip() or not asked.isprintable():
        raise ValueError('expected NAME=VALUE, such as "project=shop" or "team=payments"')
    return f"{name.strip()}={asked}"


class Section(BaseModel):
    """A table of the file: other keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Condition = Annotated[str, BeforeValidator(_condition)]
"""What spend is asked for by a dimension: NAME=VALUE."""
Usd = Annotated[int, BeforeValidator(_usd)]
"""Nanodollars, from USD as text or number."""
Rate = Annotated[Decimal, BeforeValidator(_rate)]
"""USD per million tokens, or per web search."""
Share = Annotated[Decimal, BeforeValidator(_share)]
"""Of a budget."""
Name = Annotated[str, BeforeValidator(_name)]
WorkflowId = Annotated[str, BeforeValidator(_workflow_id)]
Provider = Annotated[str, BeforeValidator(_provider)]
"""What is before a slash in a model's name."""
Span = Annotated[timedelta, BeforeValidator(_span)]
"""A length of time, from a whole number and its unit."""

"""`[budgets]` of `costledger.toml`: what a workflow may cost, and what may be spent in a day, a week or a month."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from ledger.config.values import Condition, Name, Section, Share, Usd

__all__ = ["BudgetConfig", "PeriodBudgetConfig"]


def _smallest_first(shares: tuple[Decimal, ...]) -> tuple[Decimal, ...]:
    return tuple(sorted(set(shares)))


Shares = Annotated[tuple[Share, ...], AfterValidator(_smallest_first)]


class PeriodBudgetConfig(Section):
    """What may be spent in each day, ISO week or month, in nanodollars.

    Attributes:
        name: for people; None: its conditions are shown.
        where: what it is a budget of, as `costledger spend --where` asks for it; nothing: all spend.
        warn_at: None: that of `[budgets]`.
    """

    name: Name | None = None
    per: Literal["day", "week", "month"]
    usd: Usd
    where: tuple[Condition, ...] = ()
    warn_at: Shares | None = None


class BudgetConfig(Section):
    """What workflows may cost, in nanodollars, where their start names no budget.

    Attributes:
        warn_at: the shares of a budget that are warned of, the smallest first; of each budget, however it was set.
        timezone: whose days the periods begin with; None: those of the host.
        period: what may be spent in a day, a week or a month.
    """

    default_usd: Usd | None = None
    by_template: dict[str, Usd] = Field(default_factory=dict)
    warn_at: Shares = (Decimal("0.8"),)
    timezone: ZoneInfo | None = None
    period: tuple[PeriodBudgetConfig, ...] = ()

    @property
    def lowest(self) -> int | None:
        """The lowest of them; None when none is set."""
        default = () if self.default_usd is None else (self.default_usd,)
        return min((*self.by_template.values(), *default), default=None)

    def of(self, workflow_template: str | None) -> int | None:
        """Return the budget of a workflow by its template; None when none is set."""
        return self.by_template.get(workflow_template or "", self.default_usd)

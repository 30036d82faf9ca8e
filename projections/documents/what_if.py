"""What usage would have cost under other prices."""

from __future__ import annotations

from typing import Annotated

from ledger.events import money
from projections.documents.spend import SpendFigures, spend_figures
from projections.documents.types import About, TypedDict, Usd, document, usd
from projections.reports.what_if import WhatIf

__all__ = ["WhatIfDocument", "WhatIfLineDocument", "WhatIfTotal", "what_if_document"]


@document
class WhatIfLineDocument(TypedDict):
    """The usage of a model, and what it would have cost."""

    model: Annotated[str, About(examples=["claude-opus-4-5"])]
    priced_as: Annotated[str, About("another model, `given prices`, `without cache` or `as it was`")]
    spent: SpendFigures
    would_cost_usd: Annotated[Usd | None, About("null: it is not known, see `problem`")]
    at_least: Annotated[bool, About("it would have cost more than `would_cost_usd`, or as much")]
    difference_usd: Annotated[Usd | None, About("negative: it would have cost less")]
    problem: Annotated[str | None, About("why no cost is known", examples=["no tokens are recorded"])]


@document
class WhatIfTotal(TypedDict):
    """The sums of the lines whose other cost is known."""

    spent_usd: Usd
    spent_at_least: bool
    would_cost_usd: Usd
    at_least: bool
    difference_usd: Usd


@document
class WhatIfDocument(TypedDict):
    """What the same usage would have cost, by model, the highest cost first."""

    lines: list[WhatIfLineDocument]
    total: WhatIfTotal
    unused: Annotated[list[str], About("the globs of `map` and `price` that fit no usage")]
    overridden: Annotated[
        list[str], About("those that have no effect: a `price`, or an earlier one, applies to all that they fit")
    ]


def what_if_document(made: WhatIf) -> WhatIfDocument:
    """Return what usage would have cost."""
    return {
        "lines": [
            {
                "model": line.model,
                "priced_as": line.priced_as,
                "spent": spend_figures(line.amounts),
                "would_cost_usd": usd(line.would_nanousd),
                "at_least": line.at_least,
                "difference_usd": usd(line.difference_nanousd),
                "problem": line.problem,
            }
            for line in made.lines
        ],
        "total": {
            "spent_usd": money.to_wire(made.spent_nanousd),
            "spent_at_least": any(line.is_bound for line in made.compared),
            "would_cost_usd": money.to_wire(made.would_nanousd),
            "at_least": any(line.at_least for line in made.compared),
            "difference_usd": money.to_wire(made.would_nanousd - made.spent_nanousd),
        },
        "unused": made.unused,
        "overridden": made.overridden,
    }

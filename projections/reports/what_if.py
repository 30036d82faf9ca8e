"""What the same usage would have cost under other prices or models, or without prompt caching. Nothing is appended.

A figure is made from the tokens of a model by day, and the prices of that day. How many calls they were of is not
known, so tiers above a context limit and fees for each call are left out, and the figure is then a lower bound; so is
one with tokens of a kind that has no price. Calls that were served cheaper, as in batches, are priced as usual.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from fnmatch import fnmatchcase
from operator import add
from typing import Final

from ledger.errors import InvalidInput, shown
from ledger.events import timestamps
from ledger.events.fields import USAGE_FIELDS
from ledger.pricing.overrides import AgreedRates, Overridden
from ledger.pricing.price_book import PriceBook
from ledger.pricing.rates import Rates
from projections.folding.spend import AMOUNTS, QUARTER_SECONDS, TOKENS, Amounts
from projections.history.packed import unpack
from projections.history.store import HistoryStore
from projections.reports.spend_report import SpendQuery, at_least, spend_sums
from projections.reports.tags import TagRules

__all__ = ["OtherPrices", "WhatIf", "WhatIfLine", "other_prices", "what_if"]

_PARTIAL: Final = AMOUNTS.index("partial")
_AS_IT_WAS: Final = "as it was"
_UNCACHED: Final = "without cache"
_CACHED: Final = ("cache_write_tokens", "cache_write_1h_tokens", "cache_read_tokens")
_GIVEN: Final = ("input_usd_per_mtok", "output_usd_per_mtok", "cache_read_usd_per_mtok", "cache_write_usd_per_mtok")

Usage = dict[str, int]


class _NoPrices:
    """A price book without prices."""

    def rates(self, model: str, moment: datetime | None, service_tier: str | None = None) -> Rates | None:  # noqa: ARG002
        """See `PriceBook.rates`."""
        return None


@dataclass(frozen=True, slots=True)
class OtherPrices:
    """What usage is priced by instead. The first that applies counts: `given`, `mapped`, `model`, `uncached`.

    Attributes:
        given: prices by model, also by one that others are mapped to; a kind of tokens that it does not name has none.
        mapped: a glob of models, compared without case, and the model by whose prices theirs are priced.
        model: the model by whose prices all others are priced; None: these are as they were.
        uncached: cached tokens are priced as uncached input, by the prices of their own model.
        globs: the models of `given`, then those of `mapped`.
    """

    given: PriceBook
    mapped: tuple[tuple[str, str], ...] = ()
    model: str | None = None
    uncached: bool = False
    globs: tuple[str, ...] = ()

    def unused(self, models: Iterable[str]) -> tuple[list[str], list[str]]:
        """Return the globs that match none of these models, and those before which others apply to all they match."""
        used = {model.lower() for model in models}
        others = {other.lower() for model in used if (other := self.other_model(model))}
        unused, overridden, seen = list[str](), list[str](), set[str]()
        for at, glob in enumerate(self.globs, len(self.mapped) - len(self.globs)):
            names = {name for name in (used | others if at < 0 else used) if fnmatchcase(name, glob.lower())}
            unused += [] if names else [glob]
            overridden += [glob] if names and names <= seen else []
            seen |= names
        return unused, overridden

    def other_model(self, model: str) -> str | None:
        """Return the model by whose prices a model is priced; None: by its own."""
        named = (other for glob, other in self.mapped if fnmatchcase(model.lower(), glob.lower()))
        return next(named, self.model)


@dataclass(slots=True)
class WhatIfLine:
    """The usage of a model, and what it would have cost.

    Attributes:
        priced_as: another model, "given prices", "without cache", or "as it was".
        would_nanousd: None: that is not known, see `problem`.
        at_least: `would_nanousd` is a lower bound.
    """

    model: str
    priced_as: str = _AS_IT_WAS
    amounts: Amounts = field(default_factory=lambda: [0] * len(AMOUNTS))
    would_nanousd: int | None = None
    at_least: bool = False
    problem: str | None = None

    @property
    def is_bound(self) -> bool:
        """Whether what was spent is a lower bound."""
        return at_least(self.amounts)

    @property
    def difference_nanousd(self) -> int | None:
        """What it would have cost more, below 0 less; None where that is not known."""
        return None if self.would_nanousd is None else self.would_nanousd - self.amounts[0]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The lines by model, the highest cost first, and the sums of those whose other cost is known.

    Attributes:
        unused: the globs that were given and match none of the models.
        overridden: those that match some, and others apply before them to each of these.
    """

    lines: list[WhatIfLine]
    unused: list[str]
    overridden: list[str]

    @property
    def compared(self) -> list[WhatIfLine]:
        """The lines whose other cost is known."""
        return [line for line in self.lines if line.would_nanousd is not None]

    @property
    def spent_nanousd(self) -> int:
        """What the compared usage cost."""
        return sum(line.amounts[0] for line in self.compared)

    @property
    def would_nanousd(self) -> int:
        """What the compared usage would have cost."""
        return sum(line.would_nanousd or 0 for line in self.compared)


def other_prices(
    book: PriceBook, *, model: str | None, mapped: Sequence[str], given: Sequence[str], uncached: bool
) -> OtherPrices:
    """Return other prices from texts.

    Args:
        book: the prices of today, which every other model must have.
        mapped: MODEL=OTHER.
        given: MODEL=IN,OUT[,READ[,WRITE]] in USD per million tokens.

    Raises:
        InvalidInput: a text is none of these, a model has no price, or nothing is asked for.
    """
    if uncached and (model or mapped or given):
        raise InvalidInput("without cache: prices are those of each model; leave out other models and prices")
    if not (uncached or model or mapped or given):
        raise InvalidInput("what if? Name another model, map one to another, give prices, or leave out the cache")
    if model is not None and "=" in model:
        raise InvalidInput(f"model {shown(model)}: give one model; to price one as another: map MODEL=OTHER")
    pairs = tuple(_pair("map", text, "MODEL=OTHER, such as 'claude-opus-*=claude-sonnet-4-5'") for text in mapped)
    rates = [_given(text) for text in given]
    for other in (*(other for _, other in pairs), *([model] if model else [])):
        if Overridden(rates, book).rates(other, None) is None:
            raise InvalidInput(f"no price is known of {shown(other)}; `costledger prices NAME` looks one up")
    globs = (*(one.model for one in rates), *(glob for glob, _ in pairs))
    return OtherPrices(Overridden(rates, _NoPrices()), pairs, model, uncached, globs)


def _pair(name: str, text: str, wanted: str) -> tuple[str, str]:
    model, equals, value = text.rpartition("=")
    if not equals or not model.strip() or not value.strip():
        raise InvalidInput(f"{name} {shown(text)}: give {wanted}")
    return model.strip(), value.strip()


def _given(text: str) -> AgreedRates:
    from pydantic import ValidationError

    from ledger.config.schema import PriceOverride  # takes as long to import as the rest of a report

    model, figures = _pair("price", text, "MODEL=IN,OUT[,READ[,WRITE]], such as 'glm-*=0.6,2.2,0.11'")
    parts = [part.strip() for part in figures.split(",")]
    rates = dict(zip(_GIVEN, parts, strict=False))
    if not 2 <= len(parts) <= len(_GIVEN):
        raise InvalidInput(f"price {shown(text)}: give 2 to 4 prices in USD per million tokens: IN,OUT[,READ[,WRITE]]")
    if len(parts) == len(_GIVEN):
        rates["cache_write_1h_usd_per_mtok"] = parts[-1]
    try:
        return PriceOverride.model_validate({"model": model, **rates})
    except ValidationError as error:
        problem = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise InvalidInput(f"price {shown(text)}: {problem}") from None


def what_if(
    history: HistoryStore,
    query: SpendQuery,
    zone: tzinfo | None,
    prices: OtherPrices,
    book: PriceBook,
    *,
    rules: TagRules = (),
) -> WhatIf:
    """Return what the usage that a query asks for would have cost.

    Args:
        query: its conditions and its time.
        book: the prices of models by day.
        rules: see `dimensions.dimension`.

    Raises:
        InvalidInput: a name is no dimension and no tag, or a value is none of its dimension.
        HistoryUnavailable: the store cannot be used.
    """
    lines: dict[str, WhatIfLine] = {}
    usages: dict[str, dict[str, tuple[Rates | None, Usage]]] = {}
    for quarter, _, model, _, packed in spend_sums(history, replace(query, by=(), per="day"), zone, rules=rules):
        amounts = unpack(packed)
        line = lines.setdefault(model, WhatIfLine(model))
        line.amounts = list(map(add, line.amounts, amounts))
        line.priced_as, rates = _rates(prices, book, model, _moment(quarter))
        _, usage = usages.setdefault(model, {}).setdefault("" if rates is None else rates.digest, (rates, {}))
        for name, count in zip(USAGE_FIELDS, amounts[TOKENS], strict=True):
            usage[name] = usage.get(name, 0) + count
    for model, line in lines.items():
        _set_cost(line, usages[model].values())
    found = [line for line in lines.values() if any(line.amounts)]
    return WhatIf(sorted(found, key=lambda line: (-line.amounts[0], line.model)), *prices.unused(lines))


def _moment(quarter: int) -> datetime | None:
    try:
        return timestamps.from_unix(quarter * QUARTER_SECONDS)
    except (OverflowError, ValueError, OSError):
        return None


def _rates(prices: OtherPrices, book: PriceBook, model: str, moment: datetime | None) -> tuple[str, Rates | None]:
    """Return what a model is priced as, and its rates; None where there are none, or none are needed."""
    if (rates := prices.given.rates(model, moment)) is not None:
        return "given prices", rates
    if prices.uncached:
        return _UNCACHED, book.rates(model, moment)
    other = prices.other_model(model)
    if other is None:
        return _AS_IT_WAS, None
    return other, prices.given.rates(other, moment) or book.rates(other, moment)


def _set_cost(line: WhatIfLine, usages: Iterable[tuple[Rates | None, Usage]]) -> None:
    """Set what a line would have cost, from its usage under each rates."""
    if line.priced_as == _AS_IT_WAS:
        line.would_nanousd, line.at_least = line.amounts[0], line.is_bound
        return
    uncached = line.priced_as == _UNCACHED
    would, line.at_least = (line.amounts[0], line.is_bound) if uncached else (0, line.amounts[_PARTIAL] > 0)
    if not uncached and not any(line.amounts[TOKENS]):
        line.problem = "no tokens are recorded"
        return
    for rates, usage in usages:
        added, is_bound = _saved(rates, usage) if uncached else _cost(rates, usage)
        if added is None:
            line.problem = "it has no price for these tokens"
            return
        would, line.at_least = would + added, line.at_least or is_bound
    line.would_nanousd = would


def _cost(rates: Rates | None, usage: Usage) -> tuple[int | None, bool]:
    """Return what a usage costs, and whether that is a lower bound."""
    if rates is None:
        return (None if any(usage.values()) else 0), False
    exact = rates.cost_nanousd(usage, one_call=False)
    if exact is None:
        return rates.least_nanousd(usage), True
    return exact, rates.is_lower_bound(usage)


def _saved(rates: Rates | None, usage: Usage) -> tuple[int | None, bool]:
    """Return what the cached tokens of a usage cost more as uncached input."""
    cached = {name: usage[name] for name in _CACHED if usage[name]}
    if not cached:
        return 0, False
    if rates is None or not {"input_tokens", *cached} <= rates.buckets.keys():
        return None, False
    as_input = {"input_tokens": usage["cache_write_tokens"] + usage["cache_read_tokens"]}
    return rates.least_nanousd(as_input) - rates.least_nanousd(cached), False

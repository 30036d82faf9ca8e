"""Options of an import: what the caller decides, whatever the source."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ledger.events import timestamps
from ledger.events.timestamps import Clock
from ledger.importing.import_report import Progress
from ledger.sources.findings import Part

if TYPE_CHECKING:
    from ledger.pricing.price_book import PriceBook

__all__ = ["IMPORT_DEFAULTS", "ImportOptions"]


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a source is imported.

    Attributes:
        status: the end of every workflow of the source, when the caller knows it.
        only: the workflows to append to; None for all.
        unchanged: returns whether a part need not be read, because the caller has read it as it is.
        prices: for calls without a cost; None: genai-prices.
        processes: how many may share the work, where that helps.
        waits: whether to wait for another import of the same data directory.
    """

    status: str | None = None
    only: Container[str] | None = None
    unchanged: Callable[[Part], bool] | None = None
    prices: PriceBook | None = None
    clock: Clock = timestamps.now
    progress: Progress | None = None
    processes: int = 1
    waits: bool = True

    def book(self) -> PriceBook:
        """Return the price book of the import."""
        from ledger.pricing.genai_book import GenaiPrices

        return self.prices or GenaiPrices()


IMPORT_DEFAULTS: Final = ImportOptions()

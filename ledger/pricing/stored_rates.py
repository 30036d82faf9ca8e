"""Rates that a price list answered, stored for the next process: loading the list takes longer than most commands.

The file has the rates of the models that were priced, each with the days on which they apply. It is used only with the
price list, and the code that reads it, of which it was made; it may be deleted, and is then made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import orjson

from ledger.pricing.price_corrections import CORRECTIONS
from ledger.pricing.rates import Rate, Rates

__all__ = ["RATES_FILE", "StoredRates"]

RATES_FILE: Final = "rates.json"
"""In the data directory."""
_RATES_MAX: Final = 1000
"""In one file; beyond that it is started again."""
_PACKAGES: Final = ("genai_prices", "ledger.pricing", "ledger.providers")
"""What decides which rates a model has."""

_Stored = dict[tuple[str, str | None], list[tuple[date, date, Rates | None]]]
"""By model and service tier: from when until when, and the rates then."""


class StoredRates:
    """The rates in one file.

    Args:
        folder: where the file is; without this folder nothing is stored.
        providers: see `GenaiPrices`.
    """

    def __init__(self, folder: Path, providers: Mapping[str, str]) -> None:
        self._path, self._providers = folder / RATES_FILE, dict(providers)

    def find(self, model: str, service_tier: str | None, day: date) -> tuple[Rates | None] | None:
        """Return the rates of a model on a day, in a tuple, or the answer that it has none; None: ask the list."""
        for since, until, rates in self._stored.get((model, service_tier), ()):
            if since <= day < until:
                return (rates,)
        return None

    def add(self, model: str, service_tier: str | None, days: tuple[date, date], rates: Rates | None) -> None:
        """Store the answer of the list for a model from one day until, and without, another one."""
        self._stored = self._read()  # other processes may have added to it
        if sum(map(len, self._stored.values())) >= _RATES_MAX:
            self._stored.clear()
        self._stored.setdefault((model, service_tier), []).append((*days, rates))
        new = self._path.with_name(f"{RATES_FILE}.new-{os.getpid()}")
        lines = [
            [*key, since, until, None if rates is None else _dumped(rates)]
            for key, found in self._stored.items()
            for since, until, rates in found
        ]
        with contextlib.suppress(OSError):
            try:
                new.write_bytes(orjson.dumps({"made_of": self._made_of, "rates": lines}))
                new.replace(self._path)
            finally:
                new.unlink(missing_ok=True)

    @cached_property
    def _stored(self) -> _Stored:
        return self._read()

    def _read(self) -> _Stored:
        stored: _Stored = {}
        with contextlib.suppress(OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            found = orjson.loads(self._path.read_bytes())
            if found["made_of"] == self._made_of:
                for model, tier, since, until, rates in found["rates"]:
                    days = date.fromisoformat(since), date.fromisoformat(until)
                    entry = (*days, None if rates is None else _loaded(rates))
                    stored.setdefault((model, tier), []).append(entry)
        return stored

    @cached_property
    def _made_of(self) -> str:
        """A digest of the price list, of our code that reads it, and of the configured providers."""
        digest = hashlib.sha256(orjson.dumps(self._providers))
        for package in _PACKAGES:
            spec = find_spec(package)
            for folder in map(Path, (spec and spec.submodule_search_locations) or ()):
                versions = folder.parent.glob(f"{folder.name}-*.dist-info")
                digest.update(repr(sorted(found.name for found in versions)).encode())
                for module in sorted(folder.glob("*.py")):
                    digest.update(b"%b %b\n" % (module.name.encode(), module.read_bytes()))
        return digest.hexdigest()


def _dumped(rates: Rates) -> dict[str, Any]:
    return {
        "book": rates.book,
        "buckets": {
            name: [str(rate.usd), [[above, str(usd)] for above, usd in rate.tiers]]
            for name, rate in rates.buckets.items()
        },
        "providers": rates.providers,
        "at_least": rates.at_least,
        "unknown_above": rates.unknown_above,
        "correction": None if rates.correction is None else CORRECTIONS.index(rates.correction),
        "apart": sorted(rates.apart),
    }


def _loaded(stored: Mapping[str, Any]) -> Rates:
    buckets = {
        name: Rate(Decimal(usd), tuple((above, Decimal(of_tier)) for above, of_tier in tiers))
        for name, (usd, tiers) in stored["buckets"].items()
    }
    rates = Rates(stored["book"], buckets, tuple(stored["providers"]), stored["at_least"], stored["unknown_above"])
    correction = stored["correction"]
    return replace(
        rates, correction=None if correction is None else CORRECTIONS[correction], apart=frozenset(stored["apart"])
    )

"""Stored rates are those of the list, to the last field, and a process that has them loads no list."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.pricing.genai_book import GenaiPrices
from ledger.pricing.price_corrections import CORRECTIONS
from ledger.pricing.stored_rates import RATES_FILE
from tests.ledger.pricing.list_prices import BOOK, DAY, OPUS, PROVIDERS_OF_BOOK, SONNET

NAMES: Final = [f"{provider.id}/{model.id}" for provider in PROVIDERS_OF_BOOK.values() for model in provider.models]
PLAIN: Final = sorted({name.rpartition("/")[2] for name in NAMES})
ASKED: Final = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from ledger.pricing.genai_book import GenaiPrices
rates = GenaiPrices(folder=Path(sys.argv[1])).rates(sys.argv[2], datetime.fromisoformat(sys.argv[3]))
print(rates and rates.digest, "genai_prices" in sys.modules)
"""


def changes() -> list[date]:
    return sorted({day for each in CORRECTIONS for day in (each.since, each.until) if day is not None})


days = st.one_of(
    st.builds(lambda day, by: day + timedelta(days=by), st.sampled_from(changes()), st.integers(-1, 1)),
    st.dates(date(2023, 1, 1), date(2027, 12, 31)),
)
moments = st.builds(lambda day, clock: datetime.combine(day, clock, UTC), days, st.times())
models = st.one_of(st.sampled_from([SONNET, OPUS, "local-model"]), st.sampled_from(NAMES), st.sampled_from(PLAIN))
tiers = st.sampled_from([None, "batch", "priority", "flex", "standard"])


@given(st.lists(st.tuples(models, moments, tiers), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_another_process_gets_the_rates_of_the_list_on_every_day(asked: list[tuple[str, datetime, str | None]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, (model, moment, tier) in enumerate(asked):
            GenaiPrices(folder=Path(folder)).rates(model, moment, tier)
            for other, _, other_tier in asked[: number + 1]:  # at this moment, by what is stored of another one
                assert GenaiPrices(folder=Path(folder)).rates(other, moment, other_tier) == BOOK.rates(
                    other, moment, other_tier
                )


def asked(folder: Path, model: str = SONNET, moment: datetime = DAY) -> list[str]:
    command = [sys.executable, "-c", ASKED, str(folder), model, moment.isoformat()]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_the_second_process_loads_no_list_for_a_known_model_also_for_one_without_a_price(tmp_path: Path) -> None:
    digest = getattr(BOOK.rates(SONNET, DAY), "digest", None)
    assert asked(tmp_path) == [digest, "True"]
    assert asked(tmp_path) == asked(tmp_path, moment=DAY + timedelta(days=60)) == [digest, "False"]
    assert asked(tmp_path, moment=datetime(2026, 6, 1, tzinfo=UTC)) != [digest, "False"]  # a correction has begun
    assert asked(tmp_path, "local-model") == ["None", "True"]
    assert asked(tmp_path, "local-model") == ["None", "False"]


def test_a_price_that_depends_on_the_time_of_day_is_not_stored(tmp_path: Path) -> None:
    night, noon = (datetime.combine(date(2025, 4, 1), clock, UTC) for clock in (time(18), time(12)))
    book = GenaiPrices(folder=tmp_path)
    cheap, dear = book.rates("deepseek/deepseek-chat", night), book.rates("deepseek/deepseek-chat", noon)
    assert cheap != dear
    assert not (tmp_path / RATES_FILE).exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: b"\0" * len(raw),
        lambda raw: raw[:0] + b"[]",
        lambda raw: raw.replace(b'"made_of":"', b'"made_of":"0'),
        lambda raw: raw.replace(b'"usd"', b'"?"').replace(b'"buckets"', b'"?"'),
    ],
    ids=["cut", "zeros", "a list", "of another list", "another shape"],
)
def test_a_file_that_is_not_of_this_list_is_not_used(tmp_path: Path, damage: object) -> None:
    asked(tmp_path)
    stored = tmp_path / RATES_FILE
    right = stored.read_bytes()
    assert callable(damage)
    stored.write_bytes(damage(right).replace(b'"3"', b'"1"'))
    assert GenaiPrices(folder=tmp_path).rates(SONNET, DAY) == BOOK.rates(SONNET, DAY)
    assert stored.read_bytes() == right


def test_another_provider_for_a_name_asks_the_list_and_a_folder_that_is_missing_stays_so(tmp_path: Path) -> None:
    GenaiPrices(folder=tmp_path).rates("kimi-k2", DAY)
    given = {"kimi-*": "together"}
    assert GenaiPrices(given, tmp_path).rates("kimi-k2", DAY) == GenaiPrices(given).rates("kimi-k2", DAY)
    GenaiPrices(folder=tmp_path / "missing").rates(SONNET, DAY)
    assert [file.name for file in tmp_path.iterdir()] == [RATES_FILE]

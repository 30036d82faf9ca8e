"""Names of models: what a provider or a gateway puts before them."""

from __future__ import annotations

import pytest
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given
from hypothesis import strategies as st

from ledger.pricing.genai_book import rates_of_price
from ledger.providers.model_names import PROVIDERS
from tests.ledger.pricing.list_prices import BOOK, DAY, PROVIDERS_OF_BOOK, SONNET, price


@pytest.mark.parametrize(
    ("model", "plain"),
    [
        ("anthropic/claude-opus-4-5", "claude-opus-4-5"),
        ("openai/gpt-5.5", "gpt-5.5"),
        ("gemini/gemini-2.5-pro", "gemini-2.5-pro"),
        ("vertex_ai/claude-sonnet-4-5@20250929", SONNET),
        ("azure/gpt-4o", "gpt-4o"),
    ],
)
def test_a_provider_before_the_name_of_a_model_leaves_its_price(model: str, plain: str) -> None:
    usage = {"input_tokens": 1_000_000, "output_tokens": 1_000_000}
    assert price(model, usage) == price(plain, usage) is not None


@pytest.mark.parametrize("gateway", ["", "bedrock/", "bedrock/converse/"])
@pytest.mark.parametrize(("where", "usd"), [("us.", "3.30"), ("eu.", "3.30"), ("global.", "3.00"), ("", "3.30")])
def test_bedrocks_ids_have_the_price_of_where_they_run(gateway: str, where: str, usd: str) -> None:
    assert price(f"{gateway}{where}anthropic.{SONNET}-v1:0", {"input_tokens": 1_000_000}) == usd


@pytest.mark.parametrize("before", sorted(PROVIDERS))
def test_a_name_behind_a_provider_costs_what_that_provider_asks_for_it(before: str) -> None:
    for model in PROVIDERS_OF_BOOK[PROVIDERS[before]].models:
        costs_what_its_provider_asks(before, model.id)


def costs_what_its_provider_asks(before: str, name: str) -> None:
    provider = PROVIDERS_OF_BOOK[PROVIDERS[before]]
    found = BOOK.rates(f"{before}/{name}", DAY)
    try:
        _, info = get_snapshot().find_provider_model(name, None, provider.id, None)
    except LookupError:
        assert found is None
        return
    assert found is not None
    assert (found.book, found.providers) == (f"{BOOK.name}, {provider.id}", (provider.id,))
    if found.correction is None:
        assert found.buckets == rates_of_price(BOOK.name, info.get_prices(DAY)).buckets
    if provider.find_model(name) is not None and _is_whose(name) == provider.id:
        alone = BOOK.rates(name, DAY)
        assert alone is not None
        assert found == alone or len(alone.providers) > 1, "and what it costs without, where no other may be meant"


def _is_whose(name: str) -> str | None:
    try:
        return get_snapshot().find_provider_model(name, None, None, None)[0].id
    except LookupError:
        return None


@given(
    st.text(alphabet="abcxyz_-.", max_size=12).filter(lambda before: before not in PROVIDERS),
    st.sampled_from(sorted(BOOK.names())),
)
def test_nothing_is_taken_off_a_name_but_providers(before: str, name: str) -> None:
    if _is_whose(f"{before}/{name}") is None:
        assert BOOK.rates(f"{before}/{name}", DAY) is None

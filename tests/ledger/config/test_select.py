from __future__ import annotations

from pathlib import Path

import pytest

from ledger.config.select import price_book
from ledger.errors import InvalidConfig

PRICES = """
[[prices]]
model = "local-*"
input_usd_per_mtok = 1
output_usd_per_mtok = 2
"""
USAGE = {"input_tokens": 1_000_000, "output_tokens": 1_000_000}


def cost(config: Path | None, model: str) -> int | None:
    rates = price_book(config).rates(model, None)
    return None if rates is None else rates.cost_nanousd(USAGE)


def test_the_prices_of_a_file_come_first_and_all_others_are_those_of_the_list(tmp_path: Path) -> None:
    config = tmp_path / "costledger.toml"
    config.write_text(PRICES)
    assert (cost(None, "local-1"), cost(config, "local-1")) == (None, 3 * 10**9)
    assert cost(config, "claude-opus-4-5") == cost(None, "claude-opus-4-5") == 30 * 10**9


def test_a_file_that_cannot_be_used_is_named_with_its_line(tmp_path: Path) -> None:
    config = tmp_path / "costledger.toml"
    config.write_text("[[prices]]\nmodel = 1\n")
    with pytest.raises(InvalidConfig, match=r"costledger\.toml, line 2"):
        price_book(config)

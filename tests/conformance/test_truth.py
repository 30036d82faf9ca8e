"""No row is above what a real client was charged, by any way in and by all together, in any order."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from ledger.store import DirectoryStore
from tests.conformance.truth import WAYS, WRONG, Outcome, Truth, outcomes, table

CLIENTS = (
    "claude-code-2.0.76",
    "claude-code-2.1.100",
    "claude-code-2.1.276",
    "claude-code-2.1.277",
    "claude-code-2.1.332",
    "codex-0.50.0",
    "codex-0.171.0",
    "codex-0.171.0-otlp",
)
HELPERS_ELSEWHERE = {"411fe0e4-"}
"""Claude Code 2.0.76 makes the helper calls of a resumed process under session ids of their own, and counts them in the
total of the session that was resumed."""


def wrong(found: list[Outcome]) -> list[Outcome]:
    return [one for one in found if one.kind == WRONG and one.session[:9] not in HELPERS_ELSEWHERE]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("way", WAYS)
def test_each_way_in_is_exact_or_a_lower_bound(shared_data: Path, tmp_path: Path, client: str, way: str) -> None:
    truth, store = Truth.read(shared_data / "clients" / client), DirectoryStore(tmp_path, durability="none")
    WAYS[way](store, truth.folder, random.Random(1))
    assert wrong(outcomes(store, truth)) == []


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("seed", range(6))
def test_all_ways_together_are_exact_or_a_lower_bound_in_any_order(
    shared_data: Path, tmp_path: Path, client: str, seed: int
) -> None:
    truth, chance = Truth.read(shared_data / "clients" / client), random.Random(seed)
    store, order = DirectoryStore(tmp_path, durability="none"), list(WAYS)
    chance.shuffle(order)
    for way in [*order, *order[:2]]:  # two of them once more: a repetition changes nothing
        WAYS[way](store, truth.folder, chance)
        assert wrong(outcomes(store, truth)) == []


def test_the_table_of_the_documentation_is_what_the_recorded_clients_give(shared_data: Path, tmp_path: Path) -> None:
    rows = []
    for client in CLIENTS:
        truth = Truth.read(shared_data / "clients" / client)
        together = DirectoryStore(tmp_path / client / "all", durability="none")
        for way, read in WAYS.items():
            store = DirectoryStore(tmp_path / client / way, durability="none")
            read(store, truth.folder, random.Random(1))
            rows.append((client, way, outcomes(store, truth)))
            read(together, truth.folder, random.Random(1))
        rows.append((client, "all together", outcomes(together, truth)))
    assert table(rows) in (Path(__file__).parents[2] / "docs" / "conformance.md").read_text(encoding="utf-8")


def test_a_session_is_exact_where_the_client_wrote_its_total(shared_data: Path, tmp_path: Path) -> None:
    truth, store = Truth.read(shared_data / "clients/claude-code-2.1.277"), DirectoryStore(tmp_path, durability="none")
    WAYS["transcripts"](store, truth.folder, random.Random(1))
    assert {one.kind for one in outcomes(store, truth)} == {"exact"}

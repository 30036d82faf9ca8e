"""No row is above what a real client was charged, by any way in and by all together, in any order."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from ledger.importing.importer import import_source
from ledger.storage.directory_store import DirectoryStore
from projections.replay.refresh import project
from tests.clients.table import PAGE, counted
from tests.clients.verdict import WRONG, Outcome, Truth, outcomes
from tests.clients.ways import WAYS

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
RESUMED = "411fe0e4-cd86-4566-8eaa-411addd5bc10"
ALIASES = {
    "claude-code-2.0.76": {
        "075e8309-7cf3-46b2-a9db-71d9f24ccfbd": RESUMED,
        "a46eb067-f29d-45e1-b540-8b507ebcb027": RESUMED,
    }
}
"""Claude Code 2.0.76 makes the first calls of a resumed process under a session id of its own, and counts them in the
total of the session that was resumed."""

FORKS_WITHOUT_A_REQUEST = {"71fb3aba-"}
"""A fork that the interactive client began: until its first request is in its file, nothing shows that the lines
before it are copies."""


def truth_of(shared_data: Path, client: str) -> Truth:
    return Truth.read(shared_data / "clients" / client, ALIASES.get(client, {}))


def seeds(count: int) -> list[Any]:
    """Two orders in each run, the others in the campaign."""
    return [pytest.param(seed, marks=[pytest.mark.campaign] if seed > 1 else []) for seed in range(count)]


def wrong(found: list[Outcome]) -> list[Outcome]:
    return [one for one in found if one.kind == WRONG]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("way", WAYS)
def test_each_way_in_is_exact_or_a_lower_bound(shared_data: Path, tmp_path: Path, client: str, way: str) -> None:
    truth, store = truth_of(shared_data, client), DirectoryStore(tmp_path, durability="none")
    WAYS[way](store, truth.folder, random.Random(1))
    assert wrong(outcomes(store, truth)) == []


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("seed", seeds(6))
def test_all_ways_together_are_exact_or_a_lower_bound_in_any_order(
    shared_data: Path, tmp_path: Path, client: str, seed: int
) -> None:
    truth, chance = truth_of(shared_data, client), random.Random(seed)
    store, order = DirectoryStore(tmp_path, durability="none"), list(WAYS)
    chance.shuffle(order)
    for way in [*order, *order[:2]]:  # two of them once more: a repetition changes nothing
        WAYS[way](store, truth.folder, chance)
        assert wrong(outcomes(store, truth)) == []


@pytest.mark.parametrize("client", [client for client in CLIENTS if client.startswith("claude")])
@pytest.mark.parametrize("seed", seeds(4))
def test_a_session_that_several_agents_of_a_tree_resume_counts_once_with_its_other_accounts(
    shared_data: Path, tmp_path: Path, client: str, seed: int
) -> None:
    truth, chance = truth_of(shared_data, client), random.Random(seed)
    store, agents = DirectoryStore(tmp_path / "data", durability="none"), tmp_path / "agents"
    logs = sorted((truth.folder / "streams").glob("[!m]*/*.jsonl"))

    def read_tree(part: float) -> None:
        for number, log in enumerate(logs):
            lines, grown = (
                log.read_text().splitlines(keepends=True),
                agents / "w" / f"agent{number}" / "raw_output.jsonl",
            )
            had = len(grown.read_text().splitlines()) if grown.exists() else 0
            grown.parent.mkdir(parents=True, exist_ok=True)
            grown.write_text("".join(lines[: max(had, len(lines) if part == 1 else int(len(lines) * chance.random()))]))
        import_source(store, "adw", agents)

    steps: list[float | str] = [0.5, 1.0, *(name for name in WAYS if name != "stream logs")]
    chance.shuffle(steps)
    for step in [*steps, 1.0, "transcripts"]:
        if isinstance(step, float):
            read_tree(step)
        else:
            WAYS[step](store, truth.folder, chance)
        shown = sum(project(store, id).row.actual_cost_nanousd for id in store.workflow_ids())
        assert shown <= sum(truth.sessions.values()) + sum(truth.cut.values()), step


def test_the_table_of_the_documentation_is_what_the_recorded_clients_give(shared_data: Path, tmp_path: Path) -> None:
    rows = []
    for client in CLIENTS:
        truth = truth_of(shared_data, client)
        together = DirectoryStore(tmp_path / client / "all", durability="none")
        for way, read in WAYS.items():
            store = DirectoryStore(tmp_path / client / way, durability="none")
            read(store, truth.folder, random.Random(1))
            rows.append((client, way, outcomes(store, truth)))
            read(together, truth.folder, random.Random(1))
        rows.append((client, "all together", outcomes(together, truth)))
    assert counted(rows) in PAGE.read_text(encoding="utf-8")


def test_a_session_is_exact_where_the_client_wrote_its_total(shared_data: Path, tmp_path: Path) -> None:
    truth, store = Truth.read(shared_data / "clients/claude-code-2.1.277"), DirectoryStore(tmp_path, durability="none")
    WAYS["transcripts"](store, truth.folder, random.Random(1))
    assert {one.kind for one in outcomes(store, truth)} == {"exact"}


@pytest.mark.parametrize("client", [client for client in CLIENTS if client.startswith("claude")])
@pytest.mark.parametrize("seed", seeds(3))
def test_transcripts_that_are_read_while_they_grow_are_exact_or_a_lower_bound(
    shared_data: Path, tmp_path: Path, client: str, seed: int
) -> None:
    truth, chance = truth_of(shared_data, client), random.Random(seed)
    store, copy = DirectoryStore(tmp_path / "data", durability="none"), tmp_path / "copy"
    files = {
        file: file.read_text().splitlines(keepends=True) for file in sorted(truth.folder.rglob("homes/**/*.jsonl"))
    }
    for part in (0.3, 0.7, 1.0):
        for file in chance.sample(sorted(files), len(files)):
            lines, grown = files[file], copy / file.relative_to(truth.folder)
            written = len(lines) if part == 1.0 else int(len(lines) * part * chance.random() * 1.4)
            had = len(grown.read_text().splitlines()) if grown.exists() else 0
            grown.parent.mkdir(parents=True, exist_ok=True)
            grown.write_text("".join(lines[: max(had, written)]))
            if written:
                import_source(store, "claude", grown)
                above = [one for one in wrong(outcomes(store, truth)) if one.row_nanousd > one.truth_nanousd]
                assert not [one for one in above if one.session[:9] not in FORKS_WITHOUT_A_REQUEST]
    assert [one for one in wrong(outcomes(store, truth)) if one.session[:9] not in FORKS_WITHOUT_A_REQUEST] == []

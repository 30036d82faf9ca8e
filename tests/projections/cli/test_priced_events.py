"""Configured prices, in whatever way an event comes in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger import workflow
from tests.conftest import PROJECT
from tests.ledger.logs import init, result, write
from tests.projections.cli.configured import LOCAL, NEGOTIATED, charge, configure
from tests.projections.cli.test_app import Run, piped, run

__all__ = ["run"]


@pytest.fixture(autouse=True)
def _no_configuration_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COSTLEDGER_CONFIG", raising=False)


def test_an_override_prices_a_charge_and_the_event_says_so(run: Run) -> None:
    configure(LOCAL + NEGOTIATED)
    charge(run, "w", "claude-opus-4-5")
    charge(run, "w", "Llama3:70b")
    row = run("show", "w", "--json").json
    assert (row["actual_cost_total"], row["cost_basis"]) == ("20.00", "priced")
    lines = [json.loads(line) for line in Path("data/ledgers/w.jsonl").read_text().splitlines()]
    assert [line.get("price_book") for line in lines] == [None, "costledger.toml", "costledger.toml"]
    digest = run("prices", "claude-opus-4-5", "--json").json["price_digest"]
    assert lines[1]["price_digest"] == digest


def test_a_call_that_could_not_be_charged_is_missing_wherever_a_cost_is_shown(run: Run) -> None:
    bad = {"id": "c-2", "model": "gpt-5", "usage": {"prompt_tokens": "10", "completion_tokens": 2}}
    with workflow("w", budget_usd="1.00") as wf:
        wf.charge({"id": "c-1", "model": "gpt-5", "usage": {"prompt_tokens": 10_000, "completion_tokens": 2_000}})
        wf.charge_later(bad, agent="build")
    with workflow("v", budget_usd="1.00") as wf:
        wf.charge_later(bad)
    row = run("show", "w", "--json").json
    assert (row["actual_cost_total"], row["cost_basis"], row["unpriced_events"]) == ("0.0325", "partial", 1)
    assert "at least $0.0325, 2 messages unpriced: gpt-5 (2 messages, 0 tokens)" in run("history").out
    assert "≥ $0.0325" in run("daily").out
    assert "w: at least $0.0325 of $1.0000 spent" in run("check", "w").out
    assert "v: an unpriced amount spent" in run("check", "v").out


def test_a_stream_that_was_left_before_it_said_its_usage_is_missing_whatever_its_model(run: Run) -> None:
    class Client:
        class messages:  # noqa: N801 - as SDKs call it
            @staticmethod
            def create() -> Iterator[object]:
                return iter([{"id": "c-1", "model": "unlisted-1", "choices": [{}]}])

    with workflow("w") as wf:
        assert len(list(wf.track(Client()).messages.create())) == 1
    row = run("show", "w", "--json").json
    assert (row["cost_basis"], row["unpriced_events"]) == ("partial", 1)


def test_a_charge_said_again_under_other_prices_is_the_same_event(run: Run) -> None:
    charge(run, "w", "claude-opus-4-5", 1_000_000, "--id", "e1")
    configure(NEGOTIATED)
    again = run("charge", "w", "--model", "claude-opus-4-5", "--output-tokens", "1000000", "--id", "e1")
    assert again.out.endswith("already there\n")
    assert run("show", "w", "--json").json["actual_cost_total"] == "25.00"


def test_a_charge_through_python_is_priced_by_the_configuration_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(NEGOTIATED, "elsewhere.toml")
    monkeypatch.setenv("COSTLEDGER_CONFIG", "elsewhere.toml")
    with workflow("w") as wf:
        wf.charge(model="claude-opus-4-5", usage={"output_tokens": 1_000_000})
    assert run("show", "w", "--json").json["actual_cost_total"] == "20.00"


def test_the_file_is_named_before_or_after_the_command(run: Run) -> None:
    configure(NEGOTIATED, "a.toml")
    assert run("--config", "a.toml", "prices", "claude-opus-4-5", "--json").json["override"] == 1
    assert run("prices", "claude-opus-4-5", "--json", "--config", "a.toml").json["override"] == 1
    assert run("prices", "claude-opus-4-5", "--json").json["override"] is None


def test_a_mistake_in_the_file_names_its_line_and_nothing_is_appended(run: Run) -> None:
    configure(NEGOTIATED + 'outptu_usd_per_mtok = "1"\n')
    refused = run("charge", "w", "--model", "claude-opus-4-5", "--output-tokens", "5")
    assert (refused.code, refused.out) == (2, "")
    assert "costledger.toml, line 4: prices.outptu_usd_per_mtok" in refused.err
    assert "did you mean 'output_usd_per_mtok'?" in refused.err
    assert not [*Path("data/ledgers").iterdir()]
    assert run("observe", "w", "--cost-usd", "1").code == 0, "what needs no price needs no configuration"


def test_every_door_prices_usage_without_a_cost_and_the_same_event_again_is_the_same(run: Run, tmp_path: Path) -> None:
    event = {"type": "cost_observed", "workflow_id": "w", "id": "e1", "agent": "a", "model": "claude-opus-4-5"}
    line = json.dumps(event | {"usage": {"output_tokens": 1_000_000}}).encode() + b"\n"
    seen = ("observe", "w", "--agent", "b", "--model", "claude-opus-4-5", "--output-tokens", "1000000", "--id", "e2")
    assert piped(tmp_path, "append", stdin=line).out == "1 appended, 0 already there, 0 refused\n"
    assert "$25.0000 is event 3" in run(*seen).out
    configure(NEGOTIATED)
    assert piped(tmp_path, "append", stdin=line).out == "0 appended, 1 already there, 0 refused\n"
    assert run(*seen).out.endswith("already there\n")
    with workflow("w") as wf:
        wf.observe(agent="c", model="claude-opus-4-5", usage={"output_tokens": 1_000_000})
    row = run("show", "w", "--json").json
    assert (row["actual_cost_total"], row["cost_basis"], row["unpriced_events"]) == ("70.00", "priced", 0)


def test_an_observe_does_not_read_the_configuration(run: Run, tmp_path: Path) -> None:
    configure(NEGOTIATED)
    script = (
        "import sys; from projections.cli.app import cli; "
        "cli.main(['observe', 'w', '--cost-usd', '1'], standalone_mode=False); "
        "sys.exit(len({'pydantic', 'genai_prices', 'ledger.config.schema'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-c", script]
    assert subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False).returncode == 0
    assert run("check", "w").out == "w: $1.0000 spent; no budget is set for it\n"


def test_an_import_without_a_kind_reads_the_configured_sources(run: Run) -> None:
    assert "no [[sources]] in costledger.toml (there is none)" in run("import").err
    write(Path("project/agents/w1/plan/raw_output.jsonl"), init(), result(0.1))
    write(Path("log.jsonl"), init("s2"), result(0.2, "s2"))
    configure(
        '[[sources]]\nkind = "adw"\npath = "project/agents"\n'
        '[[sources]]\nkind = "claude-stream"\npath = "log.jsonl"\nworkflow_id = "w2"\nagent = "plan"\n'
        '[[sources]]\nkind = "adw"\npath = "nowhere"\n'
    )
    first = run("import", "--json")
    assert (first.code, sorted(first.json["workflows"])) == (1, ["w1", "w2"])
    assert "nowhere" in first.err
    assert run("show", "w2", "--json").json["cost_breakdown"]["by_agent"] == {"plan": "0.20"}
    assert run("resync", "w1", "--json").code == 0, "they are remembered as any other source"
    assert run("import", "adw").code == 2

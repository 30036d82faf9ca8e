"""Configuration, prices, repricing and budgets from the command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger import workflow
from tests.conftest import PROJECT
from tests.ledger.logs import init, message, result, write
from tests.projections.cli.test_app import Run, piped, run

__all__ = ["run"]

LOCAL = """\
[[prices]]
model = "llama*"
input_usd_per_mtok = 0
output_usd_per_mtok = 0
"""
NEGOTIATED = """\
[[prices]]
model = "claude-opus-*"
output_usd_per_mtok = "20.00"
"""


@pytest.fixture(autouse=True)
def _no_configuration_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COSTLEDGER_CONFIG", raising=False)


def configure(text: str, file: str = "costledger.toml") -> None:
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text(text, encoding="utf-8")


def charge(run: Run, workflow_id: str, model: str, tokens: int = 1_000_000, *more: str) -> None:
    assert run("charge", workflow_id, "--model", model, "--output-tokens", str(tokens), *more).code == 0


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


def test_prices_without_a_model_are_those_of_all_in_use(run: Run) -> None:
    assert "names a model yet" in run("prices").out
    configure(LOCAL)
    for model in ("claude-sonnet-4-5", "glm-5", "who-knows-1"):
        charge(run, "w", model)
    charge(run, "v", next(line.split('"')[1] for line in LOCAL.splitlines() if "model" in line).replace("*", "x"))
    answer = run("prices")
    lines = answer.out.splitlines()
    shown = {line.split()[0]: line for line in lines[2:] if line.startswith("  ")}
    assert "anthropic" in shown["claude-sonnet-4-5"]
    assert "≥ " in shown["glm-5"]
    assert "unpriced" in shown["who-knows-1"]
    assert any("[[prices]] number 1" in line for line in shown.values())
    assert re.search(
        r"^list: genai-prices \S+, newest dated price \d{4}-\d\d-\d\d, corrections \d{4}", answer.out, re.M
    )
    assert re.search(r"^update the list: .*--upgrade genai-prices$", answer.out, re.M)
    every = run("prices", "--json").json
    assert {one["model"]: one["rates"] is None for one in every["models"]}["who-knows-1"] is True
    assert every["models"][0] | {"at": ""} == run("prices", every["models"][0]["model"], "--json").json | {"at": ""}


def test_prices_of_a_model(run: Run) -> None:
    answer = run("prices", "claude-sonnet-4-5-20250929", "--at", "2026-01-10T00:00Z", "--json").json
    assert answer["rates"]["input_tokens"] == {
        "usd": "3.00",
        "per": 1_000_000,
        "tiers": [{"above_input_tokens": 200_000, "usd": "6.00"}],
    }
    assert (answer["price_book"].split()[0], answer["override"]) == ("genai-prices", None)
    assert (answer["providers"], answer["correction"], answer["at_least"]) == (["anthropic"], None, False)
    table = run("prices", "claude-sonnet-4-5", "--at", "2026-01-10").out
    assert "above 200,000" in table
    assert "cache write, 1 h" in table
    batch = run("prices", "claude-opus-4-5", "--service-tier", "batch").out
    assert "12.500   1M tokens" in batch, "decimals line up"


def test_prices_name_the_correction_and_the_providers(run: Run) -> None:
    long = run("prices", "claude-sonnet-4-20250514", "--at", "2025-09-15T00:00Z", "--json").json
    assert long["rates"]["output_tokens"]["tiers"] == [{"above_input_tokens": 200_000, "usd": "22.50"}]
    named = {name: long["correction"][name] for name in ("version", "since", "until", "above_input_tokens")}
    assert named["version"] in long["price_book"]
    assert named | {"version": ""} == {
        "version": "",
        "since": "2025-08-12",
        "until": "2026-05-01",
        "above_input_tokens": 200_000,
    }
    assert "corrected from 2026-05-01: " in run("prices", "claude-sonnet-4-5", "--at", "2026-06-01").out
    several = run("prices", "glm-5")
    assert "lowest of zhipuai and zai" in several.out
    assert "a provider before the name, or [providers], decides" in several.out
    assert run("prices", "glm-5", "--json").json["at_least"] is True
    configure('[providers]\n"glm-*" = "zai"\n')
    decided = run("prices", "glm-5", "--json").json
    assert (decided["providers"], decided["at_least"]) == (["zai"], False)


def test_a_provider_that_has_no_price_list_is_refused_with_the_one_that_was_meant(run: Run) -> None:
    configure('[providers]\n"glm-*" = "zia"\n')
    refused = run("prices", "glm-5")
    assert (refused.code, refused.out) == (2, "")
    assert "costledger.toml, line 2" in refused.err
    assert "did you mean 'zai'?" in refused.err


def test_a_price_above_a_context_or_of_several_is_at_least_until_the_provider_is_named(run: Run) -> None:
    charge = ("charge", "w", "--model", "glm-5", "--output-tokens", "1000000")
    assert run(*charge).code == 0
    row = run("show", "w", "--json").json
    lowest = row["actual_cost_total"]
    assert (float(lowest) < 3.2, row["cost_basis"]) == (True, "partial")
    configure('[providers]\n"glm-*" = "zai"\n')
    assert run("reprice", "--reason", "zai served it", "--yes").code == 0
    assert run("complete", "w").code == 0
    row = run("show", "w", "--json").json
    assert (row["actual_cost_total"], row["cost_basis"]) == ("3.20", "priced")
    configure('[providers]\n"glm-*" = "zhipuai"\n')
    assert run("reprice", "--reason", "no, zhipuai", "--yes").code == 0
    row = run("show", "w", "--json").json
    assert (row["actual_cost_total"], row["cost_basis"]) == (lowest, "priced")


def test_prices_change_in_time(run: Run) -> None:
    def tiers(at: str) -> int:
        return len(run("prices", "claude-sonnet-4-6", "--at", at, "--json").json["rates"]["input_tokens"]["tiers"])

    assert (tiers("2026-03-12T23:59:59Z"), tiers("2026-03-13T00:00:00Z")) == (1, 0)
    assert run("prices", "claude-sonnet-4-6", "--at", "soon").code == 2


def test_a_model_without_a_price_names_those_like_it_and_the_next_step(run: Run) -> None:
    unknown = run("prices", "claude-sonet-4-5")
    assert (unknown.code, unknown.out) == (1, "")
    assert "claude-sonnet-4-5" in unknown.err
    assert "[[prices]] in costledger.toml" in unknown.err
    configure(LOCAL)
    assert run("prices", "qwen-at-home").code == 1
    assert run("prices", "llama-at-home").code == 0


def test_a_reprice_shows_the_difference_and_appends_only_when_told(run: Run) -> None:
    charge(run, "w", "claude-opus-4-5")
    charge(run, "w", "qwen-at-home", 9)
    run("complete", "w")
    configure(NEGOTIATED)
    shown = run("reprice", "--reason", "contract of May")
    assert "nothing was appended; add --yes" in shown.out
    assert "-$5.0000" in shown.out
    assert "qwen-at-home: still no price for 9 tokens in 1 reading;" in shown.out
    assert run("show", "w", "--json").json["actual_cost_total"] == "25.00"
    done = run("reprice", "--reason", "contract of May", "--yes", "--json").json
    assert done["appended"] == 1
    assert done["models"]["claude-opus-4-5"]["new_cost_usd"] == "20.00"
    assert done["workflows"] == [
        {"adw_id": "w", "status": "completed", "events": 1, "old_cost_usd": "25.00", "new_cost_usd": "20.00"}
    ]
    assert run("show", "w", "--json").json["actual_cost_total"] == "20.00"
    assert "contract of May" in run("explain", "w").out
    again = run("reprice", "--reason", "contract of May", "--yes")
    assert again.out.startswith("nothing to append")
    assert run("verify").code == 0


def test_a_running_workflow_is_told_to_wait_for_its_end(run: Run) -> None:
    charge(run, "w", "claude-opus-4-5")
    configure(NEGOTIATED)
    assert "$5.0000 of this will only be taken off when it ends" in run("reprice", "--reason", "r", "--yes").out
    assert run("show", "w", "--json").json["actual_cost_total"] == "25.00"
    run("complete", "w")
    assert run("show", "w", "--json").json["actual_cost_total"] == "20.00"


def test_a_reprice_takes_only_the_workflows_and_days_named(run: Run) -> None:
    for name in ("w1", "w2"):
        charge(run, name, "claude-opus-4-5", 1, "--observed-at", "2026-05-01T12:00:00Z")
    configure(NEGOTIATED)
    assert len(run("reprice", "w1", "--reason", "r", "--json").json["workflows"]) == 1
    for days, count in (("2026-05-01", 2), ("2026-04-30", 0)):
        answer = run("reprice", "--reason", "r", "--until", days, "--since", "2026-04-29", "--json").json
        assert len(answer["workflows"]) == count
    nowhere = run("reprice", "w1", "nowhere", "--reason", "r", "--yes")
    assert (nowhere.code, "nowhere" in nowhere.err) == (1, True)
    assert "1 reading appended to 1 workflow\n" in nowhere.out
    assert run("reprice", "--reason", " ").code == 2


def test_an_import_after_a_reprice_appends_nothing(run: Run) -> None:
    write(Path("agents/w1/plan/raw_output.jsonl"), init(), message("m1", 5), message("m2", 7))
    run("import", "adw", "agents")
    configure('[[prices]]\nmodel = "*"\ninput_usd_per_mtok = 1\noutput_usd_per_mtok = 1\ncache_read_usd_per_mtok = 1\n')
    assert run("reprice", "--reason", "r", "--yes", "--json").json["appended"] == 2
    assert run("import", "adw", "agents", "--json").json["appended"] == 0
    write(Path("agents/w1/plan/raw_output.jsonl"), init(), message("m1", 5), message("m2", 7), result(0.5))
    run("import", "adw", "agents", "--status", "completed")
    assert run("show", "w1", "--json").json["actual_cost_total"] == "0.50", "a total that comes after it counts"


def test_a_check_exits_3_when_over_and_warns_from_80_percent_on(run: Run) -> None:
    run("start", "w", "--budget-usd", "5")
    for cost, code, warned in (("3.99", 0, ""), ("4.00", 0, "nears its budget"), ("5.01", 3, "is over its budget")):
        run("observe", "w", "--cost-usd", cost)
        checked = run("check", "w")
        assert (checked.code, warned in checked.err) == (code, True)
        assert ("budget" in checked.err) == bool(warned)
    answer = run("check", "w", "--json")
    assert (answer.code, answer.json["budget"]["state"], answer.json["budget"]["left_usd"]) == (3, "over", "-0.01")


def test_a_check_of_a_budget_of_nothing_names_no_percentage(run: Run) -> None:
    run("start", "w", "--budget-usd", "0")
    run("observe", "w", "--cost-usd", "0.0000001")
    answer = run("check", "w")
    assert (answer.code, answer.out) == (3, "w: $0.0000001 of $0.0000000 spent, $0.0000001 over\n")
    assert answer.err.endswith("costledger: w is over its budget\n")
    assert run("check", "w", "--json").json["budget"]["percent"] is None


def test_a_check_without_an_id_is_of_all_that_runs(run: Run) -> None:
    assert run("check").out == "no workflow is running\n"
    configure('[budgets]\ndefault_usd = 10\n[budgets.by_template]\nsmall = "0.50"\n')
    run("start", "w1", "--workflow-template", "small")
    run("observe", "w1", "--cost-usd", "0.51")
    run("observe", "w2", "--cost-usd", "0.51")
    answer = run("check", "--json")
    assert [(one["adw_id"], one["budget"]["state"]) for one in answer.json] == [("w1", "over"), ("w2", "ok")]
    assert answer.code == 3
    run("complete", "w1")
    assert run("check").code == 0, "what has ended is no longer watched"
    assert run("check", "w1").code == 3, "unless it is asked for"
    assert run("check", "nowhere").code == 1


def test_an_unpriced_part_is_said_by_a_check(run: Run) -> None:
    run("start", "w", "--budget-usd", "5")
    charge(run, "w", "qwen-at-home", 9)
    answer = run("check", "w").out
    assert (
        answer == "w: an unpriced amount spent, at most $5.0000 left of $5.0000; the tokens of 1 meter have no price\n"
    )
    assert run("check", "w", "--json").json["budget"]["at_least"] is True


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

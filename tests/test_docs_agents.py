"""The examples of docs/agents.md run, against a server that answers as the providers do."""

from __future__ import annotations

import importlib.util
import re
import time
from pathlib import Path

import pytest

from ledger import DirectoryStore
from projections.replay import project
from tests.conftest import PROJECT
from tests.ledger.fake_providers import providers

EXAMPLES = re.findall(
    r"^```python\n(.*?)^```", (PROJECT / "docs" / "agents.md").read_text(encoding="utf-8"), re.M | re.S
)
SDKS = ("anthropic", "openai", "google.genai", "litellm", "opentelemetry.sdk")


def test_the_page_has_an_example_of_each_way() -> None:
    assert [sum(sdk in example for example in EXAMPLES) > 0 for sdk in ("anthropic", "openai", "genai", "litellm")]
    assert len(EXAMPLES) == 5


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::pytest.PytestWarning")
@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_runs_and_charges(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = EXAMPLES[number]
    for name in SDKS:
        top = name.partition(".")[0]
        if f" {top}" in source and importlib.util.find_spec(top) is None:
            pytest.skip(f"{top} is not installed: pip install 'costledger[test]'")
    monkeypatch.setenv("COSTLEDGER_DATA", str(tmp_path))
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    for name in ("ANTHROPIC", "OPENAI", "GEMINI"):
        monkeypatch.setenv(f"{name}_API_KEY", "k")
    with providers() as base:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", base)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{base}/v1")
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", base)
        exec(compile(source, f"docs/agents.md example {number + 1}", "exec"), {"__name__": "example"})  # noqa: S102
        for _ in range(600):  # LiteLLM runs its callbacks beside the program
            row = project(DirectoryStore(tmp_path), "a5b80595").row
            if row.output_tokens:
                break
            time.sleep(0.05)
    assert (row.status, row.cost_basis) == ("completed", "priced")
    assert row.actual_cost_nanousd > 0

"""The examples of docs/agents.md run, against a server that answers as the providers do."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ledger import DirectoryStore
from projections.replay.refresh import project
from tests.conftest import PROJECT
from tests.ledger.fake_providers import providers

EXAMPLES = re.findall(
    r"^```python\n(.*?)^```", (PROJECT / "docs" / "agents.md").read_text(encoding="utf-8"), re.M | re.S
)
SDKS = ("anthropic", "openai", "google.genai", "litellm", "opentelemetry.sdk")


def test_the_page_has_an_example_of_each_way() -> None:
    assert [sum(sdk in example for example in EXAMPLES) > 0 for sdk in ("anthropic", "openai", "genai", "litellm")]
    assert len(EXAMPLES) == 9


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_runs_and_charges(number: int, tmp_path: Path) -> None:
    source = EXAMPLES[number]
    for name in SDKS:
        top = name.partition(".")[0]
        if f" {top}" in source and importlib.util.find_spec(top) is None:
            pytest.skip(f"{top} is not installed: pip install 'costledger[test]'")
    given = {"COSTLEDGER_DATA": str(tmp_path), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    given |= {f"{name}_API_KEY": "k" for name in ("ANTHROPIC", "OPENAI", "GEMINI")}
    with providers() as base:
        given |= {"ANTHROPIC_BASE_URL": base, "OPENAI_BASE_URL": f"{base}/v1", "GOOGLE_GEMINI_BASE_URL": base}
        # A program of its own, as on the page: these libraries keep state from one use to the next.
        command = [sys.executable, "-W", "ignore", "-c", source]
        done = subprocess.run(command, env=os.environ | given, cwd=PROJECT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    row = project(DirectoryStore(tmp_path), "a5b80595").row
    basis = "reported" if "total_cost_usd" in source else "priced"
    assert (row.status, row.cost_basis) == ("completed", basis)
    assert row.actual_cost_nanousd > 0

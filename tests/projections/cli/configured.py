"""A configuration with prices, and charges that it prices."""

from __future__ import annotations

from pathlib import Path

from tests.projections.cli.test_app import Run

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


def configure(text: str, file: str = "costledger.toml") -> None:
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text(text, encoding="utf-8")


def charge(run: Run, workflow_id: str, model: str, tokens: int = 1_000_000, *more: str) -> None:
    assert run("charge", workflow_id, "--model", model, "--output-tokens", str(tokens), *more).code == 0

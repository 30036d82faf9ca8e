"""docs/api.md runs as it is written, and docs/api-reference.md is that of the OpenAPI document."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.projections.server.conftest import Serve
from tests.waiting import until

PAGE = PROJECT / "docs" / "api.md"


def test_the_reference_is_that_of_the_open_api_document() -> None:
    written = (PROJECT / "docs" / "api-reference.md").read_text(encoding="utf-8")
    assert runpy.run_path(str(PROJECT / "docs" / "api_reference.py"))["page"]() == written, (
        "run: python docs/api_reference.py"
    )


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_tour_with_curl_runs_as_it_is_written(serve: Serve, tmp_path: Path) -> None:
    tour = PAGE.read_text(encoding="utf-8").partition("## A tour with curl")[2].partition("\n## Tokens")[0]
    read, edit, resync, append = re.findall(r"^```sh\n(.*?)^```", tour, re.M | re.S)
    server = serve(tmp_path / "data")
    bin = Path(sys.executable).parent
    environment = os.environ | {
        "URL": server.url,
        "COSTLEDGER_DATA": str(tmp_path / "data"),
        "PATH": f"{bin}:{os.environ['PATH']}",
    }

    def run(script: str) -> str:
        command = ["bash", "-euc", script]
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    run(read)
    until(lambda: run(read.splitlines()[-1]), lambda output: '"actual_cost_total":"2.37"' in output)
    assert '"actual_cost_total":"0.09"' in run(edit)
    output = run(resync)
    assert '"changes":[{"adw_id":"a5b80595","old_cost":"0.09","new_cost":"2.37"' in output
    assert '"resynced_count":1' in output
    assert '"reason":"resync --force"' in output
    appended = run(append)
    standing = r'"b7c1":\{"cost_usd":"4.20","at_least":false,.*"budget":\{.*"left_usd":"0.80","percent":84'
    assert re.search(standing, appended)

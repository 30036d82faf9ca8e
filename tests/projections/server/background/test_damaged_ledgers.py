"""What was noticed is looked at in turns, and is still there after a restart."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from pathlib import Path

import pytest

from ledger.events.event import cost_observed
from projections.server.background.damaged_ledgers import DamagedLedgers
from tests.projections.server.conftest import Serve
from tests.waiting import until

_NO_MORE_THAN_OTHERS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
"""Root as a user whom the mode of a file binds."""

_OFTEN = (
    "import sys; from projections.server.background import row_refresher; row_refresher._ALL_SECONDS = 0.5; "
    "from projections.cli import main; sys.argv[:] = sys.argv[3:]; main()"
)
"""What follows it, a `python -m projections …`, looks at all ledgers so often."""


def test_each_has_its_turn_and_those_that_are_mended_go(tmp_path: Path) -> None:
    noticed = DamagedLedgers(tmp_path)
    noticed.add(["a", "b", "c"])
    noticed.add(["b", "d"])
    assert [noticed.next(2), noticed.next(2), noticed.next(2)] == [["a", "b"], ["c", "d"], ["a", "b"]]
    noticed.drop(["c", "never"])
    assert DamagedLedgers(tmp_path).next(9) == noticed.next(9) == ["d", "a", "b"]
    assert ("c" in noticed, "d" in noticed) == (False, True)


def test_more_than_anybody_looks_at_are_not_kept(tmp_path: Path) -> None:
    noticed = DamagedLedgers(tmp_path)
    noticed.add(f"w{number}" for number in range(2_000))
    noticed.add(["one more"])
    assert len(DamagedLedgers(tmp_path).next(9_999)) == 1_000


@pytest.mark.parametrize("text", ["", "{", "5", "[1, null]"])
def test_a_file_that_says_nothing_is_begun_anew(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "noticed.json").write_text(text)
    caplog.set_level(logging.WARNING)
    noticed = DamagedLedgers(tmp_path)
    assert noticed.next(9) == []
    noticed.add(["w"])
    assert DamagedLedgers(tmp_path).next(9) == ["w"]


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root reads everything")
def test_a_ledger_that_may_not_be_read_is_named_until_it_may(serve: Serve, tmp_path: Path) -> None:
    bound = _NO_MORE_THAN_OTHERS if os.geteuid() == 0 else ()
    server = serve(by=(*bound, sys.executable, "-c", _OFTEN))
    for name in ("w", "v"):
        server.ledgers.append([cost_observed(name, cost_usd="1")])
    until(lambda: server.client.get("/api/workflow-history").json()["total_count"], lambda count: count == 2)
    closed = [tmp_path / "data" / "ledgers" / f"{name}.jsonl" for name in ("w", "v")]
    for path in closed:
        path.chmod(0)
    assert server.client.get("/api/workflow-history/w/events").status_code == 503

    def looked_at() -> str:
        return str(server.client.get("/api/health").json()["refreshed_at"])

    before: set[str] = set()
    for _ in range(2):  # a look at all, each ten seconds otherwise, passes over what has the size it had
        before.add(looked_at())
        until(looked_at, lambda at: at not in before, 30)
        problems = server.client.get("/api/health").json()["problems"]
        assert list(problems) == ["v", "w"]
        assert "Permission denied" in problems["w"]
    assert "2 ledgers cannot be replayed" in server.client.get("/readyz").text
    for path in closed:
        path.chmod(0o600)
    until(lambda: server.client.get("/api/health").json()["problems"], lambda body: not body, 30)

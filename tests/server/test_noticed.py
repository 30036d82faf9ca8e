"""What was noticed is looked at in turns, and is still there after a restart."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from projections.server.noticed import Noticed


def test_each_has_its_turn_and_those_that_are_mended_go(tmp_path: Path) -> None:
    noticed = Noticed(tmp_path)
    noticed.add(["a", "b", "c"])
    noticed.add(["b", "d"])
    assert [noticed.next(2), noticed.next(2), noticed.next(2)] == [["a", "b"], ["c", "d"], ["a", "b"]]
    noticed.drop(["c", "never"])
    assert Noticed(tmp_path).next(9) == noticed.next(9) == ["d", "a", "b"]
    assert ("c" in noticed, "d" in noticed) == (False, True)


def test_more_than_anybody_looks_at_are_not_kept(tmp_path: Path) -> None:
    noticed = Noticed(tmp_path)
    noticed.add(f"w{number}" for number in range(2_000))
    noticed.add(["one more"])
    assert len(Noticed(tmp_path).next(9_999)) == 1_000


@pytest.mark.parametrize("text", ["", "{", "5", "[1, null]"])
def test_a_file_that_says_nothing_is_begun_anew(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "noticed.json").write_text(text)
    caplog.set_level(logging.WARNING)
    noticed = Noticed(tmp_path)
    assert noticed.next(9) == []
    noticed.add(["w"])
    assert Noticed(tmp_path).next(9) == ["w"]

"""Sources that never end: pipes and devices in a folder are reported, and the files next to them are read."""

from __future__ import annotations

import os
import pty
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import SourceUnreadable
from ledger.importing.importer import import_source
from ledger.importing.source_follower import Look, SourceFollower
from ledger.importing.source_registry import SourceEntry
from ledger.pricing.genai_book import GenaiPrices
from ledger.sources.formats import csv_rows
from ledger.sources.formats.regular_files import open_regular
from ledger.storage.directory_store import DirectoryStore
from tests.conftest import PROJECT
from tests.ledger.logs import init, result, write

SAMPLES = PROJECT / "tests" / "ledger" / "samples"
MAP = {"csv": ["workflow_id=workflow", "cost_usd=cost"], "jsonl": ["workflow_id=workflow", "cost_usd=cost"]}
SUFFIX = {
    "csv": ".csv",
    "jsonl": ".jsonl",
    "litellm": ".jsonl",
    "otlp": ".jsonl",
    "claude": ".jsonl",
    "codex": ".jsonl",
}


@pytest.fixture
def terminal() -> Iterator[str]:
    main, side = pty.openpty()
    yield os.ttyname(side)
    os.close(main)
    os.close(side)


def endless(folder: Path, suffix: str, terminal: str) -> set[str]:
    """Put what never ends into a folder, and return the names."""
    os.mkfifo(folder / f"pipe{suffix}")
    (folder / f"zero{suffix}").symlink_to("/dev/zero")
    (folder / f"terminal{suffix}").symlink_to(terminal)
    return {f"pipe{suffix}", f"zero{suffix}", f"terminal{suffix}"}


def good(folder: Path, kind: str) -> None:
    folder.mkdir(parents=True)
    if kind == "csv":
        (folder / "a.csv").write_text("workflow,cost\nw,1.00\n")
    elif kind == "jsonl":
        (folder / "a.jsonl").write_text('{"workflow":"w","cost":"1.00"}\n')
    elif kind in ("claude", "codex"):
        shutil.copytree(SAMPLES / kind, folder / "sample")
    else:
        sample = "litellm.csv" if kind == "litellm" else "otlp-logs.jsonl"
        shutil.copy(SAMPLES / sample, folder)


@pytest.mark.parametrize("kind", SUFFIX)
def test_a_folder_with_what_never_ends_is_imported_and_that_is_named(kind: str, tmp_path: Path, terminal: str) -> None:
    folder, store = tmp_path / "logs", DirectoryStore(tmp_path / "data")
    good(folder, kind)
    names = endless(folder, SUFFIX[kind], terminal)
    report = import_source(store, kind, folder, map=MAP.get(kind, ()))
    assert report.appended > 0
    if kind not in ("claude", "codex"):  # whose files that are none are passed over, as those that vanish are
        assert {skipped.path.name for skipped in report.skipped} >= names
        assert any("no regular file" in skipped.reason for skipped in report.skipped)


@pytest.mark.parametrize("kind", ["csv", "otlp", "litellm", "claude", "claude-stream", "history-db"])
def test_an_endless_path_itself_is_refused_in_a_sentence(kind: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(SourceUnreadable):
            import_source(DirectoryStore(tmp_path / "data"), kind, path, map=MAP.get(kind, ()), workflow_id="w")


def test_adw_agents_with_a_pipe_for_a_log_and_for_a_state_are_read(tmp_path: Path) -> None:
    agents, store = tmp_path / "agents", DirectoryStore(tmp_path / "data")
    write(agents / "w1" / "plan" / "raw_output.jsonl", init(), result(0.10, sonnet=0.10))
    os.mkfifo(agents / "w1" / "adw_state.json")
    (agents / "w2" / "plan").mkdir(parents=True)
    os.mkfifo(agents / "w2" / "plan" / "raw_output.jsonl")
    report = import_source(store, "adw", agents)
    assert report.workflows["w1"].appended > 0
    assert {skipped.path.name for skipped in report.skipped} >= {"adw_state.json"}


def test_what_is_followed_goes_on_beside_a_pipe(tmp_path: Path, terminal: str) -> None:
    folder, store = tmp_path / "logs", DirectoryStore(tmp_path / "data")
    good(folder, "jsonl")
    endless(folder, ".jsonl", terminal)
    entry = SourceEntry("jsonl", str(folder), map=tuple(MAP["jsonl"]))
    seconds = [0.0]
    following = SourceFollower(store, lambda: [entry], prices=GenaiPrices(), clock=lambda: seconds[0])
    following.look(first := Look())
    with (folder / "a.jsonl").open("a") as file:
        file.write('{"workflow":"w","cost":"2.00"}\n')
    seconds[0] += 60
    following.look(second := Look())
    assert [report.appended for look in (first, second) for _, report in look.imported] == [1, 1]
    assert (first.troubles, second.troubles) == ([], [])


def test_a_source_that_is_read_for_long_is_named_while_it_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    good(folder, "jsonl")
    entry, seconds = SourceEntry("jsonl", str(folder), map=tuple(MAP["jsonl"])), [0.0]
    following = SourceFollower(
        DirectoryStore(tmp_path / "data"), lambda: [entry], prices=GenaiPrices(), clock=lambda: seconds[0]
    )
    following.reading = (entry, 0.0)
    seconds[0] = 59.0
    assert following.slow(60) is None
    seconds[0] = 61.0
    assert following.slow(60) == (entry, 61.0)
    following.look(Look())
    assert following.slow(0) is None


def test_only_a_regular_file_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    before = len(os.listdir("/proc/self/fd"))
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/null")):
        with pytest.raises(OSError, match=r"no regular file|directory"):
            open_regular(path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_header_that_is_too_long_is_named(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    for text in ("x" * 200_000 + ",b\n1,2\n", ",".join(f"c{n}" for n in range(40_000)) + "\n"):
        path.write_text(text)
        with pytest.raises(SourceUnreadable, match="the header, is longer than 131,072 characters"):
            csv_rows.header(path)

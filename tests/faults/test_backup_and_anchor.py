"""Copies taken while agents append, and anchors kept elsewhere."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import pytest

from ledger.errors import DamagedLedger, InvalidAnchor, InvalidInput
from ledger.events.event import cost_observed
from ledger.maintenance.anchors import anchor, anchors_in, broken
from ledger.maintenance.origin_renewal import renew
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.line import body_of, ending_of, seed
from ledger.storage.origin import keep_origin, misplaced
from projections.history.sqlite.history import SqliteHistory
from projections.replay.rebuild import rebuild
from projections.replay.verify import Proof, verify
from tests.command import Done, costledger
from tests.conftest import PROJECT


def append_for_a_while(data: str, name: str) -> None:
    store = DirectoryStore(data, durability="none")
    for number in range(3000):
        store.append([cost_observed(name, cost_usd=number, id=f"{name}-{number}")])


@pytest.mark.parametrize("how", ["cp", "rsync", "tar"])
def test_a_copy_taken_while_agents_append_restores_to_a_valid_prefix(tmp_path: Path, how: str) -> None:
    if shutil.which(how) is None:
        pytest.skip(f"{how} is not installed")
    data = tmp_path / "data"
    names = [f"w{number}" for number in range(4)]
    for name in names:
        DirectoryStore(data).append([cost_observed(name, cost_usd=0, id="first")])
    agents = [get_context("spawn").Process(target=append_for_a_while, args=(str(data), name)) for name in names]
    for agent in agents:
        agent.start()
    copies: list[Path] = []
    while any(agent.is_alive() for agent in agents) and len(copies) < 6:
        copy = tmp_path / f"copy{len(copies)}"
        if how == "cp":
            subprocess.run(["cp", "-r", data, copy], check=True)
        elif how == "rsync":
            subprocess.run(["rsync", "-a", f"{data}/", copy], check=True)
        else:
            copy.mkdir()
            subprocess.run(f"tar -cf - -C {data} . 2>/dev/null | tar -xf - -C {copy}", shell=True, check=True)  # noqa: S602
        copies.append(copy)
    for agent in agents:
        agent.join()
    original = {name: DirectoryStore(data).ledger_path(name).read_bytes() for name in names}
    for copy in copies:
        assert misplaced(copy) is not None
        keep_origin(copy)
        assert misplaced(copy) is None
        store = DirectoryStore(copy)
        for name in names:
            raw = store.ledger_path(name).read_bytes()
            assert original[name].startswith(raw[: raw.rfind(b"\n") + 1])
            store.append([cost_observed(name, cost_usd=1, id="restored")])
        with SqliteHistory(copy / "history.db") as history:
            assert rebuild(store, history).problems == []
            assert list(verify(store, history, Proof())) == []
        shutil.rmtree(copy)
    assert copies


def many(folder: Path) -> DirectoryStore:
    store = DirectoryStore(folder, durability="none")
    for name in ("a", "b"):
        for number in range(3):
            store.append([cost_observed(name, cost_usd=number)])
    return store


def test_an_anchor_is_one_line_and_is_read_back(tmp_path: Path) -> None:
    made = anchor(many(tmp_path))
    assert (made.ledgers, made.events) == (2, 8)
    assert anchors_in(f"# kept in the safe\n\n{made}\n{made}\n") == [made, made]
    for text in ("", "# nothing\n", "hello\n"):
        with pytest.raises(InvalidAnchor):
            anchors_in(text)


def test_what_grows_after_an_anchor_still_holds_it(tmp_path: Path) -> None:
    store = many(tmp_path)
    kept = anchor(store)
    store.append([cost_observed("a", cost_usd=9), cost_observed("a", cost_usd=10)])
    store.append([cost_observed("new", cost_usd=9)])
    assert list(broken(store, kept)) == []


def test_a_cut_tail_that_no_chain_can_show_breaks_the_anchor(tmp_path: Path) -> None:
    store = many(tmp_path)
    kept = anchor(store)
    path = store.ledger_path("a")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert len(list(DirectoryStore(tmp_path).read("a"))) == 3, "the chain alone is content"
    assert [(name, "was cut" in problem) for name, problem in broken(DirectoryStore(tmp_path), kept)] == [("a", True)]


def test_a_vanished_or_rewritten_ledger_breaks_the_anchor(tmp_path: Path) -> None:
    store = many(tmp_path)
    kept = anchor(store)
    store.ledger_path("a").unlink()
    other = many(tmp_path / "other")
    shutil.copy(other.ledger_path("b"), store.ledger_path("b"))
    assert {name for name, _ in broken(DirectoryStore(tmp_path), kept)} == {"a", "b"}


def test_heads_that_were_changed_or_removed_or_are_of_another_directory(tmp_path: Path) -> None:
    store = many(tmp_path / "one")
    kept = anchor(store)
    heads = tmp_path / "one/anchors" / kept.root
    heads.write_bytes(heads.read_bytes().replace(b"a 4", b"a 3"))
    assert "were changed" in next(broken(store, kept))[1]
    heads.unlink()
    assert "cannot be read" in next(broken(store, kept))[1]
    assert "of data directory" in next(broken(many(tmp_path / "two"), kept))[1]


def test_a_damaged_ledger_is_not_anchored(tmp_path: Path) -> None:
    store = many(tmp_path)
    path = store.ledger_path("a")
    path.write_bytes(path.read_bytes().replace(b'"1.00"', b'"7.00"'))
    with pytest.raises(DamagedLedger):
        anchor(store)


def test_an_anchor_of_before_a_renewal_says_so(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.append([cost_observed("w", cost_usd=1)])
    kept = anchor(store)
    renew(store)
    assert ["its origin was renewed since" in problem for _, problem in broken(store, kept)] == [True]


def test_an_anchor_makes_no_mistyped_data_directory(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no data directory"):
        anchor(DirectoryStore(tmp_path / "mistyped"))
    assert list(tmp_path.iterdir()) == []


def rewritten(store: DirectoryStore, name: str, old: bytes, new: bytes) -> None:
    """Change an event and all hashes after it, as a writer of the files can who knows FORMAT.md."""
    lines = store.ledger_path(name).read_bytes().splitlines(keepends=True)
    assert any(old in line for line in lines)
    made, before = list[bytes](), seed(name, store.origin)
    for line in lines:
        content = body_of(line.replace(old, new))
        made.append(content + sha256(before + content).hexdigest().encode() + b'"}\n')
        before = ending_of(made[-1])
    store.ledger_path(name).write_bytes(b"".join(made))


def run(data: Path, *arguments: str) -> Done:
    return costledger(PROJECT, "--data", str(data), *arguments)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty git repository next to the data directory."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    (tmp_path / "gitconfig").write_text("[user]\nname = A Person\nemail = person@example.org\n")
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "anchors")], check=True)
    return tmp_path / "anchors"


def test_only_an_anchor_elsewhere_shows_a_history_that_was_rewritten_whole(tmp_path: Path) -> None:
    data = tmp_path / "data"
    store = many(data)
    assert run(data, "refresh").code == 0
    honest = run(data, "verify")
    assert honest.code == 0
    assert "no anchor was given: a writer of these files could have changed an event" in honest.out
    assert json.loads(run(data, "verify", "--json").out)["vouched_since"] is None

    kept = run(data, "anchor")
    assert kept.code == 0, kept.err
    (moment,) = re.findall(r"^costledger-anchor/1 \w+ (\S+) ledgers=2 events=8 sha256:\w+$", kept.out, re.MULTILINE)
    (tmp_path / "costledger-anchors.txt").write_text(kept.out)
    anchors = str(tmp_path / "costledger-anchors.txt")
    store.append([cost_observed("a", cost_usd=9)])
    vouched = run(data, "verify", "--against", anchors)
    assert (vouched.code, f"whatever was there at {moment} is unchanged" in vouched.out) == (0, True)
    assert json.loads(run(data, "verify", "--against", anchors, "--json").out)["vouched_since"] == moment

    rewritten(store, "a", b'"1.00"', b'"7.00"')
    for path in data.glob("history.db*"):
        path.unlink()
    assert run(data, "refresh").code == 0
    assert "0 findings" in run(data, "verify").out, "by themselves the files are content"
    found = run(data, "verify", "--against", anchors)
    assert (found.code, "was rewritten" in found.out) == (3, True)
    assert "whatever was there" not in found.out


def test_a_cron_line_of_the_manual_keeps_an_anchor_each_night(tmp_path: Path, repository: Path) -> None:
    manual = (PROJECT / "docs/operations.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^17 3 \* \* \* (.*costledger.*anchor >> .*)$", manual, re.MULTILINE)
    remote = tmp_path / "elsewhere.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(remote)], check=True)
    subprocess.run(["git", "-C", repository, "remote", "add", "origin", str(remote)], check=True)
    subprocess.run(["git", "-C", repository, "config", "push.autoSetupRemote", "true"], check=True)
    many(tmp_path / "data")
    line = line.replace("/srv/costledger", str(tmp_path / "data")).replace("/srv/anchors", str(repository))
    command = f'costledger() {{ {sys.executable} -m projections "$@"; }}; {line}'
    for _ in range(2):
        done = subprocess.run(["sh", "-c", command], cwd=PROJECT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    pushed = subprocess.run(["git", "-C", remote, "log", "--all", "--oneline"], capture_output=True, check=True)
    assert len(pushed.stdout.splitlines()) == 2
    assert len(anchors_in((repository / "costledger-anchors.txt").read_text())) == 2

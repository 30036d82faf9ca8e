"""The append protocol on a real disk: what other processes, a hand, or the operating system do to a ledger."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import CostledgerError, DamagedLedger, DurabilityUnknown, LedgerUnavailable
from ledger.events.event import cost_observed
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.files import Files, OpenFile

CALLS = ["open_append", "create", "lock", "unlock", "size", "is_at", "exists", "read", "write", "truncate", "sync"]
CALLS += ["sync_directory", "replace", "remove"]


class FailingFiles(Files):
    """The operating system's files, whose n-th call of one kind fails once."""

    def __init__(self, kind: str, number: int, code: int, *, short: bool = False) -> None:
        self.kind, self.number, self.code, self.short = kind, number, code, short
        self.failed = False

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        return self._counted(name, found) if name in CALLS else found

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            if name != self.kind or self.failed:
                return call(*args, **kwargs)
            self.number -= 1
            if self.number > 0:
                return call(*args, **kwargs)
            self.failed = True
            if self.short and name == "write":
                return call(args[0], args[1][: len(args[1]) // 2])
            raise OSError(self.code, os.strerror(self.code))

        return counted


def ids_in(store: DirectoryStore) -> list[str]:
    return [line["id"] for line in store.read("w") if line["type"] == "cost_observed"]


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("kind", CALLS)
def test_when_the_nth_call_fails_no_receipt_is_wrong_and_the_next_attempt_works(
    tmp_path: Path, kind: str, number: int, code: int
) -> None:
    files = FailingFiles(kind, number, code, short=code == errno.ENOSPC)
    store = DirectoryStore(tmp_path, files=files)
    acknowledged: list[str] = []
    for name in ("a", "b", "c"):
        try:
            store.append([cost_observed("w", cost_usd=1, id=name)])
            acknowledged.append(name)
        except LedgerUnavailable as error:
            assert str(tmp_path) in str(error)
            assert store.append([cost_observed("w", cost_usd=1, id=name)])[0].id == name
            acknowledged.append(name)
    assert ids_in(DirectoryStore(tmp_path)) == acknowledged == ["a", "b", "c"]
    assert not list(tmp_path.glob("ledgers/*.fenced"))


def test_a_lock_that_cannot_be_lifted_is_lifted_by_closing_the_file(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path, files=FailingFiles("unlock", 1, errno.EIO))
    store.append([cost_observed("w", cost_usd=1, id="a")])
    assert ids_in(DirectoryStore(tmp_path)) == ["a"]  # it would wait for ever
    assert store.append([cost_observed("w", cost_usd=1, id="b")])[0].seq == 3


def test_a_failed_sync_gives_no_receipt_and_fences_the_ledger_for_every_process(tmp_path: Path) -> None:
    DirectoryStore(tmp_path).append([cost_observed("w", cost_usd=1, id="a")])
    path = DirectoryStore(tmp_path).ledger_path("w")
    before = path.stat().st_ino
    store = DirectoryStore(tmp_path, files=FailingFiles("sync", 1, errno.EIO))
    with pytest.raises(DurabilityUnknown, match="no receipt"):
        store.append([cost_observed("w", cost_usd=1, id="b")])
    assert path.with_name("w.jsonl.fenced").exists()
    receipt = DirectoryStore(tmp_path).append([cost_observed("w", cost_usd=1, id="b")])[0]
    assert receipt.duplicate  # its bytes were verified and copied to a new, synced file
    assert path.stat().st_ino != before
    assert not path.with_name("w.jsonl.fenced").exists()
    assert ids_in(store) == ["a", "b"]


def test_a_reader_lifts_the_fence_before_it_believes_what_it_reads(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.append([cost_observed("w", cost_usd=1, id="a")])
    path = store.ledger_path("w")
    path.with_name("w.jsonl.fenced").touch()
    assert ids_in(DirectoryStore(tmp_path)) == ["a"]
    assert not path.with_name("w.jsonl.fenced").exists()


def test_a_ledger_replaced_between_the_write_and_the_sync_is_written_again(tmp_path: Path) -> None:
    class ReplacedFiles(Files):
        once = True

        def sync(self, file: OpenFile) -> None:
            super().sync(file)
            if self.once and b"mine" in self.read(file, 0, 100_000):
                type(self).once = False
                old = path.read_bytes().splitlines(keepends=True)
                path.with_name("new").write_bytes(b"".join(old[:2]))  # without the line just written
                path.with_name("new").replace(path)

    store = DirectoryStore(tmp_path, files=ReplacedFiles())
    path = store.ledger_path("w")
    store.append([cost_observed("w", cost_usd=1, id="a")])
    receipt = store.append([cost_observed("w", cost_usd=1, id="mine")])[0]
    assert not receipt.duplicate
    assert ids_in(store) == ["a", "mine"]


def test_a_ledger_edited_by_hand_is_fenced_and_the_others_go_on(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    for name in ("v", "w"):
        store.append([cost_observed(name, cost_usd="0.09", agent="plan")])
    path = store.ledger_path("w")
    path.write_bytes(path.read_bytes().replace(b'"0.09"', b'"2.37"'))
    edited = path.read_bytes()
    with pytest.raises(DamagedLedger, match=r"w\.jsonl, line 2 .*hash does not fit"):
        DirectoryStore(tmp_path).append([cost_observed("w", cost_usd=1)])
    assert path.read_bytes() == edited
    assert store.append([cost_observed("v", cost_usd=1)])[0].seq == 3


def test_a_ledger_cut_while_we_have_it_open_is_noticed(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.append([cost_observed("w", cost_usd=1), cost_observed("w", cost_usd=2)])
    path = store.ledger_path("w")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    with pytest.raises(DamagedLedger, match="was cut"):
        store.append([cost_observed("w", cost_usd=3)])


@pytest.mark.parametrize(
    "content", [b"\x00\xff\xfe" * 100 + b"\n", b"hello\n", b"{}\n", b"[]\n" * 9, b"\n", b"x" * 400_000]
)
def test_a_file_that_is_no_ledger_is_not_appended_to(tmp_path: Path, content: bytes) -> None:
    path = DirectoryStore(tmp_path).ledger_path("w")
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(DamagedLedger):
        DirectoryStore(tmp_path).append([cost_observed("w", cost_usd=1)])
    assert path.read_bytes() == content


def test_a_newline_overwritten_after_a_whole_line_is_damage_not_a_torn_tail(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.append([cost_observed("w", cost_usd=1)])
    path = store.ledger_path("w")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DamagedLedger, match="newline"):
        DirectoryStore(tmp_path).append([cost_observed("w", cost_usd=1)])


def test_a_torn_tail_is_moved_aside_whole(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.append([cost_observed("w", cost_usd=1)])
    path = store.ledger_path("w")
    for number, tail in enumerate([b'{"v":1,"se', b'{"v":1,"' + b"\0" * 50, b"\xff"], 1):
        with path.open("ab") as file:
            file.write(tail)
        DirectoryStore(tmp_path).append([cost_observed("w", cost_usd=number)])
        assert path.with_name(f"w.jsonl.torn-{number}").read_bytes() == tail.rstrip(b"\0")
    assert len(list(store.read("w"))) == 5


def test_nul_bytes_behind_a_ledger_are_cut_off_and_their_number_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    DirectoryStore(tmp_path).append([cost_observed("w", cost_usd=1)])
    path = DirectoryStore(tmp_path).ledger_path("w")
    os.truncate(path, path.stat().st_size + 500_000_000)
    DirectoryStore(tmp_path).append([cost_observed("w", cost_usd=2)])
    assert [file.name for file in path.parent.iterdir()] == ["w.jsonl"]
    assert "500,000,000 NUL bytes" in caplog.text
    assert len(list(DirectoryStore(tmp_path).read("w"))) == 3


@pytest.mark.parametrize("call", ["write", "sync", "sync_directory"])
def test_a_torn_tail_that_cannot_be_moved_aside_stays_and_leaves_no_copy(tmp_path: Path, call: str) -> None:
    DirectoryStore(tmp_path).append([cost_observed("w", cost_usd=1)])
    path = DirectoryStore(tmp_path).ledger_path("w")
    torn = path.read_bytes() + b'{"v":1,"se'
    path.write_bytes(torn)

    def refused(*_: object) -> int:
        raise OSError(28, "No space left on device")

    files = Files()
    setattr(files, call, refused)
    with pytest.raises(LedgerUnavailable, match="No space left"):
        DirectoryStore(tmp_path, files=files).append([cost_observed("w", cost_usd=2)])
    assert path.read_bytes() == torn
    assert [file.name for file in path.parent.iterdir()] == ["w.jsonl"]


def test_a_directory_where_the_ledger_should_be(tmp_path: Path) -> None:
    path = DirectoryStore(tmp_path).ledger_path("w")
    path.mkdir(parents=True)
    with pytest.raises(LedgerUnavailable, match="Is a directory"):
        DirectoryStore(tmp_path).append([cost_observed("w", cost_usd=1)])


def test_a_data_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(LedgerUnavailable, match="make the folder"):
        DirectoryStore(tmp_path / "data").append([cost_observed("w", cost_usd=1)])


def fill(store: DirectoryStore) -> int:
    for acknowledged in range(1000):
        try:
            store.append([cost_observed("w", cost_usd=1, reason="x" * 3000)])
        except LedgerUnavailable as error:
            assert error.error.errno == errno.ENOSPC
            return acknowledged
    raise AssertionError("the small disk never filled")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a real small file system")
def test_a_full_disk_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=False).returncode != 0:
        pytest.skip("this machine does not let us mount a small file system")
    try:
        acknowledged = fill(DirectoryStore(small))
        assert acknowledged > 3
        assert len(ids_in(DirectoryStore(small))) == acknowledged
    finally:
        subprocess.run(["umount", "--lazy", small], check=True)


def test_a_forked_child_appends_beside_its_parent(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.append([cost_observed("w", cost_usd=1, id="parent")])
    child = os.fork()
    if child == 0:
        code = 1
        try:
            for number in range(20):
                store.append([cost_observed("w", cost_usd=1, id=f"child-{number}")])
            code = 0
        finally:
            os._exit(code)
    for number in range(20):
        store.append([cost_observed("w", cost_usd=1, id=f"parent-{number}")])
    assert os.waitpid(child, 0)[1] == 0
    assert len(set(ids_in(store))) == 41


def test_threads_share_one_store(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    problems: list[CostledgerError] = []

    def work(name: str) -> None:
        try:
            for number in range(25):
                store.append([cost_observed("w", cost_usd=1, id=f"{name}-{number}")])
        except CostledgerError as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(set(ids_in(store))) == 200


def test_batch_durability_is_said_and_flushed(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path, durability="batch")
    assert store.append([cost_observed("w", cost_usd=1)])[0].durability == "batch"
    store.flush()
    assert DirectoryStore(tmp_path, durability="none").append([cost_observed("w", cost_usd=1)])[0].durability == "none"


def test_batch_durability_over_many_ledgers_keeps_few_files_open_and_syncs_each(tmp_path: Path) -> None:
    class Counting(Files):
        def __init__(self) -> None:
            super().__init__()
            self.synced = set[int]()

        def sync(self, file: OpenFile) -> None:
            super().sync(file)
            self.synced.add(os.fstat(file.fd).st_ino)

    files, ledgers = Counting(), [f"w{number}" for number in range(150)]
    store = DirectoryStore(tmp_path, durability="batch", files=files)
    before = len(os.listdir("/dev/fd"))
    for workflow_id in ledgers:
        store.append([cost_observed(workflow_id, cost_usd=1)])
    assert len(os.listdir("/dev/fd")) - before < 100
    store.flush()
    assert files.synced >= {store.ledger_path(workflow_id).stat().st_ino for workflow_id in ledgers}


def test_the_umask_decides_who_may_read(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        store = DirectoryStore(tmp_path)
        store.append([cost_observed("w", cost_usd=1)])
        assert stat.S_IMODE(store.ledger_path("w").stat().st_mode) == 0o640
    finally:
        os.umask(old)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_refused_and_nobody_waits_for_it(tmp_path: Path, make: Callable[[Path], None]) -> None:
    store = DirectoryStore(tmp_path)
    store.append([cost_observed("other", cost_usd=1)])
    make(store.ledger_path("w"))
    with pytest.raises(LedgerUnavailable, match=r"no regular file|Is a directory"):
        store.append([cost_observed("w", cost_usd=1)])
    with pytest.raises(LedgerUnavailable, match="no regular file"):
        store.read("w")

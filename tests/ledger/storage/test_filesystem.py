from __future__ import annotations

from pathlib import Path

import pytest

from ledger.events.event import cost_observed
from ledger.storage.directory_store import DirectoryStore
from ledger.storage.filesystem import file_system, network_file_system

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:26 / /home rw - nfs4 server:/home rw
31 30 8:2 / /home/me/local\\040disk rw - xfs /dev/sdb rw
32 22 0:30 / /mnt/s rw - fuse.sshfs me@host:/ rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/var/data", "ext4"),
        ("/homeless", "ext4"),
        ("/home", "nfs4"),
        ("/home/me/data", "nfs4"),
        ("/home/me/local disk/data", "xfs"),
        ("/mnt/s/data", "fuse.sshfs"),
    ],
)
def test_the_deepest_mount_decides(path: str, kind: str) -> None:
    assert file_system(MOUNTS, path) == kind
    assert file_system("nonsense\n", path) == ""


def test_a_network_file_system_is_warned_about_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert network_file_system(tmp_path) is None
    monkeypatch.setattr("ledger.storage.directory_store.network_file_system", lambda _: "nfs4")
    store = DirectoryStore(tmp_path)
    for name in ("v", "w"):
        store.append([cost_observed(name, cost_usd=1)])
    assert [message.split(":")[0] for message in caplog.messages] == [f"{tmp_path} is on nfs4"]

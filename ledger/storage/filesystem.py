"""The file system of a data directory: a local disk, or a network whose locks and syncs may be weaker."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

__all__ = ["file_system", "file_system_of", "network_file_system"]

_NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "davfs"}
)
"""File systems on which `flock` or `fdatasync` may mean less than on a local disk."""


def network_file_system(path: Path) -> str | None:
    """Return the network file system of a path, such as "nfs4"; None when it is local or cannot be determined."""
    kind = file_system_of(path)
    return kind if kind in _NETWORK or kind.startswith("fuse.") else None


def file_system_of(path: Path) -> str:
    """Return the kind of file system of a path; "" when it cannot be determined."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return file_system(mounts, os.path.realpath(path))


def file_system(mounts: str, path: str) -> str:
    """Return the kind of file system of an absolute path; "" when it cannot be determined.

    Args:
        mounts: the text of /proc/self/mountinfo (https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html).
    """
    best, kind = -1, ""
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        if len(fields) < 5 or not right:
            continue
        mount_point = fields[4].replace("\\040", " ").rstrip("/")
        if (path == mount_point or path.startswith(f"{mount_point}/")) and len(mount_point) >= best:
            best, kind = len(mount_point), right.split()[0]
    return kind

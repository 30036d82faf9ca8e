"""The repository of a worktree, as far as the path of the worktree shows it."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["WORKTREE_FOLDERS", "without_worktree"]

WORKTREE_FOLDERS: Final = re.compile(r"(?P<repository>.+?)(?:\.|-|_)worktrees/[^/]+(?:/.*)?", re.DOTALL)
"""A folder of worktrees next to the repository, a common layout; only the file system can confirm it."""

_INSIDE: Final = re.compile(r"(?P<repository>.*?[^/])/(?:\.claude/worktrees|\.worktrees)/[^/]+(?:/.*)?", re.DOTALL)
_APART: Final = re.compile(
    r"(?P<repository>.*/(?:\.codex/worktrees/[^/]+|\.cursor/worktrees)/[^/]+)(?:/.*)?", re.DOTALL
)
"""Worktrees below a client's own folder, by the repository's name: `~/.codex/worktrees/1a2b/shop`."""


def without_worktree(folder: str, workflow_id: str = "") -> str:
    """Return the repository that a folder is a worktree of, by its path; the folder itself when it is none.

    Args:
        workflow_id: the workflow of an agent may have a worktree of its own, `<repository>/trees/<workflow_id>`.
    """
    path = folder.replace("\\", "/")
    if "trees/" not in path:
        return folder
    own, tree, _ = f"{path}/".partition(f"/trees/{workflow_id}/")
    if workflow_id and tree and own:
        return own
    for pattern in (_INSIDE, _APART):
        if found := pattern.fullmatch(path):
            return found["repository"]
    return folder

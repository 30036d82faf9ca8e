"""Which git repository a folder belongs to: by the file system while the folder exists, else by its path."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from ledger.events.worktrees import WORKTREE_FOLDERS, without_worktree
from ledger.sources.formats.regular_files import open_regular

__all__ = ["repository_of"]

_FILE_BYTES_MAX: Final = 4096
"""Of a `.git` file: one line, the path of a folder."""

_BARE: Final = (".git", ".bare")
"""What the git folder of a project is called whose working trees are all worktrees below it."""


def repository_of(folder: str) -> str:
    """Return the repository that a folder belongs to: of a worktree the main one, of a sub-folder its root.

    A folder in no repository is its own project. A folder that does not exist here, such as a deleted worktree or one
    of another machine, is identified by its path alone.
    """
    if not os.path.isabs(folder):
        return without_worktree(folder)
    home = os.path.expanduser("~")
    for at in (Path(folder), *Path(folder).parents):
        if str(at) == home or at == at.parent:
            break  # a repository of all that a person has does not identify a project
        if (found := _repository_at(at)) is not None:
            return without_worktree(found)
    named = WORKTREE_FOLDERS.fullmatch(folder)
    if named is not None and _repository_at(Path(named["repository"])) is not None:
        return named["repository"]
    return without_worktree(folder)


def _repository_at(folder: Path) -> str | None:
    """The repository whose working tree, or worktree, has its root here; None when there is none."""
    mark = folder / ".git"
    try:
        if mark.is_dir():
            return str(folder) if (mark / "HEAD").exists() else None
        with open_regular(mark) as file:
            name, _, given = file.read(_FILE_BYTES_MAX).decode("utf-8", "surrogateescape").partition(":")
    except (OSError, ValueError):
        return None
    if name.strip() != "gitdir" or not given.strip():
        return None
    own = Path(os.path.normpath(folder / given.strip()))
    if own.parent.name != "worktrees":
        return str(folder)  # a submodule, or a git folder at another path: the working tree is the repository's
    common = own.parent.parent
    return str(common.parent if common.name in _BARE else common.with_name(common.name.removesuffix(".git")))

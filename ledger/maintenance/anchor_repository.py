"""Anchors committed to a git repository of the user; a push makes a copy on another machine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

from ledger.errors import CostledgerError, InvalidInput, reason
from ledger.maintenance.anchors import Anchor
from ledger.text import counted

__all__ = ["ANCHORS_FILE", "commit"]

ANCHORS_FILE: Final = "costledger-anchors.txt"

_GIT_SECONDS: Final = 60


def commit(anchor: Anchor, repository: Path, data: Path) -> Path:
    """Append an anchor to the file of anchors in a repository, commit that file alone, and return its path.

    Args:
        data: the data directory, which must not contain the repository.

    Raises:
        InvalidInput: there is no git repository, or it is in the data directory.
        CostledgerError: git is not installed, or refuses.
    """
    if repository.resolve().is_relative_to(data.resolve()):
        raise InvalidInput(f"{repository} is in the data directory, where its writers can change it; name another one")
    if not repository.is_dir() or _git(repository, "rev-parse", "--is-inside-work-tree").returncode:
        raise InvalidInput(f"{repository} is no git repository; `git init {repository}` makes one")
    path = repository / ANCHORS_FILE
    try:
        with path.open("a", encoding="ascii") as file:
            file.write(f"{anchor}\n")
    except OSError as error:
        raise CostledgerError(f"{path} cannot be written: {reason(error)}") from error
    counts = f"{counted(anchor.ledgers, 'ledger')}, {counted(anchor.events, 'event')}"
    message = f"costledger anchor of {anchor.moment}: {counts}"
    for arguments in (("add", "--", ANCHORS_FILE), ("commit", "--quiet", "--message", message, "--", ANCHORS_FILE)):
        done = _git(repository, *arguments)
        if done.returncode:
            output = " ".join((done.stderr or done.stdout).split())
            raise CostledgerError(f"the anchor is in {path} and not committed: git {arguments[0]}: {output}")
    return path


def _git(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command, environment = ["git", "-C", str(repository), *arguments], os.environ | {"GIT_TERMINAL_PROMPT": "0"}
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise CostledgerError("git is not installed, or not in PATH") from None
    except subprocess.TimeoutExpired:
        raise CostledgerError(f"git {arguments[0]} took longer than {_GIT_SECONDS} s in {repository}") from None

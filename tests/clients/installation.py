"""Clients from npm and packages from PyPI, each version in a folder of its own that is made once.

The folders are below `$COSTLEDGER_CLIENTS_CACHE`, or `~/.cache/costledger-clients`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["cache", "newest_npm", "newest_pypi", "node", "npm", "python"]

NODE_MAJOR: Final = 22
"""What the newest clients ask for; with an older `node` on the path, this one is taken from npm."""

_one_at_a_time: Final = threading.Lock()
"""Cells that run at once need the same client."""


def cache() -> Path:
    named = os.environ.get("COSTLEDGER_CLIENTS_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "costledger-clients"


def newest_npm(package: str) -> str:
    """Return the version that npm calls the latest."""
    return _run(["npm", "view", package, "dist-tags.latest"]).strip()


def newest_pypi(package: str) -> str:
    """Return the version that PyPI calls the latest.

    Raises:
        RuntimeError: pip does not say.
    """
    answer = _run([sys.executable, "-m", "pip", "index", "versions", package])
    found = re.search(r"\(([^)]+)\)", answer)
    if found is None:
        raise RuntimeError(f"no version of {package}: {answer[:200]}")
    return found[1]


def npm(package: str, version: str, executable: str) -> Path:
    """Return the path of a client's executable, installed from npm where that was not done before."""
    folder = cache() / "npm" / f"{package.replace('/', '+')}@{version}"
    with _one_at_a_time:
        if not folder.is_dir():
            part = folder.with_name(f"{folder.name}.part-{os.getpid()}")
            part.mkdir(parents=True)
            quiet = ("--no-audit", "--no-fund", "--loglevel=error")
            _run(["npm", "install", "--prefix", str(part), *quiet, f"{package}@{version}"])
            _take(part, folder)
    return folder / "node_modules" / ".bin" / executable


def node() -> Path:
    """Return the folder of a `node` that is new enough for all clients."""
    found = shutil.which("node")
    if found and (match := re.match(r"v(\d+)", _run([found, "--version"]))) and int(match[1]) >= NODE_MAJOR:
        return Path(found).parent
    return npm("node", str(NODE_MAJOR), "node").parent


def python(name: str, requirements: Sequence[str]) -> Path:
    """Return the interpreter of an environment with these packages, made where it was not there before."""
    folder = cache() / "python" / name
    with _one_at_a_time:
        if not folder.is_dir():
            part = folder.with_name(f"{folder.name}.part-{os.getpid()}")
            venv.create(part, with_pip=True, symlinks=True)
            _run([str(part / "bin" / "python"), "-m", "pip", "install", "--quiet", *requirements])
            _take(part, folder)
    return folder / "bin" / "python"


def _take(part: Path, folder: Path) -> None:
    """Put a finished folder in its place; another process may have been faster."""
    for link in [path for path in part.rglob("*") if path.is_symlink()]:
        target = link.readlink()
        if target.is_relative_to(part):  # some packages link to where they were installed
            link.unlink()
            link.symlink_to(os.path.relpath(target, link.parent))
    try:
        part.rename(folder)
    except OSError:
        shutil.rmtree(part)
        if not folder.is_dir():
            raise


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}")
    return done.stdout

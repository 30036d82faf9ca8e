"""The command that adds a package to this installation, which depends on its source and its installer.

costledger is on no package index, so a plain `pip install costledger[server]` finds nothing, or another project.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

__all__ = ["extra_hint", "upgrade_hint"]


def extra_hint(extra: str) -> str:
    """Return the command that installs an optional package for this Python, as the end of a sentence."""
    return _hint(extra, _origin(), Path(sys.prefix), sys.executable)


def upgrade_hint(package: str) -> str:
    """Return the command that upgrades a package that this installation depends on."""
    return f"{_installer(Path(sys.prefix), sys.executable)} --upgrade {package}"


def _origin() -> Mapping[str, Any]:
    """Return the source of this installation as pip records it (PEP 610); empty when it is an index."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        found = json.loads(distribution("costledger").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _hint(extra: str, origin: Mapping[str, Any], prefix: Path, python: str) -> str:
    requirement = _requirement(extra, origin)
    if requirement is None:
        return f"in a clone of costledger, {shlex.quote(python)} -m pip install '.[{extra}]'"
    options = "--editable " if _is_editable(origin) else ""
    if (prefix / "uv-receipt.toml").is_file():
        return f"uv tool install --force {options}{shlex.quote(requirement)}"
    if (prefix / "pipx_metadata.json").is_file():
        return f"pipx install --force {options}{shlex.quote(requirement)}"
    return f"{_installer(prefix, python)} {options}{shlex.quote(requirement)}"


def _installer(prefix: Path, python: str) -> str:
    """Return the installer of this environment; environments made by uv have no pip."""
    if any(prefix.glob("lib*/python*/site-packages/pip")):
        return f"{shlex.quote(python)} -m pip install"
    return f"uv pip install --python {shlex.quote(python)}"


def _requirement(extra: str, origin: Mapping[str, Any]) -> str | None:
    """Return the requirement that installs the same source with an extra: a clone, a repository or a file."""
    url = origin.get("url")
    if not isinstance(url, str):
        return None
    if "dir_info" in origin:
        path = Path(url2pathname(urlsplit(url).path))
        return f"{path}[{extra}]" if (path / "pyproject.toml").is_file() else None
    if isinstance(vcs := origin.get("vcs_info"), dict):
        return f"costledger[{extra}] @ {vcs.get('vcs', 'git')}+{url}@{vcs.get('commit_id', 'HEAD')}"
    return f"costledger[{extra}] @ {url}"


def _is_editable(origin: Mapping[str, Any]) -> bool:
    found = origin.get("dir_info")
    return isinstance(found, dict) and found.get("editable") is True

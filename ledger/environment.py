"""What the environment names: the data directory and the configuration file."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["config_file", "data_directory"]


def data_directory(path: Path | str | None = None) -> Path:
    """The data directory: the one given, else `COSTLEDGER_DATA`, else `./data`."""
    return Path(path or os.environ.get("COSTLEDGER_DATA") or "data")


def config_file(data: Path, given: Path | None = None) -> Path | None:
    """The configuration file: the one given, else `COSTLEDGER_CONFIG`, else `costledger.toml` in the data directory
    or the current one; None when there is none.

    A file that is named is returned whether it exists or not: who reads it says that it does not.
    """
    if named := given or os.environ.get("COSTLEDGER_CONFIG"):
        return Path(named)
    found = (folder / "costledger.toml" for folder in (data, Path()))
    return next((path for path in found if path.is_file()), None)

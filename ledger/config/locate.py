"""Where the data directory and the configuration file are, by options, environment, project and user."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

from ledger.errors import InvalidConfig, LedgerUnavailable

__all__ = [
    "CONFIG_NAME",
    "DataDirectory",
    "check_readable",
    "config_file",
    "data_directory",
    "located",
    "user_data_directory",
]

CONFIG_NAME: Final = "costledger.toml"


class DataDirectory(NamedTuple):
    """A data directory, and what named it.

    Attributes:
        named_by: "caller" is an option or an argument, "environment" COSTLEDGER_DATA, "configuration" the key `data` of
            a costledger.toml, "project" the `data/ledgers` of a folder, "user" nothing: it is the user's own.
    """

    path: Path
    named_by: Literal["caller", "environment", "configuration", "project", "user"]


def data_directory(path: Path | str | None = None, config: Path | str | None = None) -> Path:
    """Return the data directory; see `located`."""
    return located(path, config).path


def located(path: Path | str | None = None, config: Path | str | None = None) -> DataDirectory:
    """Return the data directory, and what named it.

    In this order: the path given; COSTLEDGER_DATA; `data` of the configuration that is named; in this folder and then
    those above it, `data` of a costledger.toml or else a `data` that has `ledgers` in it; the user's own.

    A folder above counts only where what it has belongs to the same user: in a folder that everyone may write to,
    another user must not decide where costs go.

    Args:
        config: the configuration that the caller names.

    Raises:
        InvalidConfig: a costledger.toml that was looked into for `data` is not TOML, or its `data` is no path.
    """
    if path:
        return DataDirectory(Path(path), "caller")
    if named := os.environ.get("COSTLEDGER_DATA"):
        return DataDirectory(Path(named), "environment")
    named_config = config or os.environ.get("COSTLEDGER_CONFIG")
    if named_config and (data := _data_of(Path(named_config))) is not None:
        return DataDirectory(data, "configuration")
    for folder in _folders():
        file, data = folder / CONFIG_NAME, folder / "data"
        if not named_config and _counts(file, folder) and (configured := _data_of(file)) is not None:
            return DataDirectory(configured, "configuration")
        if _counts(data / "ledgers", folder):
            return DataDirectory(data, "project")
    return DataDirectory(user_data_directory(), "user")


def user_data_directory() -> Path:
    """Return the user's own data directory, where the package platformdirs has it, which takes 25 ms to import."""
    base = os.environ.get("XDG_DATA_HOME", "").strip()
    if not os.path.isabs(base):  # the XDG specification has relative ones ignored
        base = os.path.expanduser("~/Library/Application Support" if sys.platform == "darwin" else "~/.local/share")
    return Path(base, "costledger")


def config_file(data: Path, given: Path | str | None = None) -> Path | None:
    """Return the configuration file: the one given, else `COSTLEDGER_CONFIG`, else `costledger.toml` in the data
    directory, in this folder or in the next one above it that has one; None when there is none.

    A file that is named is returned whether it exists or not: the reader reports that it does not.

    Raises:
        LedgerUnavailable: the data directory cannot be read.
    """
    if named := given or os.environ.get("COSTLEDGER_CONFIG"):
        return Path(named)
    check_readable(data)
    if (own := data / CONFIG_NAME).is_file():
        return own
    found = (folder / CONFIG_NAME for folder in _folders() if _counts(folder / CONFIG_NAME, folder))
    return next((path for path in found if path.is_file()), None)


def check_readable(data: Path) -> None:
    """Check that what a data directory has can be looked at; one that does not exist has nothing.

    Raises:
        LedgerUnavailable: the operating system refuses.
    """
    try:
        (data / "ledgers").stat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise LedgerUnavailable(data, "read", error) from error


def _folders() -> Iterator[Path]:
    """Yield this folder, relative, and those above it."""
    yield Path()
    try:
        here = Path.cwd()
    except OSError:
        return  # it was removed
    yield from here.parents


def _counts(path: Path, folder: Path) -> bool:
    """Whether a path exists, and, in a folder above, belongs to this user."""
    try:
        owner = path.stat().st_uid
    except OSError:
        return False
    return folder == Path() or owner == os.geteuid()


def _data_of(file: Path) -> Path | None:
    """Return the data directory that a configuration names, from its folder on; None when it names none.

    Only that key is read: an append does not wait for the whole configuration to be checked.
    """
    try:
        content = file.read_bytes()
    except OSError:
        return None  # the code that needs the configuration reports it
    if b"data" not in content:
        return None
    import tomllib

    try:
        named = tomllib.loads(content.decode()).get("data")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidConfig(file, [(None, f"is not TOML: {error}")]) from None
    if named is None:
        return None
    if not isinstance(named, str) or not named or not named.isprintable():
        raise InvalidConfig(file, [(None, 'data: expected the path of a data directory, as in data = "costs"')])
    return file.parent / Path(named).expanduser()

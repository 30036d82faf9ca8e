"""A real PostgreSQL for tests: the programs of the `pgserver` wheel, or those on the PATH, run as an ordinary user."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

_NOBODY = 65534  # PostgreSQL refuses to run as root


class PostgresServer:
    """A server in a folder of its own, reached by a socket in it.

    The wheel's own starter is not used: it changes the modes of all folders above its data and its programs.
    """

    def __init__(self, programs: Path, folder: Path, *, syncs: bool = False) -> None:
        self._programs, self.folder = programs, folder
        self._fsync = "on" if syncs else "off"
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            os.chown(folder, _NOBODY, _NOBODY)
            self._user = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        options = ["-U", "postgres", "--auth=trust", "--no-sync", "--encoding=utf8", "--locale=C.UTF-8"]
        self._run("initdb", "-D", str(folder / "db"), *options)

    def start(self) -> None:
        settings = f"-k {self.folder} -h '' -c fsync={self._fsync} -c max_connections=50"
        self._run(
            "pg_ctl", "-D", str(self.folder / "db"), "-w", "-l", str(self.folder / "log"), "-o", settings, "start"
        )

    def stop(self, mode: str = "fast") -> None:
        """Stop it; "immediate" is what a crash is."""
        self._run("pg_ctl", "-D", str(self.folder / "db"), "-w", "-m", mode, "stop")

    def url(self, schema: str = "public", *, user: str = "postgres") -> str:
        options = quote(f"-csearch_path={schema}")
        return f"postgresql://{user}@/postgres?host={quote(str(self.folder), safe='')}&options={options}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, **self._user)
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")


def programs() -> Path | None:
    """Where `initdb` and `pg_ctl` are."""
    wheel = importlib.util.find_spec("pgserver")
    if wheel is not None and wheel.submodule_search_locations:
        return Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin"
    found = shutil.which("pg_ctl")
    return None if found is None else Path(found).resolve().parent


def open_to_all(found: Path, folder: Path) -> Path:
    """The programs where an ordinary user can run them: a copy, when they lie in a folder that is root's alone."""
    if os.geteuid() or all(parent.stat().st_mode & 0o001 for parent in found.parents):
        return found
    site = found.parents[2]
    for name in ("pgserver", "pgserver.libs"):
        if (site / name).is_dir():
            shutil.copytree(site / name, folder / name)
    return folder / found.relative_to(site)


@contextmanager
def running_postgres(*, syncs: bool = False) -> Iterator[PostgresServer]:
    """A server until the block ends; the test is skipped where there is none to be had.

    Args:
        syncs: commits wait for the disk, as they do in earnest.
    """
    found = programs()
    if found is None:
        pytest.skip("no PostgreSQL here: pip install pgserver, or put initdb and pg_ctl on the PATH")
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as folder:  # short: a socket's path has 107 bytes
        server = PostgresServer(open_to_all(found, Path(folder)), Path(folder), syncs=syncs)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")

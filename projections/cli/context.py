"""What commands share: the data directory, options, and opening what lies there. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ledger.store import DirectoryStore
from ledger.workflow import data_directory

__all__ = ["data_option", "data_path", "json_option", "store", "workflow_argument"]

F = TypeVar("F", bound=Callable[..., Any])


def _remember(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:  # noqa: ARG001
    if value is not None:
        context.find_root().meta["data"] = value


data_option: Callable[[F], F] = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=True),
    metavar="DIR",
    expose_value=False,
    is_eager=True,
    callback=_remember,
    help="The data directory [default: $COSTLEDGER_DATA or ./data].",
)

json_option: Callable[[F], F] = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

workflow_argument: Callable[[F], F] = click.argument("workflow_id", metavar="ID")


def data_path() -> Path:
    """The data directory of this invocation."""
    given: Path | None = click.get_current_context().find_root().meta.get("data")
    return data_directory(given)


def store() -> DirectoryStore:
    """The ledgers of this invocation."""
    return DirectoryStore(data_path())

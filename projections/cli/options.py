"""What commands share: the data directory, options, and opening what lies there. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.core import ParameterSource

from ledger.config.locate import DataDirectory, config_file, located
from ledger.errors import InvalidInput, UnknownWorkflow
from ledger.storage.directory_store import DirectoryStore

if TYPE_CHECKING:
    from ledger.config.schema import Config
    from ledger.pricing.price_book import PriceBook
    from projections.reports.tags import TagRules

__all__ = [
    "Completion",
    "NonEmptyPath",
    "complete_workflow",
    "completion",
    "config",
    "config_option",
    "config_path",
    "credentials_option",
    "data_option",
    "data_path",
    "example",
    "example_of",
    "history_option",
    "history_spelling",
    "idle_after",
    "import_option",
    "json_before",
    "json_option",
    "located_data",
    "named_replica",
    "prices",
    "replica_option",
    "said_of_unknown",
    "store",
    "tag_rules",
    "workflow_argument",
]

F = TypeVar("F", bound=Callable[..., Any])


def _remember(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:  # noqa: ARG001
    if value is not None:
        context.find_root().meta["data"] = value


class NonEmptyPath(click.Path):
    """A path; an empty one, mostly of an unset variable, is refused and does not mean the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the path is empty; name a folder or a file", param, ctx)
        return super().convert(value, param, ctx)


data_option: Callable[[F], F] = click.option(
    "--data",
    type=NonEmptyPath(path_type=Path),
    metavar="DIR",
    expose_value=False,
    is_eager=True,
    callback=_remember,
    help="The data directory [default: $COSTLEDGER_DATA, else the project's, else your own].",
)


def _remember_config(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:  # noqa: ARG001
    if value is not None:
        context.find_root().meta["config"] = value


config_option: Callable[[F], F] = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    expose_value=False,
    callback=_remember_config,
    help="The configuration [default: $COSTLEDGER_CONFIG, or costledger.toml in the data directory, here or above].",
)


def _remember_history(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    """Prefer the command line, before or after the command's name, to the environment."""
    meta = context.find_root().meta
    from_environment = context.get_parameter_source(str(parameter.name)) is ParameterSource.ENVIRONMENT
    if value is not None and not (from_environment and "history" in meta):
        meta["history"] = value


history_option: Callable[[F], F] = click.option(
    "--history",
    metavar="URL",
    envvar="COSTLEDGER_HISTORY",
    expose_value=False,
    callback=_remember_history,
    help="Where the rows are: postgresql://USER@HOST/DATABASE [default: history.db in the data directory]. Or another "
    "application's database whose table workflow_history is to be updated as a copy of them: sqlite:PATH, or "
    "postgresql://…",
)


def replica_option(option: str) -> Callable[[F], F]:
    """Return the option for the shared engine, as the command's argument `replica_name`."""
    return click.option(
        option,
        "replica_name",
        metavar="nats://HOST:PORT",
        envvar="COSTLEDGER_REPLICA",
        help="The shared engine's servers, by commas.",
    )


credentials_option: Callable[[F], F] = click.option(
    "--credentials", type=click.Path(exists=True, dir_okay=False), help="A NATS credentials file (user JWT and seed)."
)


def _remember_no_import(context: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: ARG001
    meta = context.find_root().meta
    meta["no_import"] = value or meta.get("no_import", False)


import_option: Callable[[F], F] = click.option(
    "--no-import",
    is_flag=True,
    expose_value=False,
    callback=_remember_no_import,
    help="Do not import what is new first.",
)


def json_before(context: click.Context, parameter: click.Parameter, value: bool) -> bool:  # noqa: ARG001
    """Return whether JSON is asked for, after the command's name or before it."""
    meta = context.find_root().meta
    meta["json"] = value or meta.get("json", False)
    return bool(meta["json"])


json_option: Callable[[F], F] = click.option(
    "--json", "as_json", is_flag=True, callback=json_before, help="Print JSON."
)


Completion = Callable[[click.Context, click.Parameter, str], list[str]]

_OFFERED_MAX: Final = 100
"""Completions of a word; more are no help to choose from, and another letter narrows them down."""


def completion(values: Callable[[str], Iterable[str]]) -> Completion:
    """Return a completion of the values that begin as a word does; nothing where they cannot be read."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
        try:
            with context.scope(cleanup=False):
                return list(islice(values(incomplete), _OFFERED_MAX))
        except Exception:  # an error would be printed into the line that is typed
            return []

    return complete


complete_workflow: Final = completion(lambda incomplete: store().workflow_ids(incomplete))

workflow_argument: Callable[[F], F] = click.argument("workflow_id", metavar="ID", shell_complete=complete_workflow)


_BEFORE_EXAMPLE: Final = "\b\nExample:\n  "


def example(command: str) -> str:
    """Return the end of a command's help."""
    return f"{_BEFORE_EXAMPLE}{command}"


def example_of(command: click.Command) -> str | None:
    """Return the example at the end of a command's help; None without one."""
    epilog = command.epilog or ""
    return epilog.removeprefix(_BEFORE_EXAMPLE) if epilog.startswith(_BEFORE_EXAMPLE) else None


def data_path() -> Path:
    """Return the data directory of this invocation."""
    return located_data().path


def said_of_unknown(error: UnknownWorkflow) -> str:
    """Return the sentence of an error: that there is no such workflow, or that it was removed, and what undoes it."""
    from ledger.maintenance.removal import removed_sentence

    undo = f"costledger remove --undo -- {error.workflow_id}"
    return removed_sentence(data_path(), error.workflow_id, undo) or str(error)


def located_data() -> DataDirectory:
    """Return the data directory of this invocation, and what named it.

    Raises:
        InvalidConfig: a costledger.toml that may name it cannot be read.
    """
    meta = click.get_current_context().find_root().meta
    return located(meta.get("data"), meta.get("config"))


def config_path() -> Path | None:
    """Return the configuration file of this invocation; None without one."""
    given: Path | None = click.get_current_context().find_root().meta.get("config")
    return config_file(data_path(), given)


def config() -> Config:
    """Return the configuration of this invocation.

    Raises:
        InvalidConfig: its file cannot be used.
    """
    from ledger.config.schema import load

    return load(config_path())


def tag_rules() -> TagRules:
    """Return the tags that the configuration gives workflows as they are read.

    Raises:
        InvalidConfig: its file cannot be used.
    """
    return () if config_path() is None else config().tags


def prices() -> PriceBook:
    """Return the prices of this invocation.

    Raises:
        InvalidConfig: the configuration file cannot be used.
    """
    from ledger.config.select import price_book

    return price_book(config_path(), data_path())


def idle_after() -> timedelta:
    """Return after how long without activity an open workflow is shown as idle.

    Raises:
        InvalidConfig: the configuration file cannot be used.
    """
    from projections.history.idle import IDLE_AFTER

    return IDLE_AFTER if config_path() is None else config().idle_after or IDLE_AFTER


def history_spelling() -> str | Path:
    """Return the history of this invocation, as `open_history` reads it."""
    given: str | None = click.get_current_context().find_root().meta.get("history")
    return data_path() / "history.db" if given is None else given


def named_replica(name: str | None, option: str) -> str:
    """Return the name of the shared engine.

    Raises:
        InvalidInput: there is none.
    """
    if not name:
        raise InvalidInput(f"name the shared engine: {option} nats://HOST:PORT, or COSTLEDGER_REPLICA")
    return name


def store() -> DirectoryStore:
    """Return the ledgers of this invocation."""
    return DirectoryStore(data_path())

"""The command group, and the one place where errors become sentences and exit codes."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from ledger.errors import (
    CostledgerError,
    DamagedLedger,
    InvalidInput,
    MisplacedOrigin,
    NothingVerifies,
    is_shortage,
    reason,
)
from projections.cli.context import config_option, data_option, history_option, json_option

__all__ = ["main"]

_COMMANDS: Final = {
    "demo": "demo",
    "start": "appending",
    "observe": "appending",
    "charge": "appending",
    "complete": "appending",
    "fail": "appending",
    "cancel": "appending",
    "correct": "appending",
    "append": "stdin",
    "install": "installing",
    "statusline": "installing",
    "hook": "installing",
    "import": "importing",
    "refresh": "refreshing",
    "resync": "refreshing",
    "rebuild": "rebuilding",
    "watch": "watching",
    "history": "reading",
    "show": "reading",
    "explain": "reading",
    "daily": "reports",
    "weekly": "reports",
    "monthly": "reports",
    "session": "reports",
    "stale": "doubting",
    "check": "checking",
    "prices": "pricing",
    "reprice": "repricing",
    "verify": "proving",
    "anchor": "proving",
    "salvage": "salvaging",
    "replicate": "replicating",
    "restore": "replicating",
    "origin": "placing",
    "project": "projecting",
    "serve": "serving",
    "token": "serving",
    "webhooks": "hooking",
}
"""The module of each command, in the order that `--help` lists them."""

_ERROR, _USAGE, _FINDING, _INTERRUPTED = 1, 2, 3, 130

_UNWRITABLE: Final = {errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC}
"""What `write` says of an output that takes nothing; such an error names no file, as every other one does."""


class _Commands(click.Group):
    """Imports the module of a command only when that command is asked for: an append must start fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"projections.cli.{_COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], _COMMANDS, n=1)
            raise click.UsageError(f"{error.message}{f' Did you mean {near[0]!r}?' if near else ''}", ctx) from None


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 ok, 1 error, 2 usage, 3 a finding. Workflow ids that start with '-' go after '--'.",
)
@click.version_option(package_name="costledger", message="%(prog)s %(version)s")
@data_option
@config_option
@history_option
@json_option
@click.pass_context
def cli(context: click.Context, as_json: bool) -> int:
    """What an AI workflow cost, provably: today's picture, or one of the commands."""
    if context.invoked_subcommand is None:
        from projections.cli.today import today

        return today(as_json=as_json)
    if as_json:
        _check_json(context, context.invoked_subcommand)
    return 0


def _check_json(context: click.Context, name: str) -> None:
    """Refuse `--json` before a command that prints none."""
    command = cli.get_command(context, name)
    if command is not None and not any(parameter.name == "as_json" for parameter in command.params):
        raise click.UsageError(f"`costledger {name}` does not take --json before its name")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the process with its exit code."""
    if sys.stdout is None:  # closed by the caller: nobody wants to read it
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the process lives
    try:
        result: Any = cli.main(args=arguments, prog_name="costledger", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(result if isinstance(result, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted; what was acknowledged is in the ledger")
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        _drop_output()
        sys.exit(_ERROR)
    except CostledgerError as error:
        _say(str(error))
        sys.exit(exit_code(error))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _UNWRITABLE and error.filename is None:
            _drop_output()
            _say(f"the output could not be written: {error.strerror}; what was recorded before that stays recorded")
            sys.exit(_ERROR)
        if os.environ.get("COSTLEDGER_DEBUG"):
            raise
        if isinstance(error, OSError) and is_shortage(error):
            _say(f"{reason(error)}; what was acknowledged is in the ledger")
            sys.exit(_ERROR)
        _say(f"{type(error).__name__}: {error}; this should not happen: set COSTLEDGER_DEBUG=1 and report what it says")
        sys.exit(_ERROR)


def _drop_output() -> None:
    """Send what is still to be printed nowhere, so that the interpreter's last flush fails no second time."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def exit_code(error: CostledgerError) -> int:
    """2 for what the caller got wrong, 3 for damage found, 1 for everything else."""
    if isinstance(error, InvalidInput):
        return _USAGE
    return _FINDING if isinstance(error, DamagedLedger | MisplacedOrigin | NothingVerifies) else _ERROR


def _say(sentence: str) -> None:
    click.echo(f"costledger: {sentence}", err=True)

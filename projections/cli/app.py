"""The command group, and where errors become sentences and exit codes."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

import click

from ledger.errors import (
    CostledgerError,
    DamagedLedger,
    InvalidInput,
    MisplacedOrigin,
    NothingVerifies,
    UnknownWorkflow,
    is_shortage,
    reason,
)
from projections.cli.options import (
    config_option,
    data_option,
    example,
    example_of,
    history_option,
    import_option,
    json_option,
    said_of_unknown,
)

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["main"]


class _Entry(NamedTuple):
    """A command: the module it is in, what it does in one sentence, and how it is called."""

    module: str
    sentence: str
    example: str


_GROUPS: Final[dict[str, dict[str, _Entry]]] = {
    "Everyday": {
        "history": _Entry(
            "history", "List workflows and what each one cost.", "costledger history --since 7d --sort cost --limit 20"
        ),
        "receipt": _Entry("receipt", "Print what a workflow cost, for a pull request.", "costledger receipt a5b80595"),
        "show": _Entry("show", "Show one workflow: its cost, tokens, agents and models.", "costledger show a5b80595"),
        "explain": _Entry("explain", "Explain a cost, event by event.", "costledger explain a5b80595"),
        "check": _Entry("check", "Show what is left of a budget.", "costledger check a5b80595"),
        "stale": _Entry("stale", "List rows that need attention, and what to do.", "costledger stale"),
        "demo": _Entry("demo", "Show the whole story on shipped example output.", "costledger demo --keep demo"),
    },
    "Record": {
        "start": _Entry(
            "record",
            "Start a run of a workflow.",
            "costledger start a5b80595 --issue-number 17 --budget-usd 5",
        ),
        "observe": _Entry(
            "record",
            "Record what a meter reads now.",
            "costledger observe a5b80595 --agent plan --cost-usd 0.09",
        ),
        "charge": _Entry(
            "record",
            "Record one finished call, priced from its tokens if needed.",
            "costledger charge a5b80595 --model claude-sonnet-4-5 --output-tokens 2306",
        ),
        "complete": _Entry("record", "End a run that went well.", "costledger complete a5b80595"),
        "fail": _Entry(
            "record", "End a run that failed.", "costledger fail a5b80595 --error-message 'tests do not pass'"
        ),
        "cancel": _Entry("record", "End a run that was cancelled.", "costledger cancel a5b80595 --reason 'not needed'"),
        "correct": _Entry(
            "record",
            "Correct a cost, with the reason.",
            "costledger correct a5b80595 --cost-usd 2.37 --reason 'counted twice'",
        ),
        "tag": _Entry("record", "Tag a workflow, to group its cost.", "costledger tag a5b80595 team=payments"),
        "move": _Entry(
            "move", "Let a workflow count in another one.", "costledger move a5b80595 --to issue-17 --agent plan"
        ),
        "remove": _Entry("remove", "Forget a workflow, or erase it.", "costledger remove a5b80595"),
        "append": _Entry(
            "append", "Append events as JSON lines from stdin.", "costledger append --json < events.jsonl"
        ),
    },
    "Import and follow": {
        "import": _Entry("import_", "Read what agents left in their logs.", "costledger import claude"),
        "sources": _Entry("sources", "Show which logs were found, and what they lack.", "costledger sources"),
        "watch": _Entry("watch", "Follow sources, and import what is new.", "costledger watch"),
        "install": _Entry(
            "install", "Record Claude Code sessions as they run.", "costledger install claude-code --yes"
        ),
        "statusline": _Entry(
            "install", "Print the status line of a Claude Code session.", "costledger statusline < status.json"
        ),
        "hook": _Entry("install", "Read a transcript when Claude Code calls this.", "costledger hook < event.json"),
    },
    "Reports": {
        "daily": _Entry("spend", "Show what was spent each day.", "costledger daily --since 'last month' --by model"),
        "weekly": _Entry("spend", "Show what was spent each week.", "costledger weekly --since 2026-11 --by project"),
        "monthly": _Entry("spend", "Show what was spent each month.", "costledger monthly --by template"),
        "session": _Entry("spend", "Show what each session spent.", "costledger session --since yesterday"),
        "spend": _Entry(
            "spend",
            "Show what was spent, on what and when.",
            "costledger spend --by project,agent --where team=payments --per week",
        ),
        "top": _Entry("spend", "Show what cost most.", "costledger top --by issue -n 5 --since 30d"),
        "stats": _Entry(
            "stats", "Show what workflows cost: mean, median, p95, waste.", "costledger stats --by template --since 30d"
        ),
        "compare": _Entry(
            "compare", "Show what a difference in cost comes from.", "costledger compare 2026-10 2026-11 --by agent"
        ),
        "forecast": _Entry(
            "forecast", "Show the burn rate, and what this month comes to.", "costledger forecast --where project=shop"
        ),
        "blocks": _Entry("blocks", "Show the 5-hour windows of plans.", "costledger blocks --recent"),
        "what-if": _Entry(
            "what_if",
            "Show the same usage under other prices.",
            "costledger what-if --map 'claude-opus-*=claude-sonnet-4-5'",
        ),
        "prices": _Entry("prices", "Show prices: of a model, or of all in use.", "costledger prices claude-sonnet-4-5"),
    },
    "Trust and repair": {
        "verify": _Entry("verify", "Prove every ledger and every row.", "costledger verify"),
        "anchor": _Entry("anchor", "Print a line that vouches for all ledgers.", "costledger anchor >> anchors.txt"),
        "refresh": _Entry("refresh", "Replay the ledgers that changed.", "costledger refresh"),
        "resync": _Entry("resync", "Read the sources again, and replay.", "costledger resync a5b80595 --force"),
        "rebuild": _Entry("rebuild", "Replay every ledger into fresh rows.", "costledger rebuild --check"),
        "reprice": _Entry(
            "reprice",
            "Price again what was priced from tokens.",
            "costledger reprice --since 'last month' --reason 'new contract'",
        ),
        "salvage": _Entry("salvage", "Save what verifies of a damaged ledger.", "costledger salvage a5b80595"),
        "origin": _Entry("origin", "Show which data directory this is.", "costledger origin"),
    },
    "Many hosts": {
        "replicate": _Entry(
            "replicate", "Send ledgers to a shared engine.", "costledger replicate --to nats://nats-1:4222 --follow"
        ),
        "restore": _Entry(
            "restore",
            "Fetch a lost host's ledgers from it.",
            "costledger --data new restore --from nats://nats-1:4222",
        ),
        "project": _Entry(
            "project",
            "Fold all hosts' ledgers into shared rows.",
            "costledger project --from nats://nats-1:4222 --history postgresql://db/costs",
        ),
    },
    "Serve": {
        "serve": _Entry("serve", "Serve the live page and the HTTP API.", "costledger serve --port 8765"),
        "token": _Entry("token", "Make, list and revoke tokens of the server.", "costledger token create --scope read"),
        "webhooks": _Entry("webhooks", "Show webhooks, and resend what was given up.", "costledger webhooks"),
    },
    "Shell": {
        "help": _Entry("help", "Show how a command is called.", "costledger help history"),
        "completion": _Entry(
            "completion", "Print what makes a shell complete commands and ids.", "source <(costledger completion bash)"
        ),
    },
}
"""Every command, in the groups and the order in which `--help` lists them."""

_COMMANDS: Final = {name: entry for group in _GROUPS.values() for name, entry in group.items()}

_ENDS_WITHOUT_READER: Final = {"append", "install", "reprice", "resync", "verify"}
"""Commands that go on working, or find something, after their first output: they end also where no process reads it."""

_ERROR, _USAGE, _FINDING, _INTERRUPTED = 1, 2, 3, 130

_UNWRITABLE: Final = {errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC}
"""The errors of `write` on an output that takes nothing; they name no file, as every other one does."""


class _Commands(click.Group):
    """Imports the module of a command only when that command is asked for: an append must start fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of all commands."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return a command, which is imported now."""
        if cmd_name not in _COMMANDS:
            return None
        entry = _COMMANDS[cmd_name]
        command: click.Command = getattr(
            importlib.import_module(f"projections.cli.commands.{entry.module}"), f"{cmd_name.replace('-', '_')}_command"
        )
        command.epilog = example(entry.example)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands in groups; nothing of them is imported for that, and no sentence is cut."""
        longest = max(map(len, _COMMANDS))
        for title, group in _GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(longest), entry.sentence) for name, entry in group.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands that begin so, for completion in a shell."""
        from click.shell_completion import CompletionItem

        names = [
            CompletionItem(name, help=entry.sentence)
            for name, entry in _COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that was named; an unknown name is refused with the nearest ones."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], _COMMANDS, n=1)
            raise click.UsageError(f"{error.message}{f' Did you mean {near[0]!r}?' if near else ''}", ctx) from None

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Return the context of an invocation."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except BrokenPipeError as error:  # click would exit with 1
            raise _OutputClosed from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _OutputClosed from error
        except UnknownWorkflow as error:
            error.args = (said_of_unknown(error),)
            raise


class _OutputClosed(Exception):
    """What reads the output of this command, such as `head`, has closed it."""


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="An ID is the id of a workflow, its beginning from four characters on, or '#17' for the workflow of an "
    "issue. An id that starts with '-' goes after '--'. Exit codes: 0 ok, 1 error, 2 usage, 3 a finding.",
)
@click.version_option(package_name="costledger", message="%(prog)s %(version)s")
@data_option
@config_option
@history_option
@import_option
@json_option
@click.pass_context
def cli(context: click.Context, as_json: bool) -> int:
    """Show what AI workflows cost, provably. Without a command, show what was spent today, and what runs."""
    if context.invoked_subcommand in _ENDS_WITHOUT_READER:
        from projections.cli.output.without_reader import write_without_reader

        write_without_reader()
    if context.invoked_subcommand is None:
        from projections.cli.commands.today import today

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
    if sys.stdout is None:  # closed by the caller, who reads no output
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the process lives
    try:
        result: Any = cli.main(args=arguments, prog_name="costledger", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(result if isinstance(result, int) else 0)
    except click.ClickException as error:
        error.show()
        _print_way_out(error)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _print_error("interrupted; what was acknowledged is in the ledger")
        sys.exit(_INTERRUPTED)
    except (_OutputClosed, BrokenPipeError):
        sys.exit(_closed())
    except CostledgerError as error:
        _print_error(str(error))
        sys.exit(exit_code(error))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _UNWRITABLE and error.filename is None:
            _drop_output()
            _print_error(
                f"the output could not be written: {error.strerror}; what was recorded before that stays recorded"
            )
            sys.exit(_ERROR)
        if os.environ.get("COSTLEDGER_DEBUG"):
            raise
        if isinstance(error, OSError) and is_shortage(error):
            _print_error(f"{reason(error)}; what was acknowledged is in the ledger")
            sys.exit(_ERROR)
        _print_error(
            f"{type(error).__name__}: {error}; this should not happen: set COSTLEDGER_DEBUG=1 and report the output"
        )
        sys.exit(_ERROR)


def _print_way_out(error: click.ClickException) -> None:
    """Print what a person who called a command in a wrong way does next, on stderr."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if isinstance(error, click.MissingParameter) and getattr(error.param, "name", None) == "workflow_id":
        click.echo("A shell reads # as a comment: put the number of an issue in quotes, as '#17'.", err=True)
    if context is not None and (shown := example_of(context.command)) is not None:
        click.echo(f"Example: {shown}", err=True)


def _drop_output() -> None:
    """Send what is still to be printed nowhere, so that the interpreter's last flush fails no second time."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _closed() -> int:
    """The exit code when a pipe is closed: no error where it is the output."""
    if not _is_closed(sys.stdout):
        _print_error("a connection was closed by the other side; what was recorded before that stays recorded")
        return _ERROR
    _drop_output()
    return 0


def _is_closed(output: IO[str]) -> bool:
    """Whether no process can read this pipe any more."""
    import select

    try:
        poll = select.poll()
        poll.register(output.fileno(), select.POLLOUT)
        return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))
    except (OSError, ValueError):  # not a file of this process
        return True


def exit_code(error: CostledgerError) -> int:
    """Return 2 for an error of the caller, 3 for damage, 1 for everything else."""
    if isinstance(error, InvalidInput):
        return _USAGE
    return _FINDING if isinstance(error, DamagedLedger | MisplacedOrigin | NothingVerifies) else _ERROR


def _print_error(sentence: str) -> None:
    click.echo(f"costledger: {sentence}", err=True)

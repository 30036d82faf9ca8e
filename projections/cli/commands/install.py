"""`install claude-code`, and the two commands that it puts into Claude Code's settings."""

from __future__ import annotations

import difflib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Final

import click

from ledger.errors import CostledgerError, InvalidInput, SourceUnreadable, reason
from projections.claude_code import statusline
from projections.claude_code.settings import StatusLine, installed, parsed, silenced, spelled_like, uninstalled
from projections.cli.commands.check import periods_now
from projections.cli.options import config_option, config_path, data_option, data_path, tag_rules
from projections.cli.session import opened
from projections.folding.moves import moved_to
from projections.history.idle import is_moved
from projections.reports.budgets import BudgetState, budget_status, configured_budgets
from projections.reports.period_budgets import counts_workflow

__all__ = ["hook_command", "install_command", "statusline_command"]

_SILENT: Final = (
    '"disableAllHooks": true is set there: until it is false, Claude Code runs no hooks, and newer versions no status '
    "line either"
)
"""A warning about settings that turn hooks off, before they are written and after."""


@click.command("statusline")
@click.option("--after", metavar="COMMAND", help="Print the line of this shell command first; it gets the same stdin.")
@data_option
def statusline_command(after: str | None) -> None:
    """Note the session's cost from stdin and print one line, for Claude Code.

    $COSTLEDGER_DATA comes before --data here: the settings are general, an agent's environment is not.
    $COSTLEDGER_WORKFLOW and $COSTLEDGER_AGENT name the workflow and agent of the session; without them it is a
    workflow itself.
    """
    statusline.statusline(str(data_path()), after)


@click.command("hook")
@click.option(
    "--stop-over-budget",
    is_flag=True,
    help="Stop Claude Code when a budget that the session counts in is over, for its UserPromptSubmit and PreToolUse.",
)
@config_option
@data_option
def hook_command(stop_over_budget: bool) -> None:
    """Continue to read the transcript without delaying Claude Code, for its Stop, SubagentStop and SessionEnd.

    The environment is that of `costledger statusline`. The end of a session is not the end of a workflow: it can be
    resumed; `costledger complete ID` ends the workflow.
    """
    workflow_id = statusline.hook(str(data_path()))
    if not stop_over_budget:
        return
    try:
        reasons = _over_budget(workflow_id)
    except CostledgerError as error:  # what cannot be checked stops nothing
        click.echo(f"costledger: {error}", err=True)
        return
    if reasons:
        on = "To go on, raise the budget where it was set: in costledger.toml, or by a start"
        reason = f"costledger: {'; '.join(reasons)}. {on}"
        click.echo(json.dumps({"continue": False, "stopReason": reason}))


def _over_budget(workflow_id: str | None) -> list[str]:
    """Return a sentence for each budget that is over and that a workflow counts in: its own, and those of periods."""
    budgets, rules = configured_budgets(config_path()), tag_rules()
    with opened() as session:
        row = None if workflow_id is None else session.history.row(workflow_id)
        if row is not None and is_moved(row):
            row = next(filter(None, map(session.history.row, moved_to(row))), row)
        periods = [one for one in periods_now(session) if one.status.state is BudgetState.OVER]
    found = [str(one) for one in periods if counts_workflow(one.budget, row, rules)]
    own = None if row is None else budget_status(row, budgets)
    return [*found, *([f"this session: {own}"] if own is not None and own.state is BudgetState.OVER else [])]


@click.command("install")
@click.argument("what", metavar="claude-code", type=click.Choice(["claude-code"]))
@click.option("--uninstall", "taking_back", is_flag=True, help="Take out what was put there, and nothing else.")
@click.option(
    "--status-line",
    type=click.Choice(["refuse", "after", "keep"]),
    default="refuse",
    show_default=True,
    help="When there is another status line: print ours after it, or keep it as it is and install only the hooks.",
)
@click.option("--stop-over-budget", "stops", is_flag=True, help="Also stop Claude Code when a budget is over.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
def install_command(what: str, taking_back: bool, status_line: StatusLine, stops: bool, yes: bool) -> int:  # noqa: ARG001 - one choice yet
    """Put our status line and hooks into Claude Code's settings, after showing the difference.

    The settings are $CLAUDE_CONFIG_DIR/settings.json or ~/.claude/settings.json. The data directory is written there
    as an absolute path, so that sessions of all projects go to one directory.
    """
    path = _settings()
    before = _read(path)
    settings = parsed(path, before)
    if taking_back:
        wanted = uninstalled(path, settings)
    else:
        wanted = installed(path, settings, _executable(), str(data_path().absolute()), status_line, stops=stops)
    silent = silenced(settings) and not taking_back
    if wanted == settings:
        click.echo(f"{path}: nothing to change{f', but {_SILENT}' if silent else ''}")
        return 0
    after = spelled_like(before, wanted)
    for line in difflib.unified_diff(before.splitlines(), after.splitlines(), str(path), str(path), lineterm=""):
        click.secho(line, fg={"+": "green", "-": "red"}.get(line[:1]) if not os.environ.get("NO_COLOR") else None)
    if silent and not yes:
        click.echo(f"costledger: {path}: {_SILENT}", err=True)
    if not yes and not _confirmed():
        click.echo("nothing was changed")
        return 1
    _write(path, before, after)
    if silent:
        click.echo(f"{path}: written, but {_SILENT}")
        return 0
    effect = "no longer report their cost" if taking_back else "use it"
    click.echo(f"{path}: written; sessions of Claude Code that start from now on {effect}")
    return 0


def _settings() -> Path:
    """Where Claude Code keeps its settings.

    Raises:
        InvalidInput: the environment names several places, as readers of transcripts take it; they are written to one.
    """
    named = [part.strip() for part in os.environ.get("CLAUDE_CONFIG_DIR", "").split(",") if part.strip()]
    if len(named) > 1:
        raise InvalidInput(
            f"CLAUDE_CONFIG_DIR names several folders: {', '.join(named)}; set it to the one to install into"
        )
    return Path(named[0] if named else "~/.claude").expanduser() / "settings.json"


def _confirmed() -> bool:
    """Return whether the person at the terminal agrees; without a terminal the answer is no."""
    try:
        return click.confirm("Write this?")
    except click.Abort:
        if sys.stdin.isatty():
            raise
        click.echo("\ncostledger: no answer; --yes writes it without asking", err=True)
        return False


def _executable() -> str:
    """The command as the settings name it: this very one, since Claude Code's PATH may know no other."""
    installed = Path(sys.executable).with_name("costledger")
    return str(installed) if installed.is_file() else shutil.which("costledger") or "costledger"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise SourceUnreadable(path, f"cannot be read: {error}") from error


def _write(path: Path, before: str, after: str) -> None:
    """Replace the settings in one step; where they are a link, the file that it names.

    Raises:
        SourceUnreadable: they cannot be written, or have changed since they were read; they are as they were.
    """
    target = Path(os.path.realpath(path))
    new = target.with_name(f".{target.name}.costledger-{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(after, encoding="utf-8")
        if target.exists():
            shutil.copymode(target, new)
        if _read(path) != before:
            raise SourceUnreadable(path, "was changed by another program meanwhile; nothing was written: run it again")
        new.replace(target)
    except OSError as error:
        raise SourceUnreadable(path, f"cannot be written: {reason(error)}; nothing was changed") from error
    finally:
        new.unlink(missing_ok=True)

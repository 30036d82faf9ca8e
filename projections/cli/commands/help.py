"""`help`: what `--help` prints, of all commands or of one."""

from __future__ import annotations

import click

from projections.cli.options import completion


def _names(incomplete: str) -> list[str]:
    root = click.get_current_context().find_root()
    command = root.command
    assert isinstance(command, click.Group)
    return [name for name in command.list_commands(root) if name.startswith(incomplete)]


@click.command("help")
@click.argument("names", metavar="[COMMAND]", nargs=-1, shell_complete=completion(_names))
@click.pass_context
def help_command(context: click.Context, names: tuple[str, ...]) -> None:
    """Show how a command is called, as its --help does; without COMMAND, all commands."""
    about = context.find_root()
    for name in names:
        group = about.command
        command = group.resolve_command(about, [name])[1] if isinstance(group, click.Group) else None
        if command is None:
            raise click.UsageError(f"{about.command_path!r} has no command {name!r}", about)
        about = click.Context(command, parent=about, info_name=name)
    click.echo(about.get_help())

"""`completion`: what makes a shell complete commands, options and workflow ids."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

_VARIABLE: Final = "_COSTLEDGER_COMPLETE"
"""What click looks at to see that a shell asks for completions."""


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(context: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands, options and workflow ids.

    \b
    bash: add  source <(costledger completion bash)  to ~/.bashrc
    zsh:  add  source <(costledger completion zsh)   to ~/.zshrc, after compinit
    fish: costledger completion fish > ~/.config/fish/completions/costledger.fish
    """
    made = get_completion_class(shell)
    assert made is not None, shell
    click.echo(made(context.find_root().command, {}, "costledger", _VARIABLE).source())

"""The command line: parse, call one library function, print. A command's module is imported when it is called."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line and leave the process with its exit code.

    Claude Code runs `statusline` several times a minute and `hook` after each turn, and waits for both: they are
    answered before the command group is imported.
    """
    if sys.argv[1:2] in (["statusline"], ["hook"]):
        from projections.claude_code.statusline import run

        if (code := run(sys.argv[1:])) is not None:
            sys.exit(code)
    import gc

    gc.disable()  # what is imported stays: looking for circles in it takes a tenth of the start
    from projections.cli.app import main as whole

    gc.freeze()
    gc.enable()
    try:
        whole()
    finally:
        gc.freeze()  # nor is anything looked for at the end, when all of it goes

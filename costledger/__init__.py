"""The command `costledger`: what an agent waits for is answered here, all else in `projections.cli`.

Claude Code runs `statusline` several times a minute and `hook` after each turn, and waits for both. So this package
imports nothing of ours and little of Python's: it notes what it was told in the spool, prints, and is gone; a
process of its own appends.
"""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and leave the process with its exit code."""
    arguments = sys.argv[1:]
    if arguments[:1] in (["statusline"], ["hook"]):
        from costledger.live import run

        if (code := run(arguments)) is not None:
            sys.exit(code)
    from projections.cli import main as cli

    cli(arguments)

"""How many examples hypothesis makes for a test: of each profile a part, where an example takes long.

The default profile is for each run of the tests. `pytest --hypothesis-profile=campaign` makes twenty times as many.
"""

from __future__ import annotations

from hypothesis import settings

__all__ = ["one_in"]


def one_in(part: int) -> int:
    """Return this part of the examples of the profile, and at least one."""
    return max(1, settings().max_examples // part)

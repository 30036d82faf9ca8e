"""A workflow's row by pure replay of the chains of all its origins: what projectors have to write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ledger.errors import CostledgerError
from projections.folding.projection import Projected
from projections.projector.merge import Merge

__all__ = ["merged"]


def merged(workflow_id: str, chains: Mapping[str, Iterable[bytes]]) -> Projected:
    """Return a workflow's row by pure replay of whole chains.

    Args:
        chains: each origin's lines, with their newlines.

    Raises:
        CostledgerError: a chain does not verify, or a line cannot be folded.
    """
    merge = Merge(workflow_id, retains_lines=len(chains) > 1)
    for origin, lines in chains.items():
        for raw in lines:
            merge.take(origin, raw)
    for problem in merge.problems.values():
        raise CostledgerError(problem)
    return merge.projected()

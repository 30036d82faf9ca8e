"""What a correction changes: the figure of its meter and the cost of the workflow, before and after."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.errors import CostledgerError
from ledger.events import money
from ledger.events.event import Event
from ledger.storage.append import Receipt
from ledger.storage.directory_store import DirectoryStore
from projections.folding.breakdown import name_of
from projections.folding.cost_words import in_words
from projections.folding.fold import State, fold, initial
from projections.folding.meters import ROOT, Path
from projections.reports.budgets import cost_so_far

__all__ = ["corrected"]


@dataclass(frozen=True, slots=True)
class _CostsInWords:
    """The cost of a meter, "nothing" without a reading, and that of the workflow, in words."""

    meter: str
    workflow: str


def corrected(ledgers: DirectoryStore, event: Event) -> tuple[Receipt, str]:
    """Append a correction; return its receipt, and in a sentence what it has changed.

    What cannot be replayed is no error of the correction, which is recorded: the sentence has no earlier figure then.
    """
    fields = event.fields
    path: Path = (fields.get("agent"), fields.get("session_id"), fields.get("model"), fields.get("message_id"))
    given = money.shown(money.from_wire(fields["cost_usd"]))
    state = initial(event.workflow_id)
    try:
        reader = ledgers.read(event.workflow_id)
        for line in reader:
            fold(state, line)
        before = _figures(state, path)
    except CostledgerError:
        return ledgers.append([event])[0], f"corrected to {given}"
    receipt = ledgers.append([event])[0]
    try:
        for line in ledgers.read(event.workflow_id, start=reader.head):
            fold(state, line)
    except CostledgerError:  # the next command that reads the ledger has the error
        return receipt, f"corrected to {given}"
    return receipt, _sentence(state, path, given, before, _figures(state, path))


def _figures(state: State, path: Path) -> _CostsInWords:
    meter, (cost, at_least, unpriced) = state.tree.find(path), cost_so_far(state)
    known = meter is not None and (meter.cost_nanousd or meter.highest is not None)
    return _CostsInWords(
        money.shown(meter.cost_nanousd) if meter is not None and known else "nothing",
        in_words(cost, unpriced=unpriced > 0, at_least=at_least, known=state.readings > 0),
    )


def _sentence(state: State, path: Path, given: str, before: _CostsInWords, after: _CostsInWords) -> str:
    what = "" if path == ROOT else f"{name_of(path)} "
    if after.meter == given:
        return f"{what}corrected from {before.meter} to {given}{_workflow(what, before, after)}"
    if state.ended:
        return f"{what}corrected to {given}; by other readings it is {after.meter}{_workflow(what, before, after)}"
    return f"{what}corrected to {given}, which counts when the run has ended; until then it stays at {after.meter}"


def _workflow(what: str, before: _CostsInWords, after: _CostsInWords) -> str:
    """Return the cost of the workflow where it is not the corrected figure itself."""
    if not what:
        return f", {after.workflow} in all" if after.workflow != after.meter else ""
    if after.workflow == before.workflow:
        return f"; the workflow stays at {after.workflow}"
    return f"; the workflow from {before.workflow} to {after.workflow}"

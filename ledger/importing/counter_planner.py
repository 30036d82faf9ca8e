"""Planning of counters: each becomes a reading of its meter, with the sum of the meter's counters.

A coding agent that is killed loses what its telemetry had not exported. Where log records show its calls, they say as
much as the metrics do; metrics alone are a lower bound, until a call of their session is known.

Pure: no file, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ledger.events import money, timestamps
from ledger.events.event import cost_observed
from ledger.events.ids import digest
from ledger.importing.counter_series import CounterFigure, CounterSeries
from ledger.importing.import_plan import ImportPlan
from ledger.importing.ledger_state import STREAM, TELEMETRY, UNMATCHED, ModelPath
from ledger.providers.model_names import plain_name
from ledger.sources.findings import Counter

__all__ = ["CounterPlanner"]


class CounterPlanner:
    """Plans readings of meters from the figures of their counters."""

    def __init__(self, plan: ImportPlan) -> None:
        self._plan, self._state = plan, plan.state

    def matching(self, counters: Iterable[Counter]) -> list[Counter]:
        """Return counters, those of models only where they name every model that the session's messages do.

        Otherwise the two call one model by different names, and would be added.
        """
        by_session: dict[str, dict[str, str]] = {}
        for counter in counters:
            if counter.client and counter.session_id is not None and counter.model is not None:
                by_session.setdefault(counter.session_id, {})[plain_name(counter.model)] = counter.model
        found: list[Counter] = []
        for counter in counters:
            names = by_session.get(counter.session_id or "", {})
            messages = {plain_name(model): model for model in self._state.models.get(counter.session_id or "", ())}
            if not counter.client or counter.model is None:
                found.append(counter)
            elif messages.keys() <= names.keys():
                spelled = messages.get(plain_name(counter.model), counter.model)
                found.append(replace(counter, model=spelled))
        return found

    def plan(self, counter: Counter) -> None:
        """Plan a reading of a counter's meter, unless its figure is the same."""
        own = self._state.own_meters_nanousd(counter.session_id or "") if counter.client else None
        if own is not None and counter.kind != STREAM:
            if counter.model is not None or counter.cost_usd is None:
                return  # what of a model the session's other meters have is unknown
            rest = max(0, money.parse(counter.cost_usd) - own)
            counter = replace(counter, cost_usd=money.to_wire(rest), usage=None, partial=True, final=False)
        path = self._path(counter)
        series = self._state.counters.setdefault((path, counter.kind), CounterSeries())
        cost = None if counter.cost_usd is None else money.parse(counter.cost_usd)
        carried = money.parse(counter.carried_usd) if counter.carried_usd is not None else 0
        figure = CounterFigure(cost, dict(counter.usage or {}), counter.partial, carried)
        moment = None if counter.observed_at is None else timestamps.parse(counter.observed_at)
        if not series.count(counter.series, figure, moment):
            self._plan.unchanged += 1
            return
        alone = counter.client and counter.kind == TELEMETRY and not self._state.models.get(counter.session_id or "")
        marks = (*(("partial",) if counter.partial else ()), *(("alone",) if alone else ()))
        partial = (series.partial or alone) and series.nanousd is not None
        self._plan.add(
            cost_observed(
                self._plan.workflow_id,
                agent=path[0],
                session_id=path[1],
                model=path[2],
                **_figures(series),
                partial=partial or None,
                final=(counter.final and not partial) or None,
                spent_at=None if series.latest else counter.spent_at,
                id=digest(counter.kind, "counter", *path, counter.series, cost, *sorted(figure.usage.items()), *marks),
                source={**_source(counter, figure), **({"alone": True} if alone else {})},
            )
        )
        (self._state.alone.add if alone else self._state.alone.discard)(path)

    def plan_accompanied(self) -> None:
        """Repeat the readings of metrics that were alone, whose session has calls by now, as no lower bounds."""
        for path in [path for path in self._state.alone if self._state.models.get(path[1] or "")]:
            self._state.alone.discard(path)
            series = self._state.counters[path, TELEMETRY]
            agent, session_id, model = path
            self._plan.add(
                cost_observed(
                    self._plan.workflow_id,
                    agent=agent,
                    session_id=session_id,
                    model=model,
                    **_figures(series),
                    partial=series.partial or None,
                    id=digest(TELEMETRY, "accompanied", *path, series.nanousd, *sorted(series.usage.items())),
                    source={"kind": TELEMETRY},
                )
            )

    def _path(self, counter: Counter) -> ModelPath:
        """The meter of a counter; of a coding agent's session, under the agent of the session."""
        agent, state = counter.agent, self._state
        if counter.client and counter.session_id is not None:
            if counter.model is not None and not counter.kind.endswith(UNMATCHED):
                state.total_models.setdefault(counter.session_id, set()).add(counter.model)
            agent = state.session_agents.setdefault(counter.session_id, agent)
            state.covered.add(counter.session_id)
        return agent, counter.session_id, counter.model


def _figures(series: CounterSeries) -> dict[str, Any]:
    """The figures of a meter by its counters, and when they were observed."""
    cost = None if series.nanousd is None else money.to_wire(series.nanousd)
    return {"cost_usd": cost, "usage": series.usage or None, "observed_at": series.latest}


def _source(counter: Counter, figure: CounterFigure) -> Mapping[str, Any]:
    """Where a counter was read, and its own figure, from which later imports continue."""
    source: dict[str, Any] = {"kind": counter.kind, "file": counter.location.file, "line": counter.location.line}
    source |= {} if counter.process is None else {"process": counter.process}
    source |= {"series": counter.series} | ({"series_usage": figure.usage} if figure.usage else {})
    source |= {} if figure.nanousd is None else {"series_cost_usd": money.to_wire(figure.nanousd)}
    source |= {"spent_at_from": counter.spent_at_from} if counter.spent_at else {}
    source |= {"series_partial": True} if counter.partial else {}
    return source | ({"series_carried_usd": money.to_wire(figure.carried_nanousd)} if figure.carried_nanousd else {})

// The course of a workflow's cost: each event that moved it, as a staircase.

import { api } from "../api.js";
import { fill, h, part } from "../dom.js";
import { count, word } from "../format.js";
import { toggle } from "../parts.js";
import { inOrder, staircase } from "../stairs.js";

/** The last events whose course is drawn: more points than a chart is wide, and one page of the API. */
const DRAWN = 10_000;

const WAYS = [
  ["time", "Over time"],
  ["event", "Event by event"],
];

/** The scale that the viewer chose for charts, also for the next one. */
let chosenWay = "time";

/**
 * The chart of a workflow's cost, as a part of its page.
 * @param {() => object} rowNow the workflow's row as it is now
 * @param {HTMLElement} ways where the viewer chooses the scale
 */
export const courseOf = (id, rowNow, ways, signal) =>
  part(async () => {
    const after = Math.max(0, rowNow().event_count - DRAWN);
    const steps = await api.explain(id, after, signal);
    const moves = steps.filter(({ from_cost_usd: from, to_cost_usd: to }) => from !== to); // an acceptance moves nothing
    return h("div", {}, after > 0 && undrawn(rowNow()), chart(moves, rowNow(), ways));
  }, signal);

/** Which part of a long ledger is drawn. */
const undrawn = (row) =>
  h(
    "p",
    { class: "note" },
    `The last ${count(DRAWN)} of ${count(row.event_count)} events; costledger explain -- ${word(row.adw_id)} lists all.`,
  );

/** Over time where the times are in order, otherwise event by event; where both can be, the viewer chooses. */
function chart(moves, row, ways) {
  ways.replaceChildren();
  if (!moves.length)
    return h(
      "p",
      { class: "quietly" },
      row.event_count > DRAWN ? "None of them moved the cost." : "No event has moved the cost yet.",
    );
  const now = {
    status: row.status,
    cost: row.actual_cost_total,
    ended: row.end_time,
    budget: row.budget?.budget_usd ?? null,
  };
  const chart = h("div", {});
  const timed = inOrder(moves);
  const draw = () => fill(chart, staircase(moves, now, !timed || chosenWay === "event"));
  const choose = (way) => {
    chosenWay = way;
    fill(ways, toggle("Scale of the chart", WAYS, way, choose));
    ways.querySelector(`#show-${way}`).focus();
    draw();
  };
  if (timed) fill(ways, toggle("Scale of the chart", WAYS, chosenWay, choose));
  draw();
  return chart;
}

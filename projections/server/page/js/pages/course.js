// The course of a workflow's cost: each event that moved it, as a staircase.

import { api } from "../api.js";
import { fill, h, part, says } from "../dom.js";
import { count, isActive, word } from "../format.js";
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
 * @param {() => {branch: object, runs: object[], open: (move: object) => void}} shown what is marked, and what a click
 *   on a step does; `draw` when it has changed
 */
export function courseOf(id, rowNow, ways, shown, signal) {
  let draw = () => {};
  const loaded = part(async () => {
    const after = Math.max(0, rowNow().event_count - DRAWN);
    const steps = await api.explain(id, after, signal);
    const moves = steps.filter(({ from_cost_usd: from, to_cost_usd: to }) => from !== to); // an acceptance moves nothing
    const made = chart(moves, rowNow(), ways, shown);
    draw = made.draw;
    return h("div", {}, after > 0 && undrawn(rowNow()), made.element);
  }, signal);
  return { element: loaded.element, load: loaded.load, draw: () => draw() };
}

/** Which part of a long ledger is drawn. */
const undrawn = (row) =>
  says(
    "note",
    `The last ${count(DRAWN)} of ${count(row.event_count)} events; costledger explain -- ${word(row.adw_id)} lists all.`,
  );

/** Over time where the times are in order, otherwise event by event; where both can be, the viewer chooses. */
function chart(moves, row, ways, shown) {
  ways.replaceChildren();
  const { moved_to: to, moved_from: from } = row.cost_breakdown;
  const isOwn = Boolean(to ?? from); // the steps are those of its own ledger, the row's cost is not
  const none = isOwn ? "Its own ledger recorded no cost." : "No event has moved the cost yet.";
  const nothing = row.event_count > DRAWN ? "None of them moved the cost." : none;
  if (!moves.length) return { element: says("quietly", nothing), draw: () => {} };
  const now = {
    settled: row.status !== "running" && !isOwn,
    cost: isOwn ? moves.at(-1).to_cost_usd : row.actual_cost_total,
    until: row.end_time ? Date.parse(row.end_time) : isActive(row) ? Date.now() : null,
    budget: row.budget?.budget_usd ?? null,
  };
  const chart = h("div", {});
  const timed = inOrder(moves);
  const draw = () => fill(chart, staircase(moves, now, !timed || chosenWay === "event", shown()));
  const choose = (way) => {
    chosenWay = way;
    fill(ways, toggle("Scale of the chart", WAYS, way, choose));
    ways.querySelector(`#show-${way}`).focus();
    draw();
  };
  if (timed) fill(ways, toggle("Scale of the chart", WAYS, chosenWay, choose));
  draw();
  const element = isOwn ? h("div", {}, says("note", "What its own ledger recorded; a move changes none of it."), chart) : chart;
  return { element, draw };
}

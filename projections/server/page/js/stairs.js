// A workflow's cost as its events moved it: a staircase, with its settlement and its budget.

import { dollars, drawn, frame } from "./chart.js";
import { h, s } from "./dom.js";
import { local, nanousdOrNothing, usd } from "./format.js";
import { isIn, isWhole } from "./pages/branch.js";

const MINUTE = 60_000,
  DAY = 86_400_000;
const TIME_STEPS = [
  1000,
  5000,
  15_000,
  30_000,
  ...[1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720].map((m) => m * MINUTE),
  ...[1, 2, 7, 14, 30, 60, 120, 365].map((d) => d * DAY),
];
const DOTS = 80;
const dayName = new Intl.DateTimeFormat("en-US", { month: "short", day: "numeric" });
const two = (number) => String(number).padStart(2, "0");

/**
 * @param {object[]} moves steps that moved the cost, as `/explain` answers
 * @param {{settled: boolean, cost: string, until: number | null, budget: string | null}} now `until`: of the scale of time
 * @param {boolean} byEvent one step after the other, whenever they were
 * @param {{branch: object, runs: object[], open: (move: object) => void}} shown `branch`: whose steps are marked
 */
export function staircase(moves, now, byEvent, { branch, runs, open }, height = 250) {
  const moments = moves.map(momentOf);
  const positions = byEvent ? moves.map((_, at) => at) : moments;
  const amounts = moves.map((move) => dollars(nanousdOrNothing(move.to_cost_usd)));
  const { settled } = now;
  const [first, last] = [positions[0], positions.at(-1)];
  const isFar = !settled && now.until - last > 3 * (last - first); // it would leave no room for the steps
  const end = byEvent || isFar ? last : Math.max(last, now.until ?? 0);
  const most = Math.max(0.0001, ...amounts);
  const limit = now.budget !== null && dollars(now.budget) <= most * 1.6 ? dollars(now.budget) : null;
  const label = `The cost ${byEvent ? "event by event" : "over time"}, ${moves.length} steps to ${usd(now.cost)}`;
  const draw = (width) => {
    const { inner, y, svg } = frame(width, height, 0, Math.max(most, limit ?? 0));
    const right = inner.right - 14;
    const x = (at) =>
      end === positions[0] ? inner.left : inner.left + ((at - positions[0]) / (end - positions[0])) * (right - inner.left);
    const ticks = byEvent ? eventTicks(moves, right - inner.left) : timeTicks(positions[0], end, right - inner.left);
    svg.append(
      ...ticks.map(({ at, text }) =>
        s("text", { x: Math.max(inner.left + 12, x(at)), y: height - 6, "text-anchor": "middle" }, text),
      ),
    );
    let path = `M${inner.left},${y(dollars(nanousdOrNothing(moves[0].from_cost_usd)))}`;
    amounts.forEach((amount, at) => {
      path += `H${x(positions[at]).toFixed(1)}V${y(amount).toFixed(1)}`;
    });
    path += `H${right}`;
    svg.append(s("path", { class: "area", d: `${path}V${y(0)}H${inner.left}Z` }));
    if (limit !== null) svg.append(...limitLine(limit, inner, y(limit)));
    svg.append(s("path", { class: "stairs", d: path }));
    if (!byEvent) svg.append(...runs.flatMap((run) => runMark(run, x, positions[0], end, inner)));
    const mine = isWhole(branch) ? [] : [...moves.keys()].filter((at) => isIn(moves[at], branch));
    const rise = (at) => `M${x(positions[at]).toFixed(1)},${y(at ? amounts[at - 1] : dollars(nanousdOrNothing(moves[0].from_cost_usd))).toFixed(1)}V${y(amounts[at]).toFixed(1)}`;
    if (mine.length) svg.append(s("path", { class: "mine", d: mine.map(rise).join("") }));
    if (settled) svg.append(...settlement(now.cost, right, inner));
    if (moves.length <= DOTS)
      svg.append(
        ...amounts.map((amount, at) =>
          s("circle", { class: mine.includes(at) ? "mine" : null, cx: x(positions[at]), cy: y(amount), r: 3 }),
        ),
      );
    const spots = moves.map((move, at) => ({ x: x(positions[at]), describe: () => description(move) }));
    return { svg, spots, inner };
  };
  return drawn(label, height, draw, { open: (at) => open(moves[at]) });
}

/** Where a retry began. */
function runMark({ run, started_at: started }, x, from, to, inner) {
  const at = Date.parse(started);
  if (run === 1 || !(from <= at && at <= to)) return [];
  return [
    s("line", { class: "settled", x1: x(at), x2: x(at), y1: inner.top, y2: inner.bottom }),
    s("text", { class: "limit-mark run-mark", x: x(at) + 5, y: inner.top + 12 }, `run ${run}`),
  ];
}

const momentOf = (move) => Date.parse(move.observed_at ?? move.recorded_at);

/** Whether the moments of moves are in order, so that time can be the scale. */
export function inOrder(moves) {
  const moments = moves.map(momentOf);
  return moments.every((moment, at) => at === 0 || moment >= moments[at - 1]) && moments.at(-1) > moments[0];
}

function limitLine(budget, inner, at) {
  const text = `budget ${usd(BigInt(Math.round(budget * 1e9)))}`;
  return [
    s("line", { class: "limit", x1: inner.left, x2: inner.right, y1: at, y2: at }),
    s("text", { class: "limit-mark", x: inner.left + 8, y: at - 5 < 12 ? at + 14 : at - 5 }, text),
  ];
}

function settlement(cost, right, inner) {
  return [
    s("line", { class: "settled", x1: right, x2: right, y1: inner.top, y2: inner.bottom }),
    s("text", { class: "mark", x: right - 8, y: inner.bottom - 8, "text-anchor": "end" }, `settled at ${usd(cost)}`),
  ];
}

function description(move) {
  const change = nanousdOrNothing(move.to_cost_usd) - nanousdOrNothing(move.from_cost_usd);
  return [
    h("p", {}, h("strong", {}, usd(move.to_cost_usd)), ` (${change < 0n ? "" : "+"}${usd(change)})`),
    h("p", { class: "muted" }, local(move.observed_at ?? move.recorded_at), `, event ${move.seq}, ${move.meter}`),
    h("p", { class: "muted" }, move.why),
  ];
}

function eventTicks(moves, width) {
  const every = Math.ceil(moves.length / Math.max(2, Math.floor(width / 70)));
  return moves.flatMap((move, at) => (at % every === 0 ? [{ at, text: `#${move.seq}` }] : []));
}

/** Round moments of this browser's zone; a day's first one has its date. Without any, the moment it all was. */
function timeTicks(from, to, width) {
  const wanted = Math.max(2, Math.floor(width / 84));
  const step = TIME_STEPS.find((size) => (to - from) / size <= wanted) ?? 365 * DAY;
  const found = [];
  let day = "";
  for (const at of rounds(from, to, step)) {
    const date = new Date(at);
    const name = dayName.format(date);
    const clock = `${two(date.getHours())}:${two(date.getMinutes())}${step < MINUTE ? `:${two(date.getSeconds())}` : ""}`;
    found.push({ at, text: step >= DAY || (name !== day && date.getHours() + date.getMinutes() === 0) ? name : clock });
    day = name;
  }
  const middle = (from + to) / 2;
  return found.length ? found : [{ at: middle, text: local(middle) }];
}

function* rounds(from, to, step) {
  const first = new Date(from);
  const midnight = new Date(first.getFullYear(), first.getMonth(), first.getDate());
  if (step < DAY) {
    for (let at = midnight.getTime() + Math.ceil((from - midnight) / step) * step; at <= to; at += step) yield at;
    return;
  }
  for (let days = from > midnight.getTime() ? 1 : 0; ; days += step / DAY) {
    const at = new Date(midnight.getFullYear(), midnight.getMonth(), midnight.getDate() + days).getTime();
    if (at > to) return;
    yield at;
  }
}

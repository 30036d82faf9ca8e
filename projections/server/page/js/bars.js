// Spend by period, stacked.

import { dollars, drawn, frame } from "./chart.js";
import { h, s } from "./dom.js";
import { many, nanousd, periodBriefly, periodInFull, plusDays, usd } from "./format.js";

/** Colours that colour-blind people can distinguish (after Okabe and Ito, https://jfly.uni-koeln.de/color/), in `style.css`. */
export const SERIES = 7;
const NAMED = 8;

export const swatch = (series) => h("span", { class: "swatch", "data-series": series, "aria-hidden": "true" });

/** Which colour is whose; those that share the last one are named once. */
export function legend(groups, name) {
  const series = seriesOf(groups);
  const paid = groups.filter(({ cost_usd: cost }) => nanousd(cost) !== 0n);
  const own = paid.filter(({ group }) => series(group) < SERIES - 1 || groups.length <= SERIES);
  const others = paid.length - own.length;
  return h(
    "ul",
    { class: "legend" },
    own.map(({ group }) => h("li", { title: name(group) }, swatch(series(group)), name(group))),
    others > 0 && h("li", {}, swatch(SERIES - 1), many(others, "other")),
  );
}

/**
 * Which series a group has: the highest have one of their own, the others share the last.
 * @param {{group: any, cost_usd: string}[]} groups the highest cost first
 */
export function seriesOf(groups) {
  const own = groups.length > SERIES ? SERIES - 1 : SERIES;
  const numbers = new Map(groups.map(({ group }, at) => [group, Math.min(at, own)]));
  return (group) => Math.min(SERIES - 1, numbers.get(group) ?? own);
}

/** The lines of each period, the oldest first; days without spend are there too. */
function byPeriod(spend, { since, until }) {
  const bars = new Map();
  if (spend.period === "day" && since && until)
    for (let day = since; day <= until && bars.size < 400; day = plusDays(day, 1)) bars.set(day, []);
  const series = seriesOf(spend.groups);
  for (const { period, group, cost_usd: cost, at_least } of spend.lines) {
    if (!bars.has(period)) bars.set(period, []);
    bars.get(period).push({ at: series(group), group, nano: nanousd(cost), at_least });
  }
  for (const parts of bars.values()) parts.sort((a, b) => a.at - b.at);
  return [...bars].sort(([a], [b]) => (a < b ? -1 : 1));
}

const sum = (parts) => parts.reduce((total, { nano }) => total + nano, 0n);

/** A sum in words; one of nothing that is a lower bound is no figure. */
const inAll = (parts) => (!sum(parts) && parts.some((part) => part.at_least) ? "unpriced" : usd(sum(parts)));

/**
 * Spend by period, stacked; what was taken back hangs below zero.
 * @param {{period: string, by: string | null, lines: any[], groups: any[]}} spend as `/api/spend` answers
 * @param {{since?: string, until?: string, height?: number, name: (group: any) => string}} shown
 */
export function stackedBars(spend, { since, until, height = 260, name }) {
  const periods = byPeriod(spend, { since, until });
  const low = Math.min(0, ...periods.map(([, parts]) => dollars(sum(parts.filter(({ nano }) => nano < 0n)))));
  const high = Math.max(0.01, ...periods.map(([, parts]) => dollars(sum(parts.filter(({ nano }) => nano > 0n)))));
  const label = `Spend by ${spend.period}${spend.by ? `, by ${spend.by}` : ""}, ${inAll(periods.flatMap(([, parts]) => parts))} in all`;
  return drawn(label, height, (width) => {
    const { inner, y, svg } = frame(width, height, low, high);
    const slot = (inner.right - inner.left) / periods.length;
    const every = Math.ceil(periods.length / Math.max(1, Math.floor((inner.right - inner.left) / 64)));
    const spots = periods.map(([period, parts], index) => {
      const middle = inner.left + (index + 0.5) * slot;
      svg.append(
        ...bar(
          parts.filter(({ nano }) => nano !== 0n),
          middle,
          Math.min(44, slot > 6 ? slot * 0.72 : slot),
          y,
        ),
      );
      if (index % every === 0 && middle + 20 < width)
        svg.append(s("text", { x: middle, y: height - 6, "text-anchor": "middle" }, periodBriefly(period)));
      return { x: middle, describe: () => description(period, parts, spend.by ? name : null) };
    });
    return { svg, spots, inner, slot };
  });
}

/** The parts of one bar, those of a series as one. */
function bar(parts, middle, width, y) {
  let [above, below] = [0, 0];
  const drawnAsOne = Map.groupBy(parts, ({ at, nano }) => (nano < 0n ? -1 - at : at));
  return [...drawnAsOne.values()].map((its) => {
    const [{ at }, size] = [its[0], dollars(sum(its))];
    const [from, to] = size < 0 ? [below + size, below] : [above, above + size];
    if (size < 0) below = from;
    else above = to;
    return s("rect", {
      "data-series": at,
      x: (middle - width / 2).toFixed(1),
      width: width.toFixed(1),
      y: y(to).toFixed(2),
      height: Math.max(0, y(from) - y(to)).toFixed(2),
    });
  });
}

function description(period, parts, name) {
  const paid = parts.filter(({ nano }) => nano !== 0n);
  const rest = paid.slice(NAMED);
  const line = (sign, text, nano) => [h("dt", {}, sign, text), h("dd", {}, usd(nano))];
  return [
    h(
      "p",
      {},
      `${periodInFull(period)}: ${parts.some((part) => part.at_least) && sum(parts) ? "at least " : ""}`,
      h("strong", {}, inAll(parts)),
    ),
    name &&
      paid.length > 0 &&
      h(
        "dl",
        {},
        paid.slice(0, NAMED).map(({ at, group, nano }) => line(swatch(at), name(group), nano)),
        rest.length > 0 && line(swatch(SERIES - 1), many(rest.length, "other"), sum(rest)),
      ),
  ];
}

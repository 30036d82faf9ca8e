// Spend by period, stacked; the viewer can hide a series, take logarithms, open a period, or drag over several.

import { dollars, drawn, frame } from "./chart.js";
import { colours, OTHERS, swatch } from "./colours.js";
import { button, fill, h, s } from "./dom.js";
import { many as counted, nanousd, periodBriefly, periodInFull, plusDays, usd } from "./format.js";
import { daysOf, periodsOf } from "./periods.js";
import { here } from "./router.js";

const DESCRIBED = 8;
const DESCRIBED_MOST = 16;
/** So many parts of others a bar has at most: more would be thinner than a pixel. */
const OTHERS_MOST = 500n;
/** Parts of others that are less high have no line between them, which would be all there is to see. */
const APART_PX = 2;
/** So many times the median, and a period dwarfs the others: logarithms are offered. */
const DWARFED = 20;
/** In a longer time, what is before the first spend and after the last is not drawn. */
const LONG_DAYS = 400;

/** What viewers hid, by page and what the spend is split by, and whether they chose logarithms; it stays when figures are renewed. */
const hidden = new Map();
let logarithms = false;

/** The lines of each period, the oldest first; periods without spend are there too, of a long time those between spend. */
function byPeriod(spend, { since, until }, out) {
  const spent = spend.lines.map(({ period }) => period).sort();
  if (spent.length && since && plusDays(since, LONG_DAYS) < until) {
    since = [since, daysOf(spent[0])[0]].sort()[1];
    until = [until, daysOf(spent.at(-1))[1]].sort()[0];
  }
  const bars = new Map(periodsOf(spend.period, since, until).map((period) => [period, []]));
  for (const { period, group, cost_usd: cost, at_least } of spend.lines) {
    if (!bars.has(period)) bars.set(period, []);
    if (!out.has(group)) bars.get(period).push({ group, nano: nanousd(cost), at_least });
  }
  return [...bars].sort(([a], [b]) => (a < b ? -1 : 1));
}

const sum = (parts) => parts.reduce((total, { nano }) => total + nano, 0n);

/** A sum in words; one of nothing that is a lower bound is no figure. */
const inAll = (parts) => (!sum(parts) && parts.some((part) => part.at_least) ? "unpriced" : usd(sum(parts)));

/**
 * Spend by period with its legend.
 * @param {{period: string, by: string | null, lines: any[], groups: any[]}} spend as `/api/spend` answers
 * @param {{since?: string, until?: string, height?: number, name: (group: any) => string,
 *   open?: (period: string) => void, drag?: (first: string, last: string) => void}} shown
 *   `open` a period that was clicked, `drag` over several
 */
export function stackedBars(spend, shown) {
  const key = `${here().path.join("/")} ${spend.by}`;
  const out = hidden.get(key) ?? new Set();
  hidden.set(key, out);
  const element = h("div", { class: "bars" });
  const redraw = (focus) => {
    const bars = byPeriod(spend, shown, out);
    const controls = [legend(spend, shown.name, out, redraw), dwarfs(bars) && logarithmic(redraw)];
    fill(element, h("div", { class: "legend-line" }, controls), chart(spend, bars, shown, dwarfs(bars) && logarithms));
    if (focus) element.querySelector(`#${CSS.escape(focus)}`)?.focus();
  };
  redraw();
  return element;
}

/** Which colour is whose; a click hides a series or shows it again. */
function legend({ groups, by }, name, out, redraw) {
  const colour = colours(groups);
  const paid = groups.filter(({ cost_usd: cost }) => nanousd(cost) !== 0n);
  const own = paid.filter(({ group }) => colour(group) !== OTHERS);
  const others = paid.filter(({ group }) => colour(group) === OTHERS);
  const entry = (id, its, series, text) => {
    const hides = its.every(({ group }) => out.has(group));
    const turn = () => {
      for (const { group } of its) hides ? out.delete(group) : out.add(group);
      redraw(id);
    };
    const title = `${text}: ${hides ? "show" : "hide"}`;
    const shows = { id, class: "series", "aria-pressed": String(!hides), title };
    return h("li", {}, button([swatch(series), text], turn, shows));
  };
  if (!by) return null;
  return h(
    "ul",
    { class: "legend" },
    own.map((one, at) => entry(`series-${at}`, [one], colour(one.group), name(one.group))),
    others.length > 0 && entry("series-others", others, OTHERS, counted(others.length, "other")),
  );
}

function logarithmic(redraw) {
  const turn = () => {
    logarithms = !logarithms;
    redraw("logarithms");
  };
  return button("Logarithmic", turn, { class: "quiet", id: "logarithms", "aria-pressed": String(logarithms) });
}

/** Whether one period dwarfs the others. */
function dwarfs(bars) {
  const paid = bars.map(([, parts]) => dollars(sum(parts))).filter((amount) => amount > 0);
  paid.sort((a, b) => a - b);
  return paid.length > 2 && paid.at(-1) > DWARFED * paid[paid.length >> 1];
}

function chart(spend, bars, { height = 260, name, open, drag }, log) {
  const colour = colours(spend.groups);
  const order = new Map(spend.groups.map(({ group }, at) => [group, colour(group) === OTHERS ? Infinity : at]));
  for (const [, parts] of bars) parts.sort((a, b) => order.get(a.group) - order.get(b.group));
  const low = log ? 0 : Math.min(0, ...bars.map(([, parts]) => dollars(sum(parts.filter(({ nano }) => nano < 0n)))));
  const high = Math.max(0.01, ...bars.map(([, parts]) => dollars(sum(parts.filter(({ nano }) => nano > 0n)))));
  const label = `Spend by ${spend.period}${spend.by ? `, by ${spend.by}` : ""}, ${inAll(bars.flatMap(([, parts]) => parts))} in all`;
  const ways = { open: open && ((at) => open(bars[at][0])), drag: drag && ((a, b) => drag(bars[a][0], bars[b][0])) };
  const draw = (width) => {
    const { inner, y, svg } = frame(width, height, low, high, { log });
    const slot = (inner.right - inner.left) / bars.length;
    const every = Math.ceil(bars.length / Math.max(1, Math.floor((inner.right - inner.left) / 64)));
    let year = spend.period === "day" ? String(new Date().getFullYear()) : null; // named where it is another one
    const spots = bars.map(([period, parts], index) => {
      const middle = inner.left + (index + 0.5) * slot;
      const wide = Math.min(44, slot > 6 ? slot * 0.72 : slot);
      const paid = parts.filter(({ nano }) => nano !== 0n);
      svg.append(...bar(paid, colour, middle, wide, y, log));
      if (index % every === 0 && middle + 20 < width) {
        const named = year === period.slice(0, 4);
        year = period.slice(0, 4);
        svg.append(s("text", { x: middle, y: height - 6, "text-anchor": "middle" }, periodBriefly(period, !named)));
      }
      return { x: middle, describe: () => description(period, parts, spend.by ? name : null, colour) };
    });
    return { svg, spots, inner, slot };
  };
  return drawn(label, height, draw, ways);
}

/** The parts of one bar. By logarithms a bar is as high as its sum, and parts share it. */
function bar(parts, colour, middle, width, y, log) {
  const total = dollars(sum(parts));
  if (log && total <= 0) return [];
  const at = log ? (amount) => y(0) + ((y(total) - y(0)) * amount) / total : y;
  let [above, below] = [0, 0];
  return together(parts, colour).map(({ series, nano }) => {
    const size = dollars(nano);
    const [from, to] = size < 0 ? [below + size, below] : [above, above + size];
    if (size < 0) below = from;
    else above = to;
    const height = Math.max(0, at(from) - at(to));
    return s("rect", {
      "data-series": series,
      class: height > APART_PX ? "apart" : null,
      x: (middle - width / 2).toFixed(1),
      width: width.toFixed(1),
      y: at(to).toFixed(2),
      height: height.toFixed(2),
    });
  });
}

/** The parts, the others as one; where that would be the largest of a bar, as several that are not. */
function together(parts, colour) {
  const size = ({ nano }) => (nano < 0n ? -nano : nano);
  const own = parts.filter(({ group }) => colour(group) !== OTHERS);
  const others = parts.filter(({ group }) => colour(group) === OTHERS).sort((a, b) => (size(a) > size(b) ? -1 : 1));
  const all = parts.reduce((total, part) => total + size(part), 0n);
  const most = parts.reduce((most, part) => (size(part) > most ? size(part) : most), all / OTHERS_MOST);
  const made = own.map(({ group, nano }) => ({ series: colour(group), nano }));
  for (const { nano } of others) {
    const last = made.at(-1);
    if (last?.series === OTHERS && last.nano < 0n === nano < 0n && size({ nano: last.nano + nano }) <= most) last.nano += nano;
    else made.push({ series: OTHERS, nano });
  }
  return made;
}

function description(period, parts, name, colour) {
  const paid = parts.filter(({ nano }) => nano !== 0n).sort((a, b) => (a.nano > b.nano ? -1 : 1));
  let many = DESCRIBED; // the rest is not the largest either
  while (many < DESCRIBED_MOST && sum(paid.slice(many)) > (paid[0]?.nano ?? 0n)) many += 1;
  const rest = paid.slice(many);
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
        paid.slice(0, many).map(({ group, nano }) => line(swatch(colour(group)), name(group), nano)),
        rest.length > 0 && line(swatch(OTHERS), counted(rest.length, "other"), sum(rest)),
      ),
  ];
}

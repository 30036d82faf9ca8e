// Charts in SVG, drawn at the width there is. Floats only place marks; what figures say is in the tables beside them.

import { h, s } from "./dom.js";
import { local, nanousd, plusDays, usd } from "./format.js";

/** Colours that colour-blind people can tell apart (Okabe and Ito, https://jfly.uni-koeln.de/color/), in `style.css`. */
export const SERIES = 7;
const MARGIN = { top: 10, right: 8, bottom: 22, left: 56 };
const dollars = (nano) => Number(nano) / 1e9;

/** A figure that is drawn anew when its width changes. @param {(width: number) => SVGElement} draw */
function drawn(label, height, draw) {
  const figure = h("div", { class: "chart", role: "img", "aria-label": label });
  figure.style.minHeight = `${height}px`;
  new ResizeObserver(([{ contentRect }]) => {
    const width = Math.floor(contentRect.width);
    if (width > 0 && figure.dataset.width !== String(width)) {
      figure.dataset.width = String(width);
      figure.replaceChildren(draw(width));
    }
  }).observe(figure);
  return figure;
}

/** Round steps between two amounts, about `wanted` of them. */
function steps(low, high, wanted) {
  const rough = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  const found = [];
  for (let at = Math.floor(low / step); at * step < high + step; at += 1) found.push(at * step);
  return found;
}

/** Which colour is whose. */
export const legend = (groups, name) => {
  const series = seriesOf(groups);
  return h(
    "ul",
    { class: "legend" },
    groups
      .slice(0, SERIES)
      .filter(({ cost }) => nanousd(cost) !== 0n)
      .map(({ group }) => h("li", {}, swatch(series(group)), name(group))),
  );
};

export const swatch = (series) => h("span", { class: "swatch", "data-series": series, "aria-hidden": "true" });

/** The frame of a chart: a scale of dollars with its lines. */
function frame(width, height, low, high) {
  const ticks = steps(low, high, Math.max(2, Math.floor(height / 45)));
  const [bottom, top] = [ticks[0], ticks.at(-1)];
  const inner = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom };
  const y = (amount) => inner.bottom - ((amount - bottom) / (top - bottom)) * (inner.bottom - inner.top);
  const lines = ticks.map((tick) => [
    s("line", { class: tick === 0 ? "zero" : "grid", x1: inner.left, x2: inner.right, y1: y(tick), y2: y(tick) }),
    s("text", { x: inner.left - 6, y: y(tick) + 4, "text-anchor": "end" }, usd(BigInt(Math.round(tick * 1e9)))),
  ]);
  return { inner, y, svg: s("svg", { width, height, viewBox: `0 0 ${width} ${height}` }, lines) };
}

/**
 * Which series a group has: the dearest have one of their own, the others share the last.
 * @param {{group: any, cost: string}[]} groups the dearest first
 */
export function seriesOf(groups) {
  const own = groups.length > SERIES ? SERIES - 1 : SERIES;
  const numbers = new Map(groups.map(({ group }, at) => [group, Math.min(at, own)]));
  return (group) => numbers.get(group) ?? own;
}

/**
 * Spend by period, stacked; what was taken back hangs below zero.
 * @param {{period: string, by: string | null, lines: any[], groups: any[]}} spend as `/api/spend` answers
 * @param {{since?: string, until?: string, height?: number}} shown days without spend are shown too
 */
export function stackedBars(spend, { since, until, height = 240 } = {}) {
  const series = seriesOf(spend.groups);
  const bars = new Map();
  if (spend.period === "day" && since && until)
    for (let day = since; day <= until && bars.size < 400; day = plusDays(day, 1)) bars.set(day, []);
  for (const line of spend.lines) {
    if (!bars.has(line.period)) bars.set(line.period, []);
    bars.get(line.period).push({ at: series(line.group), group: line.group, nano: nanousd(line.cost) });
  }
  const periods = [...bars.keys()].sort();
  const sums = periods.map((period) => {
    const parts = bars.get(period).map(({ nano }) => dollars(nano));
    return [
      parts.filter((part) => part < 0).reduce((a, b) => a + b, 0),
      parts.filter((part) => part > 0).reduce((a, b) => a + b, 0),
    ];
  });
  const low = Math.min(0, ...sums.map(([below]) => below)),
    high = Math.max(0.01, ...sums.map(([, above]) => above));
  return drawn(
    `Spend by ${spend.period}${spend.by ? `, by ${spend.by}` : ""}; the table has the figures`,
    height,
    (width) => {
      const { inner, y, svg } = frame(width, height, low, high);
      const slot = (inner.right - inner.left) / periods.length;
      periods.forEach((period, index) => {
        const x = inner.left + index * slot + slot * 0.12;
        let above = 0,
          below = 0;
        for (const { at, group, nano } of bars.get(period).sort((a, b) => a.at - b.at)) {
          const size = dollars(nano);
          const [from, to] = size < 0 ? [below + size, below] : [above, above + size];
          if (size < 0) below = from;
          else above = to;
          svg.append(
            s(
              "rect",
              {
                "data-series": at,
                x,
                width: Math.min(48, slot * 0.76),
                y: y(to),
                height: Math.max(0, y(from) - y(to)),
              },
              s("title", {}, `${period}: ${usd(nano)}${spend.by ? `, ${group ?? "(unattributed)"}` : ""}`),
            ),
          );
        }
      });
      const every = Math.ceil(periods.length / Math.max(1, Math.floor((inner.right - inner.left) / 80)));
      periods.forEach((period, index) => {
        if (index % every === 0)
          svg.append(s("text", { x: inner.left + index * slot + slot * 0.12, y: height - 6 }, period));
      });
      return svg;
    },
  );
}

/**
 * A workflow's cost as its events moved it: a staircase, over time where their times are in order, otherwise by event.
 * @param {{seq: number, recorded_at: string, observed_at: string | null, type: string, from_cost: string, to_cost: string, why: string}[]} moves
 * @param {{status: string, cost: string, ended: string | null}} now
 */
export function staircase(moves, now, height = 220) {
  const moments = moves.map((move) => Date.parse(move.observed_at ?? move.recorded_at));
  const ordered = moments.every((moment, at) => at === 0 || moment >= moments[at - 1]) && moments.at(-1) > moments[0];
  const places = ordered ? moments : moves.map((_, at) => at);
  const amounts = moves.map((move) => dollars(nanousd(move.to_cost)));
  const settled = now.status !== "running";
  const end = ordered && settled && now.ended ? Math.max(places.at(-1), Date.parse(now.ended)) : places.at(-1);
  const label = `The cost ${ordered ? "over time" : "event by event"}, ${moves.length} steps to ${usd(now.cost)}`;
  return drawn(label, height, (width) => {
    const { inner, y, svg } = frame(width, height, 0, Math.max(0.0001, ...amounts));
    const right = inner.right - 12;
    const x = (place) => inner.left + ((place - places[0]) / (end - places[0] || 1)) * (right - inner.left);
    let path = `M${inner.left},${y(dollars(nanousd(moves[0].from_cost)))}`;
    amounts.forEach((amount, at) => {
      path += `H${x(places[at]).toFixed(1)}V${y(amount).toFixed(1)}`;
    });
    path += `H${right}`;
    svg.append(
      s("path", { class: "area", d: `${path}V${y(0)}H${inner.left}Z` }),
      s("path", { class: "stairs", d: path }),
    );
    if (moves.length <= 400)
      moves.forEach((move, at) =>
        svg.append(
          s(
            "circle",
            { cx: x(places[at]), cy: y(amounts[at]), r: 3 },
            s(
              "title",
              {},
              `${local(move.observed_at ?? move.recorded_at)}, event ${move.seq}: ${usd(move.from_cost)} → ${usd(move.to_cost)}, ${move.why}`,
            ),
          ),
        ),
      );
    if (settled) {
      svg.append(
        s("line", { class: "settled", x1: right, x2: right, y1: inner.top, y2: inner.bottom }),
        s(
          "text",
          { class: "mark", x: right - 6, y: inner.bottom - 6, "text-anchor": "end" },
          `settled at ${usd(now.cost)}`,
        ),
      );
    }
    const [first, last] = ordered
      ? [local(new Date(places[0]).toISOString()), local(new Date(end).toISOString())]
      : [`event ${moves[0].seq}`, `event ${moves.at(-1).seq}`];
    svg.append(
      s("text", { x: inner.left, y: height - 6 }, first),
      width > 420 && s("text", { x: inner.right, y: height - 6, "text-anchor": "end" }, last),
    );
    return svg;
  });
}

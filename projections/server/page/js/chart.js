// What charts share: drawn in SVG at the width there is, with a scale of dollars, and described point by point on hovering
// or with the arrow keys. Floats only position marks; the exact figures are in the tables next to them.

import { fill, h, s } from "./dom.js";
import { nanousd, scale } from "./format.js";

/** @typedef {{x: number, describe: () => import("./dom.js").Child}} Spot a point and its description */

/** Dollars as a float, for positions only. @param {string | bigint} amount */
export const dollars = (amount) => Number(typeof amount === "bigint" ? amount : nanousd(amount)) / 1e9;

/**
 * A figure that is drawn again when its width changes.
 * @param {(width: number) => {svg: SVGElement, spots: Spot[], inner: {top: number, bottom: number}, slot?: number}} draw
 *   spots from left to right, each as wide as a `slot`; without one a line marks it
 * @param {{open?: (at: number) => void, drag?: (first: number, last: number) => void}} ways what a click on a spot
 *   (or Enter) does, and a drag over several
 */
export function drawn(label, height, draw, { open, drag } = {}) {
  const tip = h("div", { class: "tip", role: "status", hidden: true });
  const canvas = h("div", {});
  const figure = h(
    "div",
    { class: `chart${open ? " opens" : ""}`, role: "group", tabindex: "0", "aria-label": `${label}. Arrow keys step through its points${open ? ", Enter opens one" : ""}.` },
    canvas,
    tip,
  );
  canvas.style.minHeight = `${height}px`;
  const mark = s("path", { class: "here" });
  let made = { spots: [] },
    at = -1;
  const show = (index) => {
    at = index;
    const spot = made.spots[at];
    tip.hidden = !spot;
    if (!spot) return mark.removeAttribute("d");
    const { inner, slot = 0 } = made;
    mark.setAttribute("d", `M${spot.x - slot / 2},${inner.top}h${slot}V${inner.bottom}h${-slot}Z`);
    fill(tip, spot.describe());
    const width = canvas.clientWidth;
    const left = spot.x < width / 2 ? spot.x + 24 : spot.x - tip.offsetWidth;
    tip.style.left = `${Math.max(4, Math.min(left, width - tip.offsetWidth))}px`;
  };
  const under = ({ clientX }) => nearest(made.spots, clientX - canvas.getBoundingClientRect().left);
  let from = -1;
  figure.addEventListener("pointermove", (event) => {
    const near = under(event);
    if (near !== at) show(near);
    if (drag && from >= 0 && near >= 0 && event.pointerType !== "touch") across(from, near);
  });
  figure.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && (open || drag)) from = under(event);
  });
  figure.addEventListener("pointerup", (event) => {
    const [first, last] = [from, under(event)].sort((a, b) => a - b);
    from = -1;
    if (first < 0) return;
    if (first === last) open?.(first);
    else if (event.pointerType !== "touch") drag?.(first, last); // a finger that moves scrolls
  });
  const across = (one, other) => {
    const [first, last] = [one, other].sort((a, b) => a - b);
    const { inner, slot = 0 } = made;
    const [left, right] = [made.spots[first].x - slot / 2, made.spots[last].x + slot / 2];
    mark.setAttribute("d", `M${left},${inner.top}H${right}V${inner.bottom}H${left}Z`);
  };
  for (const name of ["pointerleave", "pointercancel"])
    figure.addEventListener(name, () => {
      from = -1;
      show(-1);
    });
  figure.addEventListener("blur", () => show(-1));
  figure.addEventListener("keydown", (event) => {
    const to = {
      ArrowRight: at + 1,
      ArrowLeft: at < 0 ? made.spots.length - 1 : at - 1,
      Home: 0,
      End: made.spots.length - 1,
    }[event.key];
    if (event.key === "Escape") show(-1);
    if (event.key === "Enter" && at >= 0) open?.(at);
    if (to === undefined) return;
    event.preventDefault();
    show(Math.max(0, Math.min(to, made.spots.length - 1)));
  });
  new ResizeObserver(([{ contentRect }]) => {
    const width = Math.floor(contentRect.width);
    if (width <= 0 || figure.dataset.width === String(width)) return;
    figure.dataset.width = String(width);
    made = draw(width);
    made.svg.append(mark);
    show(-1);
    canvas.replaceChildren(made.svg);
  }).observe(canvas);
  return figure;
}

function nearest(spots, x) {
  let [low, high] = [0, spots.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (spots[middle].x <= x) low = middle;
    else high = middle;
  }
  return high >= 0 && Math.abs(spots[high].x - x) < Math.abs(spots[low].x - x) ? high : spots.length ? low : -1;
}

/** Round steps from at or below `low` to at or above `high`, about `wanted` of them. */
function steps(low, high, wanted) {
  const rough = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough * 0.999);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); (at - 1) * step < high - step * 1e-6; at += 1)
    found.push(Number((at * step).toPrecision(12)));
  return found;
}

/** Nothing, and the powers of ten up to at or above `high`, at most `wanted` of them. */
function powers(high, wanted) {
  const last = Math.ceil(Math.log10(high) - 1e-9);
  const first = Math.max(last - wanted + 2, -2);
  return [0, ...Array.from({ length: Math.max(1, last - first + 1) }, (_, at) => 10 ** (Math.min(first, last) + at))];
}

/** The frame of a chart: a scale of dollars, or of their logarithms, with its lines. What lies below zero gets the room it takes. */
export function frame(width, height, low, high, { log = false } = {}) {
  const wanted = Math.max(2, Math.floor((height - 34) / 34));
  const ticks = log ? powers(high, wanted) : steps(Math.min(0, low), high, wanted);
  const [bottom, top] = [low < 0 ? Math.min(ticks[0], low - (high - low) * 0.02) : 0, ticks.at(-1)];
  const labels = ticks.map((tick) => scale(tick, log ? tick || 1 : ticks[1] - ticks[0]));
  const left = 14 + 6.6 * Math.max(...labels.map((label) => label.length));
  const inner = { left, right: width - 10, top: 10, bottom: height - 24 };
  const part = log
    ? (amount) => (amount > 0 ? Math.max(0, 1 + Math.log10(amount / ticks[1])) / (1 + Math.log10(top / ticks[1])) : 0)
    : (amount) => (amount - bottom) / (top - bottom);
  const y = (amount) => inner.bottom - part(amount) * (inner.bottom - inner.top);
  const lines = ticks.map((tick, at) => [
    s("line", { class: tick === 0 ? "zero" : "grid", x1: inner.left, x2: inner.right, y1: y(tick), y2: y(tick) }),
    s("text", { x: inner.left - 8, y: y(tick) + 4, "text-anchor": "end" }, labels[at]),
  ]);
  return {
    inner,
    y,
    svg: s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, lines),
  };
}

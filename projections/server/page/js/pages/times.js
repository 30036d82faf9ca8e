// When the branches of a workflow were active: bars on an axis from its start to its end, or to now while it is active.

import { h } from "../dom.js";
import { duration, isActive, local, many, minute } from "../format.js";

/** How wide the idle time is, of what is before it. */
const IDLE_PART = 0.15;
/** So many times of activity of a branch are drawn apart, more as one. */
const TIMES_MOST = 60;

/** From the first start to the end, or to the latest reading, or now while it is active. */
export function spanOf({ runs, branches, message_count: messages }, row) {
  const moments = [
    ...runs.flatMap((run) => [run.started_at, run.ended_at]),
    ...branches.flatMap((branch) => [branch.first_at, branch.last_at]),
  ]
    .filter(Boolean)
    .map(Date.parse);
  const isTimed = moments.length > 0; // else all of it was moved here
  if (!isTimed) moments.push(Date.parse(row.last_activity ?? row.updated_at));
  const words = runs.map(
    (run) =>
      `run ${run.run} ${run.status}${run.started_at ? `, from ${minute(run.started_at)}` : ""}${run.ended_at ? ` to ${minute(run.ended_at)}` : ""}`,
  );
  const active = isActive(row);
  const span = { from: Math.min(...moments), to: Math.max(...moments), runs, active, idle: row.idle, isTimed };
  const seconds = (moment) => (moment - span.from) / 1000;
  return Object.assign(span, {
    seconds,
    /** How many seconds wide the axis is; that of an idle workflow ends with its idle time, which is not to scale. */
    scale: () => Math.max(0.001, seconds(span.to) * (row.idle ? 1 + IDLE_PART : 1)),
    note: () =>
      [
        runs.length > 1 ? `${many(runs.length, "run")}: ${words.join("; ")}. ` : "",
        isTimed
          ? `The times are from ${local(span.from)} to ${active ? "now" : local(span.to)}, ${duration(seconds(span.to))}`
          : "The times are shown where it was moved from",
        row.idle ? `; idle since ${local(row.last_activity)}, for ${duration((Date.now() - Date.parse(row.last_activity)) / 1000)}` : "",
        messages ? `; ${many(messages, "message")}.` : ".",
      ].join(""),
  });
}

/** A part of the axis, in seconds since its begin; it moves with the axis's width. */
function placed(element, at, length) {
  element.style.setProperty("--at", at);
  element.style.setProperty("--for", length);
  return element;
}

/** What is the same on the axis and behind each bar: the runs, and the idle time. */
function bands({ runs, seconds, to, idle, active }, text) {
  const ofRuns = runs
    .filter((run) => run.started_at)
    .map((run) => {
      const at = seconds(Date.parse(run.started_at));
      const end = run.ended_at ? seconds(Date.parse(run.ended_at)) : active ? 1e9 : seconds(to);
      return placed(h("span", { class: "run" }, text && runs.length > 1 && `run ${run.run}`), at, end - at);
    });
  return [ofRuns, idle && placed(h("span", { class: "idle" }, text && "idle"), seconds(to), 1e9)];
}

/** The head of the bars: start, runs, and now, the idle time or the end. */
export const axis = (span) =>
  span.isTimed &&
  h("span", { class: "axis" }, [
    h("span", { class: "ends" }, [
      h("span", { title: local(span.from) }, clock(span.from)),
      h("span", {}, span.active || span.idle ? "now" : clock(span.to)),
    ]),
    (span.runs.length > 1 || span.idle) && h("span", { class: "track" }, bands(span, true)),
  ]);

const clock = (moment) => minute(moment).slice(5);

/** When a node was active, between the first and the last moment of the workflow; its runs are behind it. */
export function track({ times }, span) {
  if (!times.length) return "";
  const first = times.reduce((a, [b]) => (b < a ? b : a), times[0][0]);
  const last = times.reduce((a, [, b]) => (b > a ? b : a), times[0][1]);
  const title = `${local(first)} to ${local(last)}`;
  const drawn = (times.length > TIMES_MOST ? [[first, last]] : times).map(([from, to]) => {
    const at = span.seconds(Date.parse(from));
    return placed(h("span", { class: "active" }), at, span.seconds(Date.parse(to)) - at);
  });
  return h("span", { class: "track", title }, bands(span), drawn);
}

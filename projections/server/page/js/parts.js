// Parts that several pages show: a status, a cost that changes on the spot, a list of findings, ways to choose.

import { button, cut, fill, flash, h } from "./dom.js";
import { brief, count, duration, isActive, isHeld, local, many, movedTo, nanousd, noFigure, percent, rowCost, usd, wire } from "./format.js";
import { workflowLink } from "./router.js";

const SIGNS = { running: "●", idle: "○", completed: "✓", failed: "✕", cancelled: "–", moved: "→" };

/** A status by sign, word and colour: never by colour alone. */
export const status = (name) =>
  h(
    "span",
    { class: "status", "data-status": name },
    h("span", { "aria-hidden": "true" }, SIGNS[name] ?? "?"),
    ` ${name}`,
  );

/** The status of a row: an open workflow without activity is idle; one that was moved counts in another row. */
export const rowStatus = (row) =>
  movedTo(row).length ? h("span", { class: "tag" }, "moved") : status(row.idle ? "idle" : row.status);

const secondsFrom = (moment, to) => Math.max(0, (to - Date.parse(moment)) / 1000);

/** For how long an open workflow has been active: from its start to now, which ticks, or to its last activity. */
export function activeFor(row) {
  if (row.status !== "running" || !row.start_time || !row.last_activity) return null;
  const ticks = isActive(row);
  const to = ticks ? Date.now() : Date.parse(row.last_activity);
  const since = { "data-since": ticks && row.start_time, title: `since ${local(row.start_time)}` };
  return h("span", since, duration(secondsFrom(row.start_time, to)));
}

/** Every second, what ticks. */
export function tick() {
  for (const each of document.querySelectorAll("[data-since]"))
    each.textContent = duration(secondsFrom(each.dataset.since, Date.now()));
}

/** A workflow's id, as the way to its page. */
export const workflowName = (id) => h("a", { href: workflowLink(id), class: "id cut", title: id }, id);

/** A row's project by the last part of its path; the whole, and the branch, on hovering. */
export function project({ project, branch }) {
  const title = branch ? `${project}, branch ${branch}` : project;
  return project ? h("span", { class: "cut", title }, lastPart(project)) : "";
}

/** @param {{issue_number: number | null}} row */
export const issue = (row) => (row.issue_number === null ? "" : `#${row.issue_number}`);

/** An exact amount, for hovering. @param {string | null} usd */
export const exactly = (usd) => (usd === null ? "no figure" : `${usd} USD`);

/** A row's cost; hovering shows its exact amount. */
export function cost(row) {
  return h(
    "span",
    { class: "cost", title: `${exactly(row.actual_cost_total)}, ${row.cost_basis ?? "no reading yet"}` },
    lessLoud(rowCost(row)),
    isHeld(row) && h("small", { class: "warn" }, " held"),
    row.application && row.application.stored_cost_usd !== row.application.ledger_cost_usd
      ? h("small", { class: "stored" }, ` ${stored(row.application)}`)
      : null,
  );
}

/** What an application's own table shows other than the row, in a sentence; none when it does not. */
export function difference(copy) {
  if (!copy?.wrong.length && !copy?.held) return [];
  const why = copy.held
    ? "the larger figure stays until the workflow ends; resync with force shows pure replay"
    : `${copy.wrong.join(", ")} differ; resync puts them right`;
  return [`in the application's table: ${stored(copy)}, ledger ${usd(copy.ledger_cost_usd)}: ${why}`];
}

/** What an application's own table shows. @param {{stored_cost_usd: string | null, held: boolean}} copy */
export const stored = (copy) =>
  `stored ${copy.stored_cost_usd === null ? "nothing" : usd(copy.stored_cost_usd)}${copy.held ? " (held)" : ""}`;

/** A cost in words and figures, the words smaller. @param {string} text as `honest` writes it */
export const lessLoud = (text) =>
  text.split(/(at least |, [\d,]+ unpriced)/).map((part, at) => (at % 2 ? h("small", {}, part) : part));

/** A count at a glance, the exact one on hovering. */
export const about = (number) => h("span", { title: count(number) }, brief(number));

/** Replace a cell's content, and highlight a figure that differs. */
export function renew(cell, content) {
  if (cell.textContent === content.textContent) return;
  fill(cell, content);
  if (cell.classList.contains("figures") && !content.dataset?.since) flash(cell);
}

/** An amount; hovering shows its exact figure. @param {string | bigint} amount */
export function amount(amount) {
  const nano = typeof amount === "bigint" ? amount : nanousd(amount);
  return h("span", { title: `${wire(nano)} USD` }, usd(nano));
}

/** A sum, and whether it is a lower bound. @param {{cost_usd: string, at_least: boolean, unpriced_events: number}} of */
export const sum = (of) => noFigure(of) ?? [of.at_least && h("small", {}, "at least "), amount(of.cost_usd)];

/** What an amount rose or fell by. @param {bigint} nano @param {string | null} fell the class of one that fell */
export const change = (nano, fell = "warn") =>
  nano === 0n
    ? h("span", { class: "muted" }, "–")
    : h(
        "span",
        { class: nano < 0n ? fell : null, title: `${wire(nano)} USD` },
        `${nano > 0n ? "+" : ""}${usd(nano)}`,
      );

/** How a sum changed against that of other days; null where lower bounds are alike. @param {[string, string]} days the first and the last of those */
export function comparedWith(earlier, now, [since, until]) {
  const [was, is] = [nanousd(earlier.cost_usd), nanousd(now.cost_usd)];
  const isLeast = now.at_least || earlier.at_least;
  if (is === was && isLeast) return null;
  const more = is > was;
  const bound = !isLeast ? "" : now.at_least && earlier.at_least ? "about " : now.at_least === more ? "at least " : "at most ";
  const part = was > 0n ? ` (${more ? "+" : ""}${percent((Number(is - was) / Number(was)) * 100)})` : "";
  return h("span", { title: `${earlier.cost_usd} USD` }, [
    h("br", {}),
    is === was
      ? "as much as"
      : [more ? "▲ " : "▼ ", bound, amount(more ? is - was : was - is), part, more ? " more than" : " less than"],
    " ",
    dates(since, until),
  ]);
}

/** The days of a span, of which none is broken. */
export const dates = (since, until) =>
  [...new Set([since, until])].map((date, at) => [at > 0 && " to ", h("span", { class: "when" }, date)]);

/** A part of a whole, as a bar; the figure next to it is the same. @param {number} share of one */
export function bar(share, properties = {}) {
  const filled = h("span", {});
  filled.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return h("span", { class: "bar", "aria-hidden": "true", ...properties }, filled);
}

/** A part of a whole, as a bar and in percent. @param {number} of one */
export const share = (of) => h("span", { class: "share" }, bar(of), h("span", {}, percent(100 * of)));

/** One of several ways to show something. @param {[string, string][]} options value and what people read */
export const toggle = (label, options, chosen, choose) =>
  h("div", { class: "switch small", role: "group", "aria-label": label }, [
    options.map(([value, text]) =>
      button(text, () => choose(value), { id: `show-${value}`, "aria-pressed": String(value === chosen) }),
    ),
  ]);

/**
 * A column whose head is pressed to sort by it.
 * @param {string | null} sorted how the table is sorted by it now, as `aria-sort` says it
 */
export const sortable = (column, key, sorted, press, title) => ({
  ...column,
  sorted,
  head: button([column.name, sorted && h("span", { "aria-hidden": "true" }, sorted === "ascending" ? " ▴" : " ▾")], press, {
    id: `sort-${key}`,
    title,
  }),
});

/** The pages of a table. @param {any[]} steps buttons, and where one is */
export const pager = (of, ...steps) => h("nav", { class: "pager", "aria-label": `Pages of the ${of}` }, steps);

/**
 * Name what is in the address and not understood here; else the answer would pass for the one that was asked for.
 * @param {URLSearchParams} query
 * @param {Record<string, (value: string) => boolean>} meanings of each name, whether a value has one
 */
export function leftOut(query, meanings) {
  const unknown = [...query].filter(
    ([name, value]) => value && !(Object.hasOwn(meanings, name) && meanings[name](value)),
  );
  if (!unknown.length) return null;
  const verbs = unknown.length === 1 ? "is unknown and was" : "are unknown and were";
  const named = unknown.map((pair) => pair.join("=")).join(", ");
  return h(
    "p",
    { class: "warn", role: "status" },
    `${many(unknown.length, "filter")} of the address ${verbs} left out: `,
    cut(named),
  );
}

/** A figure by itself; what `to` leads to, if anything. */
export const card = (name, figure, notes, { to, title } = {}) =>
  h(to ? "a" : "div", { class: "card", href: to, title }, [
    h("span", {}, name),
    h("strong", {}, figure),
    notes.map((note) => note && h("small", {}, note)),
  ]);

/** A pair of a list of facts; nothing where there is no value. */
export const fact = (name, value) =>
  value !== "" && value !== null && h("div", { class: "pair" }, h("dt", {}, name), h("dd", {}, value));

/** What a group is called. */
export function groupName(group, by) {
  if (group === null) return by === "model" || by === "agent" ? "(unattributed)" : "(none)";
  return by === "issue" ? `#${group}` : by === "project" ? lastPart(group) : String(group);
}

const lastPart = (path) => path.split(/[\\/]/).findLast(Boolean) ?? path;

/** A labelled control. */
export const field = (label, control) => h("label", { class: "field" }, h("span", {}, label), control);

/** A choice. @param {[string, string][]} options value and what people read */
export function choice(label, name, options, chosen) {
  const select = h(
    "select",
    { name },
    options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)),
  );
  return field(label, select);
}

/** The budget of a workflow and what is left of it; null without one. */
export function budget(of) {
  if (!of) return null;
  const left = nanousd(of.left_usd);
  const unknown = of.spent_usd === null;
  const nothing = of.percent === null;
  const [least, most] = of.at_least ? ["at least ", "at most "] : ["", ""];
  const rest =
    left < 0n ? `${least}${usd(-left)} over` : `${most || (of.state === "warned" ? "only " : "")}${usd(left)} left`;
  return h(
    "span",
    { class: "budget", "data-state": of.state },
    bar(nothing ? Number(of.state !== "ok") : of.percent / 100, { "data-state": of.state }),
    `${unknown ? "unknown " : nothing ? "" : `${least}${count(of.percent)} % `}of ${usd(of.budget_usd)}: ${rest}`,
  );
}

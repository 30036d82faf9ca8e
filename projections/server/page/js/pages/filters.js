// The filters of the table of workflows, as the address keeps them and as the API is asked.

import { h } from "../dom.js";
import { fillForm, steers } from "../form.js";
import { day, isDay, plusDays, startOf } from "../format.js";
import { choice, field, status } from "../parts.js";
import { here, link } from "../router.js";

const CONDITIONS = "As in costledger history --where: a name or a tag, =, and a value; * and ? stand for anything";

/** Rows on a page. */
export const PAGE = 50;
const STATUSES = ["running", "completed", "failed", "cancelled", "moved"];

const BASES = [
  ["", "any"],
  ["reported", "reported"],
  ["priced", "priced"],
  ["partial", "partial"],
  ["none", "no reading"],
];
const SORTS = ["last_activity", "updated_at", "start_time", "cost", "tokens", "duration", "issue_number", "adw_id"];

/** Which page is asked for, from 1. @param {URLSearchParams} query */
export const pageOf = (query) => Math.min(1e7, Math.max(1, Math.floor(Number(query.get("page"))) || 1));

/** How the table is sorted. @param {URLSearchParams} query */
export const sortOf = (query) => ({
  sort: SORTS.includes(query.get("sort")) ? query.get("sort") : "last_activity",
  order: query.get("order") === "asc" ? "asc" : "desc",
});

const isIssue = (text) => /^\d{1,15}$/.test(text ?? "");

/** The values that each name of an address may have. */
export const MEANINGS = {
  status: (value) => STATUSES.includes(value),
  issue: isIssue,
  template: () => true,
  project: () => true,
  tool: () => true,
  basis: (value) => BASES.some(([name]) => name === value),
  text: () => true,
  where: () => true, // the API says what is wrong with one
  since: isDay,
  until: isDay,
  sort: (value) => SORTS.includes(value),
  order: (value) => ["asc", "desc"].includes(value),
  page: (value) => /^[1-9]\d*$/.test(value),
};

/** What the API is asked for, from the address; what an address cannot mean is left out. */
export function asked(query) {
  const date = (name) => (isDay(query.get(name)) ? query.get(name) : null);
  const since = date("since"),
    until = date("until"),
    basis = query.get("basis");
  return {
    status: query.getAll("status").filter((name) => STATUSES.includes(name)),
    issue_number: isIssue(query.get("issue")) ? query.get("issue") : null,
    workflow_template: query.get("template"),
    project: query.get("project")?.slice(0, 500),
    tool: query.get("tool")?.slice(0, 100),
    basis: BASES.some(([name]) => name === basis) ? basis : null,
    text: query.get("text")?.slice(0, 200),
    where: query.getAll("where"),
    since: since && startOf(since),
    until: until && startOf(plusDays(until, 1)),
    ...sortOf(query),
    limit: PAGE,
    offset: (pageOf(query) - 1) * PAGE,
  };
}

/** The address with some of its state changed; a change but of the page goes back to the first. */
export function changed(changes) {
  const next = here().query;
  if (!("page" in changes)) next.delete("page");
  for (const [name, value] of Object.entries(changes)) {
    next.delete(name);
    for (const one of [value].flat()) if (one) next.append(name, one);
  }
  return link(["workflows"], next);
}

/** The form, made once. @param {URLSearchParams} query */
export function filters(query) {
  const boxes = STATUSES.map((name) =>
    h(
      "label",
      { class: "box" },
      h("input", { type: "checkbox", id: `f-${name}`, name: "status", value: name }),
      status(name),
    ),
  );
  const input = (name, properties) => h("input", { id: `f-${name}`, name, ...properties });
  const form = h(
    "form",
    {},
    h("fieldset", {}, h("legend", {}, "Status"), h("div", { class: "boxes" }, boxes)),
    field(
      "Text",
      input("text", { class: "long", type: "search", placeholder: "id, template, model, error", maxlength: 200 }),
    ),
    h("span", { class: "break" }),
    field("Issue", input("issue", { type: "number", min: 0, class: "short" })),
    field("Template", input("template", { class: "middle" })),
    choice("Basis", "basis", BASES, ""),
    field("Tool", input("tool", { class: "middle", placeholder: "codex", maxlength: 100 })),
    field("Project", input("project", { class: "middle", maxlength: 500 })),
    field("Where", input("where", { class: "middle", placeholder: "team=payments, branch=release/*", title: CONDITIONS })),
    field("Last activity from", input("since", { type: "date", max: day(new Date()) })),
    field("to", input("until", { type: "date" })),
    h("button", { type: "submit", hidden: true }, "Filter"), // what Enter presses
    h("a", { href: "#/workflows", class: "button", onclick: () => boxes[0].control.focus() }, "Clear"),
  );
  steers(form, () => {
    const given = new FormData(form);
    const unfinished = ["since", "until"].some((name) => given.get(name) && !isDay(given.get(name)));
    const where = given.get("where").split(",").map((one) => one.trim());
    if (unfinished) return null;
    return changed({ ...Object.fromEntries(given), status: given.getAll("status"), where });
  });
  const wide = matchMedia("(min-width: 701px)").matches;
  const element = h(
    "details",
    { id: "filters", class: "filters", open: wide || query.size > 0 },
    h("summary", {}, "Filter"),
    form,
  );
  fillFrom(element, query);
  return element;
}

/** Fill the form from the address. @param {HTMLElement} element @param {URLSearchParams} query */
export function fillFrom(element, query) {
  const get = (name) => query.get(name) ?? "";
  const date = (name) => (isDay(get(name)) ? get(name) : "");
  const texts = Object.fromEntries(["text", "issue", "template", "project", "tool", "basis"].map((name) => [name, get(name)]));
  fillForm(element.querySelector("form"), {
    ...texts,
    status: query.getAll("status"),
    where: query.getAll("where").join(", "),
    since: date("since"),
    until: date("until"),
  });
  element.querySelector(".button").hidden = query.size === 0;
}

// The filters of the table of workflows, as the address keeps them and as the API is asked.

import { h } from "../dom.js";
import { day, isDay, plusDays, startOf } from "../format.js";
import { choice, field, status } from "../parts.js";
import { go, link } from "../router.js";

/** Rows on a page. */
export const PAGE = 50;
const STATUSES = ["running", "completed", "failed", "cancelled"];

const BASES = [
  ["", "any"],
  ["reported", "reported"],
  ["priced", "priced"],
  ["partial", "partial"],
  ["none", "no reading"],
];
const SORTS = ["updated_at", "start_time", "cost", "tokens", "duration", "issue_number", "adw_id"];

/** Which page is asked for, from 1. @param {URLSearchParams} query */
export const pageOf = (query) => Math.min(1e7, Math.max(1, Math.floor(Number(query.get("page"))) || 1));

/** How the table is sorted. @param {URLSearchParams} query */
export const sortOf = (query) => ({
  sort: SORTS.includes(query.get("sort")) ? query.get("sort") : "updated_at",
  order: query.get("order") === "asc" ? "asc" : "desc",
});

const isIssue = (text) => /^\d{1,15}$/.test(text ?? "");

/** What each name of an address may say here. */
export const MEANINGS = {
  status: (value) => STATUSES.includes(value),
  issue: isIssue,
  template: () => true,
  basis: (value) => BASES.some(([name]) => name === value),
  text: () => true,
  since: isDay,
  until: isDay,
  sort: (value) => SORTS.includes(value),
  order: (value) => ["asc", "desc"].includes(value),
  page: (value) => /^[1-9]\d*$/.test(value),
};

/** How long nobody types before the text is looked for. */
const PAUSE_MS = 300;

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
    basis: BASES.some(([name]) => name === basis) ? basis : null,
    text: query.get("text")?.slice(0, 200),
    since: since && startOf(since),
    until: until && startOf(plusDays(until, 1)),
    ...sortOf(query),
    limit: PAGE,
    offset: (pageOf(query) - 1) * PAGE,
  };
}

/** The address with some of its state changed; a change but of the page goes back to the first. */
export function changed(query, changes) {
  const next = new URLSearchParams(query);
  if (!("page" in changes)) next.delete("page");
  for (const [name, value] of Object.entries(changes)) {
    next.delete(name);
    for (const one of [value].flat()) if (one) next.append(name, one);
  }
  return link(["workflows"], next);
}

/** The form; a change shows at once. @param {URLSearchParams} query */
export function filters(query) {
  const get = (name) => query.get(name) ?? "";
  const date = (name) => (isDay(query.get(name)) ? query.get(name) : "");
  let typing = 0;
  const type = ({ isComposing }) => {
    clearTimeout(typing);
    if (!isComposing) typing = setTimeout(() => form.isConnected && apply(), PAUSE_MS);
  };
  const apply = (event) => {
    event?.preventDefault();
    clearTimeout(typing);
    const told = new FormData(form);
    go(changed(query, { ...Object.fromEntries(told), status: told.getAll("status") }), { replace: true });
  };
  const boxes = STATUSES.map((name) =>
    h(
      "label",
      { class: "box" },
      h("input", {
        type: "checkbox",
        id: `f-${name}`,
        name: "status",
        value: name,
        checked: query.getAll("status").includes(name),
      }),
      status(name),
    ),
  );
  const input = (name, properties) => h("input", { id: `f-${name}`, name, value: get(name), ...properties });
  const form = h(
    "form",
    { onsubmit: apply, onchange: apply },
    h("fieldset", {}, h("legend", {}, "Status"), h("div", { class: "boxes" }, boxes)),
    field(
      "Text",
      input("text", {
        class: "long",
        type: "search",
        placeholder: "id, template, model, error",
        maxlength: 200,
        oninput: type,
      }),
    ),
    h("span", { class: "break" }),
    field("Issue", input("issue", { type: "number", min: 0, class: "short" })),
    field("Template", input("template", { class: "middle" })),
    choice("Basis", "basis", BASES, get("basis")),
    field("Last event from", input("since", { type: "date", value: date("since"), max: day(new Date()) })),
    field("to", input("until", { type: "date", value: date("until") })),
    h("button", { type: "submit", hidden: true }, "Filter"), // what Enter presses
    [...query.keys()].length ? h("a", { href: "#/workflows", class: "button" }, "Clear") : null,
  );
  const wide = matchMedia("(min-width: 701px)").matches;
  return h(
    "details",
    { id: "filters", class: "filters", open: wide || [...query.keys()].length > 0 },
    h("summary", {}, "Filter"),
    form,
  );
}

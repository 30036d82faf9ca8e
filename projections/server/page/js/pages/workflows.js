// Workflows: the table, filtered, sorted and paged by the server; its state is in the address.

import { api, address } from "../api.js";
import { count, csv, duration, honest, local, percent, ZONE } from "../format.js";
import { cellsOf, empty, fill, h, line, save, table } from "../dom.js";
import { calmly, live } from "../live.js";
import { cost, issue, renew, status, workflowName } from "../parts.js";
import { go } from "../router.js";
import { asked, changed, filters, PAGE, pageOf } from "./filters.js";

const COLUMNS = [
  { name: "Workflow", cell: (row) => workflowName(row.adw_id), sort: "adw_id" },
  { name: "Status", cell: (row) => status(row.status) },
  { name: "Cost", cell: cost, sort: "cost", figures: true },
  { name: "Basis", cell: (row) => row.cost_basis ?? "no reading" },
  { name: "Issue", cell: issue, sort: "issue_number", figures: true },
  { name: "Template", cell: (row) => row.workflow_template },
  { name: "Started", cell: (row) => local(row.start_time), sort: "start_time", when: true },
  { name: "Duration", cell: (row) => duration(row.duration_seconds), sort: "duration", figures: true },
  { name: "Tokens", cell: (row) => count(row.total_tokens), sort: "tokens", figures: true },
  { name: "Cache hits", cell: (row) => (row.total_tokens ? percent(row.cache_efficiency_percent) : ""), figures: true },
  { name: "Last event", cell: (row) => local(row.updated_at), sort: "updated_at", when: true },
];
const EXPORTED = [
  "adw_id",
  "status",
  "actual_cost_total",
  "cost_basis",
  "unpriced_events",
  "issue_number",
  "workflow_template",
  "project",
  "start_time",
  "end_time",
  "duration_seconds",
  "input_tokens",
  "cached_tokens",
  "cache_hit_tokens",
  "output_tokens",
  "total_tokens",
  "cache_efficiency_percent",
  "model_used",
  "updated_at",
];

/** @param {HTMLElement} place @param {import("../main.js").View} view */
export async function workflows(place, { query, signal }) {
  const results = h("div", { id: "results" });
  let lines = new Map(),
    rows = [];
  const load = async () => {
    const found = await api.workflows(asked(query), signal);
    rows = found.workflows;
    lines = new Map(
      rows.map((row) => [row.adw_id, line(COLUMNS, cellsOf(COLUMNS, row), { "data-workflow": row.adw_id })]),
    );
    const focused = document.activeElement?.id;
    fill(
      results,
      totals(found),
      shown(lines, query),
      pager(found.total_count, query),
      rows.length ? exports(() => rows, query) : null,
    );
    if (focused) document.getElementById(focused)?.focus();
  };

  const again = calmly(load, signal, 2000);
  live.addEventListener(
    "row",
    ({ detail: row }) => {
      const known = lines.get(row.adw_id);
      if (known) {
        cellsOf(COLUMNS, row).forEach((cell, at) => renew(known.children[at], cell));
        rows = rows.map((old) => (old.adw_id === row.adw_id ? row : old));
      }
      again(); // totals, order and who belongs here are the server's to say
    },
    { signal },
  );
  for (const name of ["again", "removed"]) live.addEventListener(name, again, { signal });

  const focused = document.activeElement?.id;
  const kept = place.querySelector("#filters");
  await load();
  if (kept) kept.replaceWith(filters(query));
  else fill(place, h("h1", {}, "Workflows"), filters(query));
  place.querySelector("#results")?.remove();
  place.append(results);
  if (focused) document.getElementById(focused)?.focus();
}

function totals({ total_count, analytics }) {
  const sum = honest({
    cost: analytics.total_cost,
    basis: analytics.at_least ? "partial" : "reported",
    unpriced: analytics.unpriced_events,
  });
  const states = Object.entries(analytics.by_status).map(([name, { count: many }]) => [
    " · ",
    status(name),
    ` ${count(many)}`,
  ]);
  return h(
    "p",
    { class: "totals", role: "status" },
    h("strong", {}, count(total_count)),
    total_count === 1 ? " workflow, " : " workflows, ",
    h("strong", { title: `${analytics.total_cost} USD` }, total_count ? sum : "$0.00"),
    `, ${count(analytics.total_tokens)} tokens`,
    states,
  );
}

function shown(lines, query) {
  if (!lines.size) {
    return [...query.keys()].length
      ? empty("No workflow matches. Clear the filters, or ask for less.")
      : empty(
          "No workflow has been recorded here yet. Import what your agents left behind:",
          "costledger import adw path/to/agents",
        );
  }
  const sort = query.get("sort") ?? "updated_at",
    order = query.get("order") ?? "desc";
  const columns = COLUMNS.map((column) => {
    if (!column.sort) return column;
    const is = column.sort === sort;
    const next = is && order === "desc" ? "asc" : "desc";
    const turn = () => go(changed(query, { sort: column.sort, order: next }), { replace: true });
    return {
      ...column,
      sorted: is ? (order === "desc" ? "descending" : "ascending") : null,
      head: h(
        "button",
        { type: "button", id: `sort-${column.sort}`, onclick: turn },
        column.name,
        is ? h("span", { "aria-hidden": "true" }, order === "desc" ? " ▾" : " ▴") : null,
      ),
    };
  });
  return table({ caption: `Workflows; times in ${ZONE}`, columns, rows: [...lines.values()] });
}

function pager(total, query) {
  const page = pageOf(query),
    pages = Math.max(1, Math.ceil(total / PAGE));
  if (pages === 1 && page === 1) return null;
  const step = (to, text, id) =>
    h(
      "button",
      {
        type: "button",
        id,
        disabled: to < 1 || to > pages,
        onclick: () => go(changed(query, { page: to > 1 ? String(to) : null })),
      },
      text,
    );
  return h(
    "nav",
    { class: "pager", "aria-label": "Pages of the table" },
    step(page - 1, "← Previous", "page-before"),
    h("span", {}, `Page ${count(page)} of ${count(pages)}`),
    step(page + 1, "Next →", "page-after"),
  );
}

function exports(rows, query) {
  const asCsv = () =>
    save("workflows.csv", "text/csv", csv([EXPORTED, ...rows().map((row) => EXPORTED.map((name) => row[name]))]));
  const asJson = () => save("workflows.json", "application/json", `${JSON.stringify(rows(), null, 2)}\n`);
  return h(
    "p",
    { class: "exports" },
    "These rows as ",
    h("button", { type: "button", onclick: asCsv }, "CSV"),
    h("button", { type: "button", onclick: asJson }, "JSON"),
    " · ",
    h("a", { href: address("api/workflow-history", asked(query)) }, "the same from the API"),
  );
}

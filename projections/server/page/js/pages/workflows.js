// Workflows: the table, filtered, sorted and paged by the server; its state is in the address.

import { exports } from "../actions.js";
import { api, address } from "../api.js";
import { button, cellsOf, cut, empty, fill, fromTop, h, line, part, table } from "../dom.js";
import { count, duration, honest, local, minute, nanousd, percent, ZONE } from "../format.js";
import { calmly, live, withHeard } from "../live.js";
import { about, cost, issue, leftOut, lessLoud, pager, project, renew, rowStatus, sortable, status, workflowName } from "../parts.js";
import { go } from "../router.js";
import { asked, changed, fillFrom, filters, MEANINGS, PAGE, pageOf, sortOf } from "./filters.js";

const moment = (of) => (row) => h("span", { title: local(row[of]) }, minute(row[of]));
/** Whether a field has another value than in an earlier row: a value that all rows share does not distinguish them. */
const differs = (of) => (row, _, rows) => row[of] && row[of] !== rows.find((each) => each[of])[of];
/** A column that is empty in all rows of a page is not shown, unless the table is sorted by it. */
const COLUMNS = [
  { name: "Workflow", cell: (row) => workflowName(row.adw_id), sort: "adw_id" },
  { name: "Status", cell: rowStatus },
  { name: "Cost", cell: cost, sort: "cost", figures: true },
  { name: "Basis", less: true, cell: (row) => row.cost_basis ?? h("span", { class: "muted" }, "no reading") },
  { name: "Project", cell: project, named: true, optional: (row) => row.project },
  { name: "Issue", cell: issue, sort: "issue_number", figures: true, optional: issue },
  {
    name: "Template",
    cell: (row) => cut(row.workflow_template),
    named: true,
    optional: (row) => row.workflow_template,
  },
  { name: "Started", less: true, cell: moment("start_time"), sort: "start_time", when: true, optional: (row) => row.start_time },
  {
    name: "Duration", less: true,
    cell: (row) => duration(row.duration_seconds),
    sort: "duration",
    figures: true,
    optional: (row) => row.duration_seconds !== null,
  },
  {
    name: "Tokens", less: true,
    cell: (row) => about(row.total_tokens),
    sort: "tokens",
    figures: true,
    optional: (row) => row.total_tokens,
  },
  {
    name: "Cache hits", less: true,
    cell: (row) => (row.total_tokens ? percent(row.cache_efficiency_percent) : ""),
    figures: true,
    optional: (row) => row.total_tokens,
  },
  { name: "Tool", less: true, cell: (row) => cut(row.tool), named: true, optional: differs("tool") },
  { name: "Last activity", cell: moment("last_activity"), sort: "last_activity", when: true },
];
const EXPORTED = (
  "adw_id status idle actual_cost_total cost_basis unpriced_events issue_number workflow_template project branch " +
  "tool start_time end_time duration_seconds input_tokens cached_tokens cache_hit_tokens output_tokens " +
  "total_tokens cache_efficiency_percent model_used last_activity updated_at"
).split(" ");

/** Whether the viewer has just turned the page of the table. */
let turned = false;

/** @param {HTMLElement} main @param {import("../main.js").View} view */
export async function workflows(main, { query, signal, moved }) {
  const previous = moved ? null : main.querySelector("#results");
  const top = previous && turned;
  turned = false;
  const results = previous ?? h("div", { id: "results", class: "part" });
  let lines = new Map(),
    rows = [],
    columns = COLUMNS;
  const { load } = part(
    async () => {
      const found = await withHeard(api.workflows(asked(query), signal));
      rows = found.workflows;
      columns = COLUMNS.filter(
        ({ optional, sort }) => !optional || (sort && sort === sortOf(query).sort) || rows.some(optional),
      );
      lines = new Map(
        rows.map((row) => [row.adw_id, line(columns, cellsOf(columns, row), { "data-workflow": row.adw_id })]),
      );
      return [
        leftOut(query, MEANINGS),
        totals(found),
        shown(columns, lines, query, found.total_count),
        pages(found.total_count, query),
        rows.length ? saved(found.total_count, query, signal) : null,
      ];
    },
    signal,
    results,
  );

  const again = calmly(load, signal, 2000);
  live.addEventListener(
    "row",
    ({ detail }) => {
      const row = { ...detail, application: rows.find((old) => old.adw_id === detail.adw_id)?.application ?? null };
      const present = lines.get(row.adw_id);
      if (present) {
        cellsOf(columns, row).forEach((cell, at) => renew(present.children[at], cell));
        rows = rows.map((old) => (old.adw_id === row.adw_id ? row : old));
      }
      again(); // the server decides totals, order and which rows belong here
    },
    { signal },
  );
  for (const name of ["again", "removed"]) live.addEventListener(name, again, { signal });

  if (previous) fillFrom(main.querySelector("#filters"), query);
  else fill(main, h("h1", {}, "Workflows"), filters(query), results);
  await load();
  if (top && !signal.aborted) fromTop(results);
}

function totals({ workflows, total_count, analytics }) {
  const nothingRead = nanousd(analytics.total_cost_usd) === 0n && workflows.every((row) => row.cost_basis === null);
  const sum = honest({
    cost: analytics.total_cost_usd,
    basis: nothingRead ? null : analytics.at_least ? "partial" : "reported",
    unpriced: analytics.unpriced_events,
  });
  return h(
    "p",
    { class: "totals", role: "status" },
    h("span", {}, h("strong", {}, count(total_count)), total_count === 1 ? " workflow" : " workflows"),
    h("strong", { class: "cost", title: `${analytics.total_cost_usd} USD` }, total_count ? lessLoud(sum) : "$0.00"),
    h("span", {}, about(analytics.total_tokens), " tokens"),
    Object.entries(analytics.by_status).map(([name, { count: many }]) =>
      h("a", { href: changed({ status: name }) }, status(name), ` ${count(many)}`),
    ),
  );
}

function shown(all, lines, query, total) {
  if (!lines.size) {
    if (total) return empty("This page is after the last one.");
    return [...query.keys()].length
      ? empty("No workflow matches. Clear the filters, or ask for less.")
      : empty(
          "No workflow has been recorded here yet. Import the logs of your agents:",
          "costledger import adw path/to/agents",
        );
  }
  const { sort, order } = sortOf(query);
  const columns = all.map((column) => {
    if (!column.sort) return column;
    const is = column.sort === sort;
    const next = is && order === "desc" ? "asc" : "desc";
    const turn = () => go(changed({ sort: column.sort, order: next }));
    return sortable(column, column.sort, is ? `${order}ending` : null, turn);
  });
  return table({ caption: `Workflows; times in ${ZONE}`, columns, rows: [...lines.values()] });
}

function pages(total, query) {
  const last = Math.max(1, Math.ceil(total / PAGE)),
    page = Math.min(pageOf(query), last + 1);
  if (last === 1 && page === 1) return null;
  const turn = (to) => () => {
    turned = true;
    go(changed({ page: to > 1 ? String(to) : null }));
  };
  const step = (to, text, id) => button(text, turn(to), { id, disabled: to < 1 || to > last });
  return pager(
    "table",
    step(page - 1, "← Previous", "page-before"),
    h("span", {}, `Page ${count(page)} of ${count(last)}`),
    step(page + 1, "Next →", "page-after"),
  );
}

/** All that match, of all pages, as a file. */
const saved = (total, query, signal) =>
  exports(
    total === 1 ? "This row as " : `All ${count(total)} rows as `,
    "workflows",
    () => api.allWorkflows(asked(query), signal),
    (rows) => [EXPORTED, ...rows.map((row) => EXPORTED.map((name) => row[name]))],
    " · ",
    h("a", { href: address("api/workflow-history", asked(query)) }, "this page from the API"),
  );

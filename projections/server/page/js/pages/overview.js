// Overview: what was spent lately, what runs now, what may be wrong.

import { api } from "../api.js";
import { legend, stackedBars } from "../charts.js";
import { cellsOf, empty, fill, h, line, section, table } from "../dom.js";
import { count, day, duration, local, messages, plusDays, usd, ZONE } from "../format.js";
import { calmly, live } from "../live.js";
import { amount, budget, cost, issue, renew, workflowName } from "../parts.js";
import { link } from "../router.js";

const RANGES = [
  ["Today", 1],
  ["Last 7 days", 7],
  ["Last 30 days", 30],
];
const RUNNING_SHOWN = 15;
const DOUBTS_SHOWN = 8;
const COLUMNS = [
  { name: "Workflow", cell: (row) => workflowName(row.adw_id) },
  { name: "Cost so far", cell: cost, figures: true },
  { name: "Issue", cell: issue, optional: issue },
  { name: "Template", cell: (row) => row.workflow_template, optional: (row) => row.workflow_template },
  { name: "Budget", cell: (row) => budget(row.budget), optional: (row) => row.budget },
  {
    name: "Running for",
    cell: (row) => row.start_time && duration((Date.now() - Date.parse(row.start_time)) / 1000),
    optional: (row) => row.start_time,
  },
  { name: "Last event", cell: (row) => local(row.updated_at), when: true },
];

/** @param {HTMLElement} place @param {import("../main.js").View} view */
export async function overview(place, { signal }) {
  const hint = begin(),
    spent = h("div", {}),
    running = h("div", {}),
    doubtful = h("div", {});
  const lines = new Map();
  let columns = COLUMNS;

  const loadSpent = async () => fill(spent, await spentLately(signal));
  const loadRunning = async () => {
    const found = await api.workflows({ status: "running", sort: "cost", limit: RUNNING_SHOWN }, signal);
    columns = COLUMNS.filter(({ optional }) => !optional || found.workflows.some(optional));
    lines.clear();
    for (const row of found.workflows)
      lines.set(row.adw_id, line(columns, cellsOf(columns, row), { "data-workflow": row.adw_id }));
    fill(running, runningTable(columns, lines, found));
  };
  const loadDoubts = async () => fill(doubtful, await doubts(signal));

  const again = {
    spent: calmly(loadSpent, signal),
    running: calmly(loadRunning, signal),
    doubts: calmly(loadDoubts, signal, 10_000),
  };
  live.addEventListener(
    "row",
    ({ detail: row }) => {
      hint.remove();
      const known = lines.get(row.adw_id);
      if (known && row.status === "running")
        cellsOf(columns, row).forEach((cell, at) => renew(known.children[at], cell));
      else if (known || row.status === "running") again.running();
      again.spent();
      again.doubts();
    },
    { signal },
  );
  const all = () => Object.values(again).forEach((load) => load());
  live.addEventListener("again", all, { signal });
  live.addEventListener("removed", all, { signal });

  const [{ total_count: any }] = await Promise.all([
    api.workflows({ limit: 1 }, signal),
    loadSpent(),
    loadRunning(),
    loadDoubts(),
  ]);
  fill(
    place,
    h("h1", {}, "Overview"),
    any ? null : hint,
    spent,
    section("Running now", running),
    section("What may be wrong", doubtful),
  );
}

const begin = () =>
  empty(
    "No workflow has been recorded here yet. Import what your agents left behind, or see the story on shipped examples:",
    "costledger import adw path/to/agents",
    "costledger demo",
  );

async function spentLately(signal) {
  const today = day(new Date());
  const answers = await Promise.all(
    RANGES.map(([, days]) =>
      api.spend(
        {
          period: "day",
          since: plusDays(today, 1 - days),
          until: today,
          timezone: ZONE,
          by: days === 30 ? "model" : null,
        },
        signal,
      ),
    ),
  );
  const cards = RANGES.map(([name, days], at) => {
    const { total, unpriced } = answers[at],
      missing = messages(unpriced);
    return h(
      "a",
      { class: "card", href: link(["spend"], { since: plusDays(today, 1 - days), until: today }) },
      h("span", {}, name),
      h("strong", { title: `${total.cost} USD` }, missing > 0 && h("small", {}, "at least "), usd(total.cost)),
      h("small", {}, missing > 0 && `${count(missing)} unpriced · `, `${count(total.total_tokens)} tokens`),
    );
  });
  const month = answers.at(-1);
  return [
    h("div", { class: "cards" }, cards),
    month.lines.length
      ? [
          stackedBars(month, { since: plusDays(today, -29), until: today, height: 130 }),
          legend(month.groups, (model) => model ?? "(unattributed)"),
        ]
      : null,
  ];
}

function runningTable(columns, lines, { total_count, analytics }) {
  if (!lines.size) return h("p", { class: "muted" }, "Nothing runs.");
  const more =
    total_count > lines.size &&
    h("a", { href: link(["workflows"], { status: "running" }) }, `All ${count(total_count)} running workflows`);
  return [
    table({ caption: "Running workflows", columns, rows: [...lines.values()] }),
    more && h("p", {}, "In all ", amount(analytics.total_cost), ". ", more),
  ];
}

async function doubts(signal) {
  const [{ doubts: rows }, health] = await Promise.all([api.stale(signal), api.health(signal)]);
  const found = [
    ...ofServer(health),
    ...rows.map((doubt) => [workflowName(doubt.adw_id), doubt.why, h("code", {}, doubt.next_step)]),
  ];
  if (!found.length)
    return h(
      "p",
      { class: "muted" },
      "Nothing is known to be wrong. ",
      h("a", { href: "#/health" }, "Prove the ledgers"),
      " to be sure.",
    );
  const columns = [{ name: "Where" }, { name: "What" }, { name: "Next step" }];
  const rest = found.slice(DOUBTS_SHOWN);
  return [
    table({ caption: "What may be wrong", columns, rows: found.slice(0, DOUBTS_SHOWN) }),
    rest.length
      ? h(
          "details",
          {},
          h("summary", {}, `${count(rest.length)} more`),
          table({ caption: "More of it", columns, rows: rest }),
        )
      : null,
  ];
}

/** What is wrong with the server or whole ledgers; the health page has it all. */
function ofServer(health) {
  const look = h("a", { href: "#/health" }, "see Health");
  const told = [];
  const say = (what) => told.push([h("a", { href: "#/health" }, "Health"), what, look.cloneNode(true)]);
  if (!health.ready) say("rows do not follow their ledgers");
  for (const [id, what] of Object.entries(health.problems)) told.push([workflowName(id), what, look.cloneNode(true)]);
  if (health.misplaced) say(health.misplaced);
  if (health.verification?.findings_count)
    say(`${count(health.verification.findings_count)} findings of the last verification`);
  if (health.beside.fenced.count) say(`${count(health.beside.fenced.count)} fenced ledgers take no events`);
  const unpriced = Object.keys(health.unpriced);
  if (unpriced.length) say(`without a price, so costs are at least what is shown: ${unpriced.join(", ")}`);
  const dead = health.webhooks.reduce((sum, endpoint) => sum + endpoint.dead, 0);
  if (dead) say(`${count(dead)} webhook messages were given up`);
  return told;
}

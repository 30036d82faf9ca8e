// Overview: what was spent lately, what runs now, what may be wrong.

import { api } from "../api.js";
import { stackedBars } from "../charts.js";
import { empty, fill, h, line, section, table } from "../dom.js";
import { count, day, duration, local, plusDays, sumCost, ZONE } from "../format.js";
import { calmly, live } from "../live.js";
import { amount, budget, cost, renew, workflowName } from "../parts.js";
import { link } from "../router.js";

const RANGES = [["Today", 1], ["Last 7 days", 7], ["Last 30 days", 30]];
const RUNNING_MAX = 100;
const DOUBTS_SHOWN = 8;
const COLUMNS = [
  { name: "Workflow" }, { name: "Cost so far", figures: true }, { name: "Issue" }, { name: "Template" },
  { name: "Budget" }, { name: "Running for" }, { name: "Last event" },
];

/** @param {HTMLElement} place @param {import("../main.js").View} view */
export async function overview(place, { signal }) {
  const spent = h("div", {}), running = h("div", {}), doubtful = h("div", {});
  const lines = new Map();

  const loadSpent = async () => fill(spent, await spentLately(signal));
  const loadRunning = async () => {
    const found = await api.workflows({ status: "running", sort: "cost", limit: RUNNING_MAX }, signal);
    lines.clear();
    for (const row of found.workflows) lines.set(row.adw_id, runningLine(row));
    fill(running, runningTable(lines, found));
  };
  const loadDoubts = async () => fill(doubtful, await doubts(signal));

  const { total_count: any } = await api.workflows({ limit: 1 }, signal);
  await Promise.all([loadSpent(), loadRunning(), loadDoubts()]);
  fill(place, h("h1", {}, "Overview"), any ? null : begin(), spent, section("Running now", running), section("What may be wrong", doubtful));

  const again = { spent: calmly(loadSpent, signal), running: calmly(loadRunning, signal), doubts: calmly(loadDoubts, signal, 10_000) };
  live.addEventListener("row", ({ detail: row }) => {
    const known = lines.get(row.adw_id);
    if (known && row.status === "running") cells(row).forEach((cell, at) => renew(known.children[at], cell));
    else if (known || row.status === "running") again.running();
    again.spent();
    again.doubts();
  }, { signal });
  const all = () => Object.values(again).forEach((load) => load());
  live.addEventListener("again", all, { signal });
  live.addEventListener("removed", all, { signal });
}

const begin = () => empty("No workflow has been recorded here yet. Import what your agents left behind, or see the story on shipped examples:",
  "costledger import adw path/to/agents", "costledger demo");

async function spentLately(signal) {
  const today = day(new Date());
  const answers = await Promise.all(RANGES.map(([, days]) =>
    api.spend({ period: "day", since: plusDays(today, 1 - days), until: today, timezone: ZONE, by: days === 30 ? "model" : null }, signal)));
  const cards = RANGES.map(([name, days], at) => {
    const { total, unpriced } = answers[at];
    return h("a", { class: "card", href: link(["spend"], { since: plusDays(today, 1 - days), until: today }) },
      h("span", {}, name), h("strong", { title: `${total.cost} USD` }, sumCost(total.cost, unpriced)), h("small", {}, `${count(total.total_tokens)} tokens`));
  });
  const month = answers.at(-1);
  return [h("div", { class: "cards" }, cards),
    month.lines.length ? stackedBars(month, { since: plusDays(today, -29), until: today, height: 120 }) : null];
}

const cells = (row) => [
  workflowName(row.adw_id), cost(row), row.issue_number === null ? "" : `#${row.issue_number}`, row.workflow_template ?? "",
  budget(row.budget) ?? "", duration(row.start_time && (Date.now() - Date.parse(row.start_time)) / 1000), local(row.updated_at),
].map((cell) => (cell instanceof Node ? cell : document.createTextNode(cell)));

const runningLine = (row) => line(COLUMNS, cells(row), { "data-workflow": row.adw_id });

function runningTable(lines, { total_count, analytics }) {
  if (!lines.size) return h("p", { class: "muted" }, "Nothing runs.");
  const more = total_count > lines.size && h("p", {}, h("a", { href: link(["workflows"], { status: "running" }) }, `All ${count(total_count)} running workflows`));
  return [table({ caption: "Running workflows", columns: COLUMNS, rows: [...lines.values()] }),
    more && h("p", {}, "In all ", amount(analytics.total_cost), "."), more];
}

async function doubts(signal) {
  const [{ doubts: rows }, health] = await Promise.all([api.stale(signal), api.health(signal)]);
  const found = [...ofServer(health), ...rows.map((doubt) => [workflowName(doubt.adw_id), doubt.why, h("code", {}, doubt.next_step)])];
  if (!found.length) return h("p", { class: "muted" }, "Nothing is known to be wrong. ", h("a", { href: "#/health" }, "Prove the ledgers"), " to be sure.");
  const columns = [{ name: "Where" }, { name: "What" }, { name: "Next step" }];
  const rest = found.slice(DOUBTS_SHOWN);
  return [table({ caption: "What may be wrong", columns, rows: found.slice(0, DOUBTS_SHOWN) }),
    rest.length ? h("details", {}, h("summary", {}, `${count(rest.length)} more`), table({ caption: "More of it", columns, rows: rest })) : null];
}

/** What is wrong with the server or whole ledgers; the health page has it all. */
function ofServer(health) {
  const look = h("a", { href: "#/health" }, "see Health");
  const told = [];
  const say = (what) => told.push([h("a", { href: "#/health" }, "Health"), what, look.cloneNode(true)]);
  if (!health.ready) say("rows do not follow their ledgers");
  for (const [id, what] of Object.entries(health.problems)) told.push([workflowName(id), what, look.cloneNode(true)]);
  if (health.misplaced) say(health.misplaced);
  if (health.verification?.findings_count) say(`${count(health.verification.findings_count)} findings of the last verification`);
  if (health.beside?.fenced.count) say(`${count(health.beside.fenced.count)} fenced ledgers take no events`);
  const dead = (health.webhooks ?? []).reduce((sum, endpoint) => sum + endpoint.dead, 0);
  if (dead) say(`${count(dead)} webhook messages were given up`);
  return told;
}

// Overview: what was spent lately and what it comes to, what runs now, what needs attention.

import { api } from "../api.js";
import { stackedBars } from "../bars.js";
import { cellsOf, cut, empty, fill, h, line, part, says, section, table } from "../dom.js";
import { count, day, isActive, local, many, messages, minute, nanousd, plusDays, sumOf, wire, ZONE } from "../format.js";
import { calmly, live, withHeard } from "../live.js";
import { about, activeFor, budget, card, cost, issue, leftOut, project, renew, sum, toggle, workflowName } from "../parts.js";
import { spansOf } from "../periods.js";
import { go, link } from "../router.js";
import { findings } from "./attention.js";
import { budgets, burning, dearest, thisMonth } from "./decisions.js";

const RANGES = [
  ["Today", 1],
  ["Last 7 days", 7],
  ["Last 30 days", 30],
];
/** The days that the chart, ended workflows over their budget and the most expensive are of. */
const SPANS = ["today", "week", "30-days", "90-days", "month", "last-month"];
const MEANINGS = { span: (value) => SPANS.includes(value) };
const RUNNING_SHOWN = 15;
const LONG_MS = 24 * 3_600_000;
const COLUMNS = [
  { name: "Workflow", cell: (row) => workflowName(row.adw_id) },
  { name: "Project", cell: project, optional: (row) => row.project, named: true },
  { name: "Cost so far", cell: cost, figures: true },
  { name: "Budget", cell: (row) => budget(row.budget), optional: (row) => row.budget },
  { name: "Issue", cell: issue, optional: issue, figures: true },
  {
    name: "Template",
    less: true,
    cell: (row) => cut(row.workflow_template),
    optional: (row) => row.workflow_template,
    named: true,
  },
  { name: "Active for", cell: activeFor, optional: (row) => row.start_time, figures: true },
  {
    name: "Last activity",
    less: true,
    cell: (row) => h("span", { title: local(row.last_activity) }, minute(row.last_activity)),
    when: true,
  },
];

/** @param {HTMLElement} main @param {import("../main.js").View} view */
export async function overview(main, { query, signal, scope }) {
  const hint = h("div", {});
  const span = SPANS.includes(query.get("span")) ? query.get("span") : "30-days";
  const days = () => {
    const [name, since, until] = spansOf(day(new Date()))[span];
    return { name, since, until };
  };
  const lines = new Map();
  let columns = COLUMNS;

  const spent = part(async () => spentLately(await lately(signal)), signal);
  const running = part(async () => {
    const found = await withHeard(api.workflows({ status: "running", sort: "last_activity", limit: RUNNING_SHOWN }, signal));
    columns = COLUMNS.filter(({ optional }) => !optional || found.workflows.some(optional));
    lines.clear();
    for (const row of found.workflows.filter(isActive))
      lines.set(row.adw_id, line(columns, cellsOf(columns, row), { "data-workflow": row.adw_id }));
    if (!lines.size && !(await api.workflows({ limit: 1 }, signal)).total_count) fill(hint, begin());
    return runningTable(columns, lines, found);
  }, signal);
  const daily = part(() => byDay(days(), signal), signal);
  const limits = part(() => budgets(days(), signal), signal);
  const most = part(() => dearest(days(), signal), signal);
  const attention = part(() => findings(signal, scope, () => attention.load()), signal);

  const again = {
    spent: calmly(spent.load, signal),
    running: calmly(running.load, signal),
    daily: calmly(daily.load, signal),
    limits: calmly(limits.load, signal, 3000),
    most: calmly(most.load, signal, 10_000),
    attention: calmly(attention.load, signal, 10_000),
  };
  live.addEventListener(
    "row",
    ({ detail: row }) => {
      hint.replaceChildren();
      const present = lines.get(row.adw_id);
      if (present && isActive(row))
        cellsOf(columns, row).forEach((cell, at) => renew(present.children[at], cell));
      if (present || row.status === "running") again.running();
      for (const name of ["spent", "daily", "limits", "most", "attention"]) again[name]();
    },
    { signal },
  );
  const all = () => Object.values(again).forEach((load) => load());
  live.addEventListener("again", all, { signal });
  live.addEventListener("removed", all, { signal });

  fill(
    main,
    h("h1", {}, "Overview"),
    leftOut(query, MEANINGS),
    hint,
    spent.element,
    toggle("Days", Object.entries(spansOf(day(new Date()))).filter(([key]) => SPANS.includes(key)).map(([key, [name]]) => [key, name]), span, choose),
    daily.element,
    limits.element,
    section("Running now", running.element),
    section("Needs attention", attention.element),
    most.element,
  );
  await Promise.all([spent, daily, running, limits, most, attention].map(({ load }) => load()));
}

/** Show other days; Back undoes it. */
function choose(span) {
  go(link([], { span }));
  setTimeout(() => document.getElementById(`show-${span}`)?.focus());
}

const begin = () =>
  empty(
    "No workflow has been recorded here yet. Import the logs of your agents, or run the demo on shipped examples:",
    "costledger import adw path/to/agents",
    "costledger demo",
  );

/** What was spent in each of the ranges. */
async function lately(signal) {
  const today = day(new Date());
  const asked = ([, days]) => ({
    period: "day",
    since: plusDays(today, 1 - days),
    until: today,
    timezone: ZONE,
  });
  const spends = RANGES.map((range) => api.spend(asked(range), signal));
  const [forecast, ...answers] = await Promise.all([api.forecast({ timezone: ZONE }, signal), ...spends]);
  return { today, forecast, answers };
}

function spentLately({ today, forecast, answers }) {
  const month = answers.at(-1);
  const of = (from, to) => {
    const [since, until] = [plusDays(today, -from), plusDays(today, -to)];
    return sum(sumOf(month.lines.filter(({ period }) => since <= period && period <= until)));
  };
  const notes = [
    ["yesterday ", of(1, 1)],
    ["the 7 days before ", of(13, 7)],
    [sum({ ...month.total, cost_usd: wire(nanousd(month.total.cost_usd) / 30n) }), " a day"],
  ];
  const cards = RANGES.map(([name, days], at) => {
    const { total, unpriced } = answers[at];
    const missing = messages(unpriced);
    const tokens = [about(total.total_tokens), " tokens", missing > 0 && ` · ${many(missing, "message")} unpriced`];
    return card(name, sum(total), [notes[at], tokens], { to: link(["spend"], { since: plusDays(today, 1 - days), until: today }) });
  });
  return h("div", { class: "cards" }, cards, thisMonth(forecast, today), burning(forecast));
}

async function byDay({ since, until }, signal) {
  const spend = await api.spend({ since, until, period: "day", by: "model", timezone: ZONE }, signal);
  return [
    h("h2", {}, "Each day, by model"),
    spend.lines.length
      ? stackedBars(spend, {
          since,
          until,
          height: 200,
          name: (model) => model ?? "(unattributed)",
          open: (day) => go(link(["spend"], { since: day, until: day, by: "workflow" })),
          drag: (since, until) => go(link(["spend"], { since, until })),
        })
      : says("quietly", "Nothing was spent in these days."),
  ];
}

function runningTable(columns, lines, { workflows: rows, total_count, analytics }) {
  const rest =
    total_count > lines.size &&
    h("a", { href: link(["workflows"], { status: "running" }) }, `All ${count(total_count)} open workflows`);
  const idle = rows.some((row) => row.idle) && total_count - lines.size; // the latest come first, so the others are idle
  return [
    lines.size
      ? table({ caption: "Running workflows, the latest activity first", columns, rows: [...lines.values()] })
      : says("quietly", "Nothing runs."),
    rest && h("p", {}, rest, idle && `, ${count(idle)} of them idle`, nanousd(analytics.total_cost_usd) > 0n && [": ", sum(asSum(analytics))], "."),
    rows.some((row) => row.idle || long(row)) && howToEnd(),
  ];
}

const asSum = ({ total_cost_usd: cost_usd, at_least, unpriced_events }) => ({ cost_usd, at_least, unpriced_events });

/** What began so long ago has probably ended without a record, as the sessions of old transcripts have. */
const long = (row) => Date.now() - Date.parse(row.start_time ?? row.updated_at) > LONG_MS;

const howToEnd = () =>
  says(
    "note",
    "A workflow runs until its end is recorded: `costledger complete ID`; for all that a source holds, " +
      "`costledger import KIND --status completed`.",
  );

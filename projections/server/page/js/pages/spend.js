// Spend over time, in this browser's zone, split by what is asked for.

import { api } from "../api.js";
import { SERIES, seriesOf, stackedBars, swatch } from "../charts.js";
import { empty, fill, h, save, section, table } from "../dom.js";
import { count, csv, day, many, nanousd, plusDays, sumCost, ZONE } from "../format.js";
import { calmly, live } from "../live.js";
import { amount, choice, field, share } from "../parts.js";
import { go, link } from "../router.js";

const BY = ["model", "agent", "template", "issue", "project"];
const PERIODS = ["day", "week", "month"];
const RANGES = [
  ["7 days", 7],
  ["30 days", 30],
  ["90 days", 90],
  ["a year", 365],
];

/** @param {HTMLElement} place @param {import("../main.js").View} view */
export async function spend(place, { query, signal }) {
  const today = day(new Date());
  const valid = (name, otherwise) => (/^\d{4}-\d\d-\d\d$/.test(query.get(name) ?? "") ? query.get(name) : otherwise);
  const of = {
    by: BY.includes(query.get("by")) ? query.get("by") : "model",
    period: PERIODS.includes(query.get("period")) ? query.get("period") : "day",
    since: valid("since", plusDays(today, -29)),
    until: valid("until", today),
  };
  const results = h("div", { id: "results" });
  const load = async () => fill(results, shown(await api.spend({ ...of, timezone: ZONE }, signal), of));
  const again = calmly(load, signal, 3000);
  for (const name of ["row", "again", "removed"]) live.addEventListener(name, again, { signal });

  await load();
  const focused = document.activeElement?.id;
  fill(place, h("h1", {}, "Spend"), controls(of, today), results);
  if (focused) document.getElementById(focused)?.focus();
}

function controls(of, today) {
  const to = (changes) => link(["spend"], { ...of, ...changes });
  const apply = (event) => {
    event.preventDefault();
    go(to(Object.fromEntries(new FormData(form))), { replace: true });
  };
  const ranges = RANGES.map(([name, days]) => {
    const since = plusDays(today, 1 - days),
      chosen = of.since === since && of.until === today;
    return h(
      "button",
      {
        type: "button",
        id: `last-${days}`,
        "aria-pressed": String(chosen),
        onclick: () => go(to({ since, until: today }), { replace: true }),
      },
      name,
    );
  });
  const date = (name) => h("input", { type: "date", id: `f-${name}`, name, value: of[name], required: true });
  const form = h(
    "form",
    { class: "filters", onsubmit: apply, onchange: apply },
    choice(
      "Split by",
      "by",
      BY.map((name) => [name, name]),
      of.by,
    ),
    choice(
      "For each",
      "period",
      PERIODS.map((name) => [name, name]),
      of.period,
    ),
    h(
      "div",
      { class: "field", role: "group", "aria-label": "The last" },
      h("span", {}, "The last"),
      h("span", { class: "ranges" }, ranges),
    ),
    field("From", date("since")),
    field("to", date("until")),
  );
  return form;
}

const named = (group, by) => (group === null ? "(unattributed)" : by === "issue" ? `#${group}` : String(group));

function shown(spend, of) {
  const zone = h(
    "p",
    { class: "muted" },
    `Days of ${ZONE}, this browser's zone. Each cost falls on the day its event was observed.`,
  );
  if (!spend.lines.length)
    return [
      empty(
        "Nothing was spent in this time. Choose a longer one, or import what your agents left behind:",
        "costledger import adw path/to/agents",
      ),
      zone,
    ];
  const total = h(
    "p",
    { class: "totals", role: "status" },
    h("strong", { title: `${spend.total.cost} USD` }, sumCost(spend.total.cost, spend.unpriced)),
    `, ${count(spend.total.total_tokens)} tokens, ${of.since} to ${of.until}`,
  );
  const missing = Object.entries(spend.unpriced).map(([model, { events, tokens }]) =>
    h(
      "li",
      {},
      `unpriced: ${model}, ${many(events, "message")}, ${count(tokens)} tokens; `,
      h("code", {}, `costledger prices -- ${model}`),
    ),
  );
  return [
    total,
    zone,
    stackedBars(spend, of),
    groups(spend, of.by),
    missing.length ? h("ul", { class: "notes" }, missing) : null,
    periods(spend, of),
    exports(spend, of),
  ];
}

/** The groups with their colours: legend and figures in one. */
function groups(spend, by) {
  const series = seriesOf(spend.groups);
  const total = Number(nanousd(spend.total.cost)) || 1;
  return section(
    `By ${by}`,
    table({
      caption: `Spend by ${by}`,
      columns: [
        { name: by[0].toUpperCase() + by.slice(1) },
        { name: "Cost", figures: true },
        { name: "Share", figures: true },
        { name: "Tokens", figures: true },
        { name: "Output", figures: true },
      ],
      rows: spend.groups.map((group) => {
        const part = Number(nanousd(group.cost)) / total;
        const unpriced = by === "model" && spend.unpriced[group.group] && nanousd(group.cost) === 0n;
        return [
          [swatch(series(group.group)), named(group.group, by)],
          unpriced ? "unpriced" : amount(group.cost),
          share(part),
          count(group.total_tokens),
          count(group.output_tokens),
        ];
      }),
      foot: ["Total", amount(spend.total.cost), "", count(spend.total.total_tokens), count(spend.total.output_tokens)],
    }),
    spend.groups.length > SERIES ? h("p", { class: "muted" }, "The rest share the last colour.") : null,
  );
}

function periods(spend, of) {
  const sums = new Map();
  for (const line of spend.lines) {
    const sum = sums.get(line.period) ?? { nano: 0n, tokens: 0, models: new Set() };
    sum.nano += nanousd(line.cost);
    sum.tokens += line.total_tokens;
    line.models.forEach((model) => sum.models.add(model));
    sums.set(line.period, sum);
  }
  const rows = [...sums]
    .sort(([a], [b]) => (a < b ? 1 : -1))
    .map(([period, { nano, tokens, models }]) => [period, amount(nano), count(tokens), [...models].join(", ")]);
  return section(
    `By ${of.period}`,
    table({
      caption: `Spend by ${of.period}, the newest first`,
      columns: [
        { name: of.period[0].toUpperCase() + of.period.slice(1) },
        { name: "Cost", figures: true },
        { name: "Tokens", figures: true },
        { name: "Models" },
      ],
      rows,
    }),
  );
}

function exports(spend, of) {
  const columns = [
    "period",
    "group",
    "cost",
    "input_tokens",
    "cache_write_tokens",
    "cache_read_tokens",
    "output_tokens",
    "total_tokens",
  ];
  const asCsv = () =>
    save(
      "spend.csv",
      "text/csv",
      csv([[of.period, of.by, ...columns.slice(2)], ...spend.lines.map((line) => columns.map((name) => line[name]))]),
    );
  const asJson = () => save("spend.json", "application/json", `${JSON.stringify(spend, null, 2)}\n`);
  return h(
    "p",
    { class: "exports" },
    "This as ",
    h("button", { type: "button", onclick: asCsv }, "CSV"),
    h("button", { type: "button", onclick: asJson }, "JSON"),
  );
}

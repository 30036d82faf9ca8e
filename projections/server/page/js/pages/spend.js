// Spend over time, in this browser's zone, split by what is asked for.

import { exports } from "../actions.js";
import { api } from "../api.js";
import { stackedBars } from "../bars.js";
import { cut, empty, fill, h, heads, part, says, section, table } from "../dom.js";
import { brief, count, day, many, messages, nanousd, periodInFull, sumOf, word, ZONE } from "../format.js";
import { calmly, live } from "../live.js";
import { about, amount, bar, card, comparedWith, dates, groupName, leftOut, sum } from "../parts.js";
import { before, daysOf } from "../periods.js";
import { go } from "../router.js";
import { behind, groups, named } from "./groups.js";
import { conditions, controls, fillFrom, MEANINGS, span, spendLink } from "./span.js";

/** What dates a cost whose source has no time. */
const EVIDENCE = {
  file: "the log file's modification time",
  adw_state: "the times in adw_state.json",
  application: "the times of the application's row",
  transcript: "the times of the session's transcript",
};
const PERIODS_SHOWN = 31;

/** @param {HTMLElement} main @param {import("../main.js").View} view */
export async function spend(main, { query, signal, moved }) {
  const { sort, ...of } = span(query, day(new Date()));
  const previous = moved ? null : main.querySelector("#results");
  const results = part(
    async () => {
      const [since, until] = before(of);
      const { since: first, until: last, by, period, where } = of;
      const asked = { since: first, until: last, where, timezone: ZONE };
      const [spend, earlier, uncached] = await Promise.all([
        api.spend({ ...asked, by, period }, signal),
        api.spend({ ...asked, by, period: "all", since, until }, signal),
        api.whatIf({ ...asked, no_cache: true }, signal),
      ]);
      return [leftOut(query, MEANINGS), conditions(of), shown(spend, of, { earlier, uncached, sort })];
    },
    signal,
    previous ?? h("div", { id: "results", class: "part" }),
  );
  const again = calmly(results.load, signal, 3000);
  for (const name of ["row", "again", "removed"]) live.addEventListener(name, again, { signal });

  if (previous) fillFrom(main.querySelector("form"), of);
  else fill(main, h("h1", {}, "Spend"), controls(of), results.element);
  await results.load();
}

/** Where a period leads: a week or a month to its days, a day to its workflows. */
function inside(period, of) {
  const [first, last] = daysOf(period);
  const since = first > of.since ? first : of.since;
  const until = last < of.until ? last : of.until;
  return spendLink(of, { since, until, period: "day", by: of.period === "day" ? "workflow" : of.by });
}

/** Whose days these are, and what falls on which. */
const days = () =>
  says(
    "note",
    `Days are those of ${ZONE}, this browser's zone. A cost falls on the day its event was observed; where a source has no time, ` +
      "as the totals of stream logs, on the day of the evidence that is named here; without any, it falls on the day it was imported. A figure that was put right later shows as what it took back.",
  );

function shown(spend, of, { earlier, uncached, sort }) {
  if (!spend.lines.length)
    return [
      empty(
        "Nothing was spent in this time. Choose a longer one, or import the logs of your agents:",
        "costledger import adw path/to/agents",
      ),
      days(),
    ];
  const missing = Object.entries(spend.unpriced).map(([model, { events, tokens }]) =>
    h(
      "li",
      {},
      `unpriced: ${model}, ${many(events, "message")}, ${count(tokens)} tokens; `,
      h("code", {}, `costledger prices -- ${word(model)}`),
    ),
  );
  for (const [by, cost] of Object.entries(spend.spent_at_from_usd))
    missing.push(h("li", {}, amount(cost), ` dated by ${EVIDENCE[by] ?? by}`));
  const sums = byPeriod(spend);
  return [
    cards(spend, of, sums, earlier.total, cached(uncached)),
    stackedBars(spend, {
      ...of,
      name: (group) => groupName(group, of.by),
      open: (period) => go(inside(period, of)),
      drag: (first, last) => go(spendLink(of, { since: daysOf(first)[0], until: daysOf(last)[1] })),
    }),
    days(),
    missing.length ? h("ul", { class: "notes" }, missing) : null,
    h("div", { class: "columns" }, groups(spend, earlier, of, sort), periods(spend, sums, of)),
    saved(spend, of),
  ];
}

function cards(spend, of, sums, earlier, saving) {
  const [first] = spend.groups,
    missing = messages(spend.unpriced);
  const most = highest(sums);
  const shown = of.since === of.until ? periodInFull(of.since) : dates(of.since, of.until);
  return h(
    "div",
    { class: "cards", role: "status" },
    card("Total", sum(spend.total), [[shown, comparedWith(earlier, spend.total, before(of))]]),
    card(`Highest ${of.period}`, sum(most), [h("a", { href: inside(most.period, of) }, periodInFull(most.period))]),
    card(`Highest ${of.by}`, sum(first), [h("a", { href: behind(first.group, of) }, cut(groupName(first.group, of.by)))]),
    card("Tokens", about(spend.total.total_tokens), [
      [`${brief(spend.total.output_tokens)} output`, missing > 0 && ` · ${many(missing, "message")} unpriced`],
    ]),
    saving,
  );
}

/** What caching saved, or cost where more was written than was read again, as `costledger what-if --no-cache` says it. */
function cached({ lines, total }) {
  if (!lines.some(({ spent }) => spent.total_tokens > spent.input_tokens + spent.output_tokens)) return null; // nothing was cached
  const nano = nanousd(total.difference_usd);
  const unknown = lines.filter(({ problem }) => problem).map(({ model }) => model);
  const figure = nano === 0n ? (unknown.length ? "unknown" : "$0.00") : [h("small", {}, "about "), amount(nano < 0n ? -nano : nano)];
  const left = unknown.length > 0 && h("span", { title: unknown.join(", ") }, `${many(unknown.length, "model")} without a price left out`);
  const title = "Cached tokens at the list price of plain input; tiers of long contexts are left out";
  return card(nano < 0n ? "Caching cost" : "Saved by caching", figure, ["against plain input, at list prices", left], { title });
}

/** What each period adds up to, the newest first. */
function byPeriod({ lines }) {
  const periods = Map.groupBy(lines, ({ period }) => period);
  const sums = [...periods].map(([period, its]) => ({
    period,
    ...sumOf(its),
    tokens: its.reduce((tokens, line) => tokens + line.total_tokens, 0),
  }));
  return sums.sort((a, b) => (a.period < b.period ? 1 : -1));
}

const highest = (sums) => sums.reduce((a, b) => (nanousd(b.cost_usd) > nanousd(a.cost_usd) ? b : a));

function periods(spend, sums, of) {
  const most = Number(nanousd(highest(sums).cost_usd)) || 1;
  return section(
    `By ${of.period}`,
    table({
      caption: `Spend by ${of.period}, the newest first`,
      columns: [
        ...heads(`${named(of.period)}/when`),
        { name: "", head: h("span", { class: "unseen" }, "Compared with the highest"), wide: true },
        ...heads("Cost/figures, Tokens/figures"),
      ],
      rows: sums.map((one) => [
        h("a", { href: inside(one.period, of), title: periodInFull(one.period) }, one.period),
        bar(Number(nanousd(one.cost_usd)) / most, { class: "bar long" }),
        sum(one),
        about(one.tokens),
      ]),
      foot: ["Total", "", sum(spend.total), about(spend.total.total_tokens)],
      most: PERIODS_SHOWN,
    }),
  );
}

const EXPORTED = "cost_usd input_tokens cache_write_tokens cache_read_tokens output_tokens total_tokens at_least".split(" ");
const saved = (spend, of) =>
  exports(
    `Each ${of.period} by ${of.by} as `,
    "spend",
    async () => spend,
    () => [
      [of.period, of.by, ...EXPORTED],
      ...spend.lines.map((line) => ["period", "group", ...EXPORTED].map((name) => line[name])),
    ],
  );

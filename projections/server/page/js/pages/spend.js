// Spend over time, in this browser's zone, split by what is asked for.

import { exports } from "../actions.js";
import { api } from "../api.js";
import { stackedBars } from "../bars.js";
import { colours, swatch } from "../colours.js";
import { cut, empty, fill, h, heads, part, says, section, table } from "../dom.js";
import { brief, count, day, many, messages, nanousd, periodInFull, sumOf, word, ZONE } from "../format.js";
import { calmly, live } from "../live.js";
import { about, amount, bar, card, comparedWith, groupName, leftOut, share, sum } from "../parts.js";
import { before, daysOf } from "../periods.js";
import { go, workflowLink } from "../router.js";
import { conditions, controls, fillFrom, MEANINGS, span, spendLink } from "./span.js";

/** What dates a cost whose source has no time. */
const EVIDENCE = {
  file: "the log file's modification time",
  adw_state: "the times in adw_state.json",
  application: "the times of the application's row",
  transcript: "the times of the session's transcript",
};
const GROUPS_SHOWN = 15;
const PERIODS_SHOWN = 31;

/** @param {HTMLElement} main @param {import("../main.js").View} view */
export async function spend(main, { query, signal, moved }) {
  const today = day(new Date()),
    of = span(query, today);
  const previous = moved ? null : main.querySelector("#results");
  const results = part(
    async () => {
      const [since, until] = before(of.since, of.until);
      const [spend, earlier] = await Promise.all([
        api.spend({ ...of, timezone: ZONE }, signal),
        api.spend({ where: of.where, period: "all", since, until, timezone: ZONE }, signal),
      ]);
      return [leftOut(query, MEANINGS), conditions(of), shown(spend, of, earlier.total)];
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

/** Where a group leads: a workflow to its page, anything else to the workflows behind it. */
const behind = (group, of) =>
  of.by === "workflow"
    ? workflowLink(group)
    : spendLink(of, { by: "workflow", where: [...of.where, `${of.by}=${group ?? ""}`] });

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

function shown(spend, of, earlier) {
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
    cards(spend, of, sums, earlier),
    stackedBars(spend, {
      ...of,
      name: (group) => groupName(group, of.by),
      open: (period) => go(inside(period, of)),
      drag: (first, last) => go(spendLink(of, { since: daysOf(first)[0], until: daysOf(last)[1] })),
    }),
    days(),
    missing.length ? h("ul", { class: "notes" }, missing) : null,
    h("div", { class: "columns" }, groups(spend, of), periods(spend, sums, of)),
    saved(spend, of),
  ];
}

const title = (name) => name[0].toUpperCase() + name.slice(1);

function cards(spend, of, sums, earlier) {
  const [first] = spend.groups,
    missing = messages(spend.unpriced);
  const most = highest(sums);
  const dates = of.since === of.until ? periodInFull(of.since) : `${of.since} to ${of.until}`;
  return h(
    "div",
    { class: "cards", role: "status" },
    card("Total", sum(spend.total), [[dates, comparedWith(earlier, spend.total, before(of.since, of.until))]]),
    card(`Highest ${of.period}`, sum(most), [h("a", { href: inside(most.period, of) }, periodInFull(most.period))]),
    card(`Highest ${of.by}`, sum(first), [h("a", { href: behind(first.group, of) }, cut(groupName(first.group, of.by)))]),
    card("Tokens", about(spend.total.total_tokens), [
      [`${brief(spend.total.output_tokens)} output`, missing > 0 && ` · ${many(missing, "message")} unpriced`],
    ]),
  );
}

/** The groups with their colours: legend and figures in one. */
function groups(spend, of) {
  const { by } = of;
  const colour = colours(spend.groups);
  const total = Number(nanousd(spend.total.cost_usd)) || 1;
  return section(
    `By ${by}`,
    table({
      caption: `Spend by ${by}`,
      columns: heads(`${title(by)}/wide, Cost/figures, Share/figures, Tokens/figures`),
      rows: spend.groups.map((group) => {
        const part = Number(nanousd(group.cost_usd)) / total;
        const unpriced = by === "model" && spend.unpriced[group.group] && nanousd(group.cost_usd) === 0n;
        const title = String(group.group ?? "none");
        const name = h("a", { class: "cut", title, href: behind(group.group, of) }, [
          swatch(colour(group.group)),
          groupName(group.group, by),
        ]);
        return [name, unpriced ? "unpriced" : sum(group), unpriced ? "" : share(part), about(group.total_tokens)];
      }),
      foot: ["Total", sum(spend.total), "", about(spend.total.total_tokens)],
      most: GROUPS_SHOWN,
    }),
  );
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
        ...heads(`${title(of.period)}/when`),
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
    "This as ",
    "spend",
    async () => spend,
    () => [
      [of.period, of.by, ...EXPORTED],
      ...spend.lines.map((line) => ["period", "group", ...EXPORTED].map((name) => line[name])),
    ],
  );

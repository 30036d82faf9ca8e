// What to decide on: what the month comes to, the burn rate, budgets used up or nearly, and what cost most lately.

import { api } from "../api.js";
import { cut, h, heads, section, table } from "../dom.js";
import { day, many, nanousd, usd, ZONE } from "../format.js";
import { amount, bar, budget, card, groupName, status, sum, workflowName } from "../parts.js";
import { daysOf } from "../periods.js";
import { link, workflowLink } from "../router.js";

const SHOWN = 5;
/** What is listed, and its dimension. */
const LISTS = [
  ["Workflows", "workflow"],
  ["Projects", "project"],
  ["Issues", "issue"],
  ["Tools", "tool"],
];

/** The month to date, and what it comes to by its end, as a card. @param {string} today */
export function thisMonth({ month, month_to_date_usd: cost_usd, at_least, projection }, today) {
  const [since] = daysOf(month);
  const { projected_usd: most, low_usd: low, high_usd: high, method } = projection ?? {};
  const notes = projection
    ? [[at_least && "at least ", amount(most), " by its end"], low && ["probably ", usd(low), " to ", usd(high)]]
    : ["no complete day yet to go on from"];
  const figure = sum({ cost_usd, at_least, unpriced_events: 0 });
  return card("This month", figure, notes, { to: link(["spend"], { since, until: today }), title: method });
}

/** What runs spends in an hour. */
export function burning({ per_hour_usd: rate, running }) {
  const figure = sum({ cost_usd: rate, at_least: running.some((one) => one.at_least), unpriced_events: 0 });
  const notes = [`an hour, of ${many(running.length, "running workflow")}`, "in the last hour, or since their start"];
  return card("Burn rate", figure, notes, { to: link(["workflows"], { status: "running" }) });
}

/**
 * Each period's budget, and workflows near or over theirs, those that run and those that ended in some days; the worst
 * first. Nothing without any.
 */
export async function budgets({ since, until }, signal) {
  const { periods, workflows } = await api.budgets({ since, until, timezone: ZONE }, signal);
  const rows = [
    ...periods.map((one) => [
      one.budget,
      [h("a", { href: behind(one) }, one.name), one.problem && h("small", { class: "warn" }, ` ${one.problem}`)],
      one.period,
    ]),
    ...workflows
      .filter(({ budget: its }) => its && its.state !== "ok")
      .map((one) => [one.budget, workflowName(one.adw_id), status(one.status)]),
  ].sort(([a], [b]) => rank(b) - rank(a));
  if (!rows.length) return null;
  return section(
    "Budgets",
    table({
      caption: "Budgets, the most used first",
      columns: heads("Budget/named, Period or status/when, Spent"),
      rows: rows.map(([its, ...cells]) => [...cells, budget(its)]),
      most: 2 * SHOWN,
    }),
  );
}

const STATES = ["ok", "warned", "over"];
const rank = ({ state, percent }) => 1e9 * STATES.indexOf(state) + (percent ?? 0);

const behind = ({ since, until, where }) => {
  const today = day(new Date());
  return link(["spend"], { since, until: until < today ? until : today, by: "workflow", where });
};

/** What cost most in some days, of each sort. */
export async function dearest({ name, since, until }, signal) {
  const asked = { period: "all", since, until, timezone: ZONE, limit: SHOWN };
  const answers = await Promise.all(LISTS.map(([, by]) => api.spend({ ...asked, by }, signal)));
  const lists = LISTS.map(([title, by], at) => list(title, by, answers[at], { since, until })).filter(Boolean);
  return lists.length > 0 && section(`Most expensive, ${name.toLowerCase()}`, h("div", { class: "lists" }, lists));
}

function list(title, by, { lines }, days) {
  const named = lines.filter(({ group, cost_usd: cost }) => group !== null && nanousd(cost) > 0n);
  if (!named.length) return null;
  const most = Number(nanousd(named[0].cost_usd));
  return h(
    "div",
    {},
    h("h3", {}, h("a", { href: link(["spend"], { ...days, by }) }, title)),
    h(
      "ol",
      { class: "dearest" },
      named.map((one) =>
        h(
          "li",
          {},
          h("a", { href: whose(one.group, by, days), class: by === "workflow" ? "id" : null }, cut(groupName(one.group, by))),
          bar(Number(nanousd(one.cost_usd)) / most),
          h("span", { class: "figures" }, sum(one)),
        ),
      ),
    ),
  );
}

const whose = (group, by, days) =>
  by === "workflow" ? workflowLink(group) : link(["spend"], { ...days, by: "workflow", where: `${by}=${group}` });

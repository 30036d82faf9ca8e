// What of the spend is shown: its days, their grouping, what it is split by, as the address keeps them.

import { button, h } from "../dom.js";
import { fillForm, steers } from "../form.js";
import { day, isDay, plusDays } from "../format.js";
import { choice, field } from "../parts.js";
import { spansOf } from "../periods.js";
import { go, here, link } from "../router.js";

const BY = ["model", "agent", "workflow", "session", "template", "issue", "project", "branch", "tool", "status"];
const PERIODS = ["day", "week", "month"];
/** How the groups are sorted: the highest cost first, or the largest change of either sign. */
const SORTS = ["cost", "change"];
/** The values that each name of an address may have. */
export const MEANINGS = {
  by: (value) => BY.includes(value) || isTag(value),
  period: (value) => PERIODS.includes(value),
  since: isDay,
  until: isDay,
  span: (value) => Object.hasOwn(spans(), value),
  where: (value) => /^[^=]+=/.test(value),
  sort: (value) => SORTS.includes(value),
};

/** The spans with a name, as seen from today. */
const spans = () => spansOf(day(new Date()));

/** The key of a tag, as the API is asked for it. */
const isTag = (value) => /^tag:./.test(value);

/** The address of the spend with some of what is shown changed; a span keeps its name, so that tomorrow it has other days. */
export function spendLink(of, changes = {}) {
  const named = "since" in changes ? { span: null } : of.span ? { since: null, until: null } : {};
  return link(["spend"], { ...of, ...named, ...changes });
}

/** What is filtered for, each with a way to leave it out. */
export const conditions = (of) =>
  of.where.length > 0 &&
  h(
    "p",
    { class: "chips" },
    "Only ",
    of.where.map((one, at) => {
      const without = of.where.filter((_, index) => index !== at);
      const [name, value] = [one.slice(0, one.indexOf("=")), one.slice(one.indexOf("=") + 1)];
      const title = `Leave out ${name} ${value}`;
      return h("a", { class: "chip", href: spendLink(of, { where: without }), title, "aria-label": title }, [
        h("small", {}, `${name} `),
        value || "(none)",
        h("span", { "aria-hidden": "true" }, " ✕"),
      ]);
    }),
  );

/**
 * What is asked for; what an address cannot mean is as if it were not there.
 * @param {URLSearchParams} query
 * @param {string} today
 */
export function span(query, today) {
  const one = (name, otherwise) => (MEANINGS[name](query.get(name) ?? "") ? query.get(name) : otherwise);
  const date = (name) => (isDay(query.get(name)) ? query.get(name) : null);
  const where = query.getAll("where").filter(MEANINGS.where);
  const of = { by: one("by", "model"), period: one("period", "day"), where, sort: one("sort", "cost") };
  const name = date("since") || date("until") ? null : one("span", "30-days");
  if (name) {
    const [, since, until] = spansOf(today)[name];
    return { ...of, span: name, since, until };
  }
  const to = date("until") ?? [date("since") ?? today, today].sort()[1];
  const [since, until] = [date("since") ?? plusDays(to, -29), to].sort();
  return { ...of, span: null, since, until };
}

/** The form, made once. */
export function controls(of) {
  const asked = () => {
    const { query } = here();
    return { ...Object.fromEntries(new FormData(form)), where: query.getAll("where"), sort: query.get("sort") };
  };
  const choose = (span) => go(spendLink({ ...asked(), span }));
  const buttons = Object.entries(spans()).map(([key, [name]]) => button(name, () => choose(key), { id: `span-${key}` }));
  const options = (names, chosen) => [...new Set([...names, chosen])].map((name) => [name, name.replace(/^tag:/, "")]);
  const date = (name) => h("input", { type: "date", id: `f-${name}`, name, required: true });
  const form = h(
    "form",
    { class: "filters" },
    choice("Split by", "by", options(BY, of.by), of.by),
    choice("For each", "period", options(PERIODS, of.period), of.period),
    h(
      "div",
      { class: "field", role: "group", "aria-label": "Time" },
      h("span", {}, "Time"),
      h("span", { class: "switch" }, buttons),
    ),
    h("div", { class: "range" }, field("From", date("since")), field("to", date("until"))),
    h("p", { class: "warn", id: "no-span", role: "status", hidden: true }, "From is after to: nothing is asked for."),
  );
  steers(form, () => {
    const dates = asked();
    if (!isDay(dates.since) || !isDay(dates.until)) return null; // a day that is still being typed
    form.querySelector("#no-span").hidden = dates.since <= dates.until;
    const { span: name } = span(here().query, day(new Date()));
    const [, since, until] = spans()[name] ?? [];
    const isNamed = dates.since === since && dates.until === until;
    return dates.since <= dates.until ? spendLink({ ...dates, span: isNamed ? name : null }) : null;
  });
  return fillFrom(form, of);
}

/** Fill the form with what is shown. @param {HTMLFormElement} form */
export function fillFrom(form, of) {
  fillForm(form, of);
  form.querySelector("#no-span").hidden = true;
  for (const [key, [, since, until]] of Object.entries(spans())) {
    const chosen = of.span ? of.span === key : of.since === since && of.until === until;
    form.querySelector(`#span-${key}`).setAttribute("aria-pressed", String(chosen));
  }
  return form;
}

// What of the spend is shown: its days, their grouping, what it is split by, as the address keeps them.

import { h } from "../dom.js";
import { isDay, plusDays } from "../format.js";
import { choice, field } from "../parts.js";
import { go, link } from "../router.js";

const BY = ["model", "agent", "template", "issue", "project"];
const PERIODS = ["day", "week", "month"];
const RANGES = [
  ["7 days", 7],
  ["30 days", 30],
  ["90 days", 90],
  ["a year", 365],
];
/** What each name of an address may say here. */
export const MEANINGS = {
  by: (value) => BY.includes(value),
  period: (value) => PERIODS.includes(value),
  since: isDay,
  until: isDay,
};

/**
 * What is asked for; what an address cannot mean is as if it were not there.
 * @param {URLSearchParams} query
 * @param {string} today
 */
export function span(query, today) {
  const one = (name, options, otherwise) => (options.includes(query.get(name)) ? query.get(name) : otherwise);
  const date = (name, otherwise) => (isDay(query.get(name)) ? query.get(name) : otherwise);
  const [since, until] = [date("since", plusDays(today, -29)), date("until", today)].sort();
  return { by: one("by", BY, "model"), period: one("period", PERIODS, "day"), since, until };
}

/** The form; a change shows at once. */
export function controls(of, today) {
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
      h("span", { class: "switch" }, ranges),
    ),
    field("From", date("since")),
    field("to", date("until")),
  );
  return form;
}

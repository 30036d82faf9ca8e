// What of the spend is shown: its days, their grouping, what it is split by, as the address keeps them.

import { h } from "../dom.js";
import { fillForm, steers } from "../form.js";
import { day, isDay, plusDays } from "../format.js";
import { choice, field } from "../parts.js";
import { go, link } from "../router.js";

const BY = ["model", "agent", "template", "issue", "project", "tool"];
const PERIODS = ["day", "week", "month"];
const RANGES = [
  ["7 days", 7],
  ["30 days", 30],
  ["90 days", 90],
  ["a year", 365],
];
/** The values that each name of an address may have. */
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

/** The form, made once. */
export function controls(of) {
  const last = (days) => {
    const today = day(new Date());
    return { since: plusDays(today, 1 - days), until: today };
  };
  const asked = () => Object.fromEntries(new FormData(form));
  const ranges = RANGES.map(([name, days]) =>
    h(
      "button",
      { type: "button", id: `last-${days}`, onclick: () => go(link(["spend"], { ...asked(), ...last(days) })) },
      name,
    ),
  );
  const options = (names) => names.map((name) => [name, name]);
  const date = (name) => h("input", { type: "date", id: `f-${name}`, name, required: true });
  const form = h(
    "form",
    { class: "filters" },
    choice("Split by", "by", options(BY), of.by),
    choice("For each", "period", options(PERIODS), of.period),
    h(
      "div",
      { class: "field", role: "group", "aria-label": "The last" },
      h("span", {}, "The last"),
      h("span", { class: "switch" }, ranges),
    ),
    field("From", date("since")),
    field("to", date("until")),
    h("p", { class: "warn", id: "no-span", role: "status", hidden: true }, "From is after to: nothing is asked for."),
  );
  steers(form, () => {
    const dates = asked();
    if (!isDay(dates.since) || !isDay(dates.until)) return null; // a day that is still being typed
    form.querySelector("#no-span").hidden = dates.since <= dates.until;
    return dates.since <= dates.until ? link(["spend"], dates) : null;
  });
  return fillFrom(form, of);
}

/** Fill the form with what is shown. @param {HTMLFormElement} form */
export function fillFrom(form, of) {
  fillForm(form, of);
  form.querySelector("#no-span").hidden = true;
  const today = day(new Date());
  for (const [, days] of RANGES) {
    const chosen = of.since === plusDays(today, 1 - days) && of.until === today;
    form.querySelector(`#last-${days}`).setAttribute("aria-pressed", String(chosen));
  }
  return form;
}

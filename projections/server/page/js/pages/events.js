// A ledger's events, page by page: what each said, where it was read, and what it did to the cost.

import { api } from "../api.js";
import { fill, h, problem, table } from "../dom.js";
import { count, local, usd } from "../format.js";
import { amount } from "../parts.js";

const PAGE = 100;
const COLUMNS = [
  { name: "Seq", figures: true },
  { name: "When", when: true },
  { name: "Event" },
  { name: "Said", figures: true },
  { name: "Cost then", figures: true },
  { name: "Read from" },
];
const SHOWN_ELSEWHERE = ["v", "seq", "type", "workflow_id", "hash"];

/** The list of a workflow's events. @param {string} id @param {AbortSignal} signal */
export function events(id, signal) {
  const element = h("div", { id: "events" });
  let after = 0;
  const turn = (to) => async () => {
    after = to;
    await load();
    element.querySelector("button:not(:disabled)")?.focus();
  };
  async function load() {
    try {
      const found = await api.events(id, { after, limit: PAGE }, signal);
      const last = found.events.at(-1)?.event.seq ?? after;
      const open = new Set([...element.querySelectorAll("details[open]")].map((details) => details.dataset.seq));
      fill(
        element,
        table({
          caption: "Events of the ledger",
          columns: COLUMNS,
          rows: found.events.map((event) => cells(event, open)),
        }),
        (after > 0 || found.next !== null) &&
          h(
            "nav",
            { class: "pager", "aria-label": "Pages of the events" },
            h(
              "button",
              { type: "button", disabled: after === 0, onclick: turn(Math.max(0, after - PAGE)) },
              "← Earlier",
            ),
            h("span", {}, `Events ${count(after + 1)} to ${count(last)}`),
            h("button", { type: "button", disabled: found.next === null, onclick: turn(found.next) }, "Later →"),
          ),
      );
    } catch (error) {
      if (error.name === "AbortError" || error.status === 401) throw error;
      fill(element, problem(error, load));
    }
  }
  return { element, load };
}

function cells({ event, cost_before: before, cost_after: after }, open) {
  const meter = ["agent", "model", "session_id", "message_id"].map((name) => event[name]).filter(Boolean);
  const notes = ["final", "partial"].filter((name) => event[name]);
  const whole = Object.entries(event)
    .filter(([name]) => !SHOWN_ELSEWHERE.includes(name))
    .map(([name, value]) =>
      h(
        "div",
        { class: "pair" },
        h("dt", {}, name),
        h("dd", {}, typeof value === "object" ? JSON.stringify(value) : String(value)),
      ),
    );
  return [
    count(event.seq),
    local(event.observed_at ?? event.recorded_at),
    h(
      "details",
      { "data-seq": event.seq, open: open.has(String(event.seq)) },
      h(
        "summary",
        {},
        event.type.replaceAll("_", " "),
        meter.length ? h("span", { class: "muted" }, ` ${meter.slice(0, 2).join(" · ")}`) : null,
        notes.map((note) => h("span", { class: "tag" }, note)),
      ),
      h("dl", { class: "facts" }, whole),
    ),
    said(event),
    before === after ? h("span", { class: "muted" }, usd(after)) : [usd(before), " → ", h("strong", {}, amount(after))],
    event.type === "ledger_opened" ? "" : readFrom(event),
  ];
}

function said(event) {
  if (event.type !== "cost_observed") return "";
  return event.cost_usd === undefined ? "unpriced" : amount(event.cost_usd);
}

function readFrom({ source }) {
  if (!source?.file) return h("span", { class: "muted" }, source?.kind ?? "told directly");
  const place = source.line === undefined ? source.file : `${source.file}:${source.line}`;
  const parts = place.split("/");
  return h("span", { class: "place", title: place }, parts.length > 4 ? `…/${parts.slice(-3).join("/")}` : place);
}

// A ledger's events, page by page: the content of each, where it was read, and what it did to the cost.

import { api } from "../api.js";
import { button, cut, h, heads, part, says, table } from "../dom.js";
import { count, local, nanousdOrNothing } from "../format.js";
import { amount, change, pager } from "../parts.js";
import { inWords, isWhole, namesOf } from "./branch.js";

const PAGE = 100;
const COLUMNS = heads(
  "Seq/figures, When/when, Event/wide, Content/figures/less, Effect/figures, Cost then/figures, Read from/file",
);
const SHOWN_ELSEWHERE = ["v", "seq", "type", "workflow_id", "hash"];

/**
 * The list of a workflow's events.
 * @param {() => object} branchNow whose readings are listed
 * @param {() => void} all lists all events again
 */
export function events(id, branchNow, all, signal) {
  let after = 0,
    total = 0;
  const list = part(
    async () => {
      const branch = branchNow();
      const found = await api.events(id, { after, limit: PAGE, ...namesOf(branch) }, signal);
      const last = found.events.at(-1)?.event.seq ?? after;
      const open = new Set([...list.element.querySelectorAll("details[open]")].map((details) => details.dataset.seq));
      return [
        !isWhole(branch) && only(branch, all),
        found.events.length
          ? table({
              caption: "Events of the ledger",
              columns: COLUMNS,
              rows: found.events.map((event) => cells(event, open)),
            })
          : says("quietly", "This ledger has no reading of it here; what was moved here is in another one."),
        (after > 0 || found.next !== null) && pages(found.next, last, isWhole(branch)),
      ];
    },
    signal,
    h("div", { id: "events", class: "part" }),
  );
  const turn = (to) => async () => {
    const id = document.activeElement?.id;
    after = to;
    await list.load();
    const again = document.getElementById(id);
    (again?.disabled ? list.element.querySelector("button:not(:disabled)") : again)?.focus();
  };
  const step = (id, text, enabled, to) => button(text, turn(to), { id, disabled: !enabled });
  const pages = (next, last, whole) =>
    pager(
      "events",
      step("events-first", "First", after > 0, 0),
      whole && step("events-before", "← Earlier", after > 0, Math.max(0, after - PAGE)),
      h("span", {}, `Events ${count(after + 1)} to ${count(last)} of ${count(Math.max(total, last))}`),
      step("events-after", "Later →", next !== null, next),
      whole && step("events-last", "Last", next !== null, Math.max(0, total - PAGE)),
    );
  return {
    element: list.element,
    load: list.load,
    /** Go on at the first. */
    first: () => {
      after = 0;
      return list.load();
    },
    /** Show an event, opened. @param {number} seq */
    show: async (seq) => {
      after = Math.max(0, seq - 1 - PAGE / 2);
      await list.load();
      const event = list.element.querySelector(`details[data-seq="${seq}"]`);
      if (!event) return;
      event.open = true;
      event.querySelector("summary").focus();
      event.scrollIntoView({ block: "center" });
    },
    /** How many events there are. @param {number} events */
    grown: (events) => {
      total = events;
    },
  };
}

/** Whose readings are listed, and the way back to all events. */
function only(branch, all) {
  const text = [inWords(branch), h("span", { "aria-hidden": "true" }, " ✕")];
  const shown = { id: "events-all", class: "chip", title: "Show all events" };
  return h("p", { class: "chips" }, "Only ", button(text, all, shown));
}

function cells({ event, cost_before_usd: before, cost_after_usd: after }, open) {
  const meter = ["agent", "subagent", "model", "session_id", "message_id", "counter"].map((name) => event[name]).filter(Boolean);
  const notes = ["final", "partial"].filter((name) => event[name]);
  const whole = Object.entries(event)
    .filter(([name]) => !SHOWN_ELSEWHERE.includes(name))
    .flatMap(spread)
    .map(([name, value]) => h("div", { class: "pair" }, h("dt", {}, name), h("dd", {}, value)));
  return [
    count(event.seq),
    local(event.observed_at ?? event.recorded_at),
    h(
      "details",
      { "data-seq": event.seq, open: open.has(String(event.seq)) },
      h(
        "summary",
        {},
        h("span", { class: "what" }, event.type.replaceAll("_", " ")),
        meter.length
          ? h("span", { class: "muted cut", title: meter.join(" · ") }, meter.slice(0, 2).join(" · "))
          : null,
        notes.map((note) => h("span", { class: "tag" }, note)),
      ),
      h("dl", { class: "facts" }, whole),
    ),
    content(event),
    change(nanousdOrNothing(after) - nanousdOrNothing(before)),
    so(before, after),
    event.type === "ledger_opened" ? "" : readFrom(event),
  ];
}

/** What the workflow had cost then; nothing that was read yet is no figure. */
function so(before, after) {
  if (before !== after) return h("strong", {}, amount(after));
  return h("span", { class: "muted" }, after === null ? "–" : amount(after));
}

/** A field by itself, or the fields of an object one by one: `source.file`. */
function spread([name, value]) {
  if (typeof value !== "object") return [[name, String(value)]];
  return Object.entries(value).map(([inner, each]) => [
    `${name}.${inner}`,
    typeof each === "object" ? JSON.stringify(each) : String(each),
  ]);
}

function content(event) {
  if (event.type !== "cost_observed") return "";
  return event.cost_usd === undefined ? "unpriced" : amount(event.cost_usd);
}

/** The file and the line, whole; of the folders what there is room for. */
function readFrom({ source }) {
  if (!source?.file) return h("span", { class: "muted" }, source?.kind ?? "received by API");
  const path = source.line === undefined ? source.file : `${source.file}:${source.line}`;
  const at = path.lastIndexOf("/") + 1;
  const folders = path.slice(0, at).split("/");
  const folder = at > 0 && (folders.length > 2 ? `…/${folders.at(-2)}/` : path.slice(0, at));
  return h("span", { class: "path", title: path }, folder && h("span", {}, folder), h("span", {}, path.slice(at)));
}

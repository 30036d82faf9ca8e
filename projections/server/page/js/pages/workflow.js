// One workflow: its cost and how it came about, down to the line of the log that each event was read from.

import { api } from "../api.js";
import { staircase } from "../charts.js";
import { fill, flash, h, problem, section, table } from "../dom.js";
import { count, duration, local, many, rowCost, usd } from "../format.js";
import { calmly, live } from "../live.js";
import { amount, budget, status } from "../parts.js";
import { link } from "../router.js";
import { breakdown, tokens } from "./breakdown.js";
import { events } from "./events.js";

/** @param {HTMLElement} place @param {import("../main.js").View} view */
export async function workflow(place, { path, signal, scope }) {
  const id = path[1];
  const facts = h("div", {}),
    parts = h("div", {}),
    course = h("div", {}),
    audit = h("div", {});
  const list = events(id, signal);
  const show = (row) => {
    const before = facts.querySelector("#cost")?.textContent;
    fill(facts, head(row));
    if (before !== undefined && before !== rowCost(row)) flash(facts.querySelector("#cost"));
    fill(
      parts,
      section("By agent", breakdown(row, "by_agent", "Agent")),
      section("By model", breakdown(row, "by_model", "Model")),
      section("Tokens", tokens(row)),
    );
  };
  const load = async () => {
    const [row, moves, trail] = await Promise.all([
      api.workflow(id, signal),
      told(api.explain(id, signal)),
      api.audit(id, signal),
      list.load(),
    ]);
    show(row);
    fill(course, chart(moves, row));
    fill(audit, auditTable(trail.entries));
  };
  const again = calmly(load, signal);
  live.addEventListener(
    "row",
    ({ detail: row }) => {
      if (row.adw_id !== id) return;
      show(row); // at once; what takes a replay follows
      again();
    },
    { signal },
  );
  live.addEventListener("again", again, { signal });

  await load();
  fill(
    place,
    h("p", { class: "crumb" }, h("a", { href: "#/workflows" }, "Workflows")),
    h("h1", { class: "id" }, id),
    facts,
    resync(id, scope, again),
    section("Cost over time", course),
    h("div", { class: "columns" }, parts),
    section("Events", list.element),
    section("Audit trail", h("p", { class: "muted" }, "Every change of the stored cost."), audit),
  );
}

/** The steps of a ledger, or why it cannot be replayed: a damaged ledger still has a row. */
async function told(answer) {
  try {
    return (await answer).steps;
  } catch (error) {
    if (error.name === "AbortError" || error.status === 401) throw error;
    return error;
  }
}

function head(row) {
  const fact = (name, value) =>
    value !== "" && value !== null && h("div", { class: "pair" }, h("dt", {}, name), h("dd", {}, value));
  const issue =
    row.issue_number === null
      ? null
      : h("a", { href: link(["workflows"], { issue: row.issue_number }) }, `#${row.issue_number}`);
  return [
    h(
      "p",
      { class: "headline" },
      status(row.status),
      h("strong", { class: "figure", id: "cost", title: `${row.actual_cost_total} USD` }, rowCost(row)),
      budget(row.budget),
    ),
    row.error_message && h("p", { class: "bad" }, row.error_message),
    h(
      "dl",
      { class: "facts" },
      fact("Issue", issue),
      fact("Template", row.workflow_template),
      fact("Project", row.project),
      fact("Basis", basis(row)),
      fact("Started", local(row.start_time)),
      fact("Ended", local(row.end_time)),
      fact("Duration", duration(row.duration_seconds)),
      fact("Last event", local(row.updated_at)),
      fact("Events", count(row.event_count)),
      fact("Main model", row.model_used),
    ),
    notes(row),
  ];
}

const BASIS = {
  reported: "reported: every dollar was reported",
  priced: "priced: some part was priced from tokens",
  partial: "partial: the true cost is at least this",
};
const basis = (row) => BASIS[row.cost_basis] ?? "no reading yet";

/** What the breakdown says may be wrong. */
function notes(row) {
  const { unpriced = {}, possible_double_counting: twice, unread_events: unread } = row.cost_breakdown;
  const said = Object.entries(unpriced).map(
    ([model, { events, tokens }]) =>
      `unpriced: ${model}, ${many(events, "message")}, ${count(tokens)} tokens; costledger prices -- ${model}`,
  );
  if (twice) said.push(`possible double counting: ${[twice].flat().join(", ")}`);
  if (unread) said.push("events that this version does not know: upgrade costledger");
  if (row.cost_breakdown.by_agent?.["(held)"])
    said.push("held: somebody stored more than the ledger says; resync with force shows pure replay");
  return said.length
    ? h(
        "ul",
        { class: "notes" },
        said.map((note) => h("li", {}, note)),
      )
    : null;
}

function resync(id, scope, done) {
  const answer = h("p", { id: "resynced", role: "status" });
  const force = h("input", { type: "checkbox", id: "force" });
  const button = h("button", { type: "button", class: "main", id: "resync" }, "Resync");
  button.addEventListener("click", async () => {
    button.disabled = true;
    answer.textContent = "Reading the sources again…";
    try {
      const told = await api.resync(id, force.checked);
      const change = told.changes.find((change) => change.adw_id === id);
      fill(
        answer,
        change
          ? [h("s", {}, usd(change.old_cost)), " → ", h("strong", {}, usd(change.new_cost)), `, ${change.reason}`]
          : "Replayed: the cost is what it was.",
        ` ${many(told.appended, "new event")}.`,
        told.errors.length ? h("span", { class: "bad" }, ` ${told.errors.join("; ")}`) : null,
      );
      done();
    } catch (error) {
      fill(answer, h("span", { class: "bad" }, error.message));
    }
    button.disabled = false;
  });
  if (scope !== "admin") return h("p", { class: "muted" }, "Your token may read; one for admin may also resync.");
  return h(
    "div",
    { class: "actions" },
    button,
    h(
      "label",
      { class: "box", title: "A running row, too, shows what replay says, even when somebody stored more" },
      force,
      " force pure replay",
    ),
    answer,
  );
}

function chart(moves, row) {
  if (moves instanceof Error) return problem(moves);
  if (!moves.length) return h("p", { class: "muted" }, "No event has moved the cost yet.");
  return staircase(moves, { status: row.status, cost: row.actual_cost_total, ended: row.end_time });
}

function auditTable(entries) {
  if (!entries.length) return h("p", { class: "muted" }, "The cost was never changed.");
  return table({
    caption: "Changes of the stored cost",
    columns: [
      { name: "When", when: true },
      { name: "From", figures: true },
      { name: "To", figures: true },
      { name: "Why" },
    ],
    rows: entries.map((entry) => [
      local(entry.timestamp),
      entry.old_cost === null ? "no row" : amount(entry.old_cost),
      amount(entry.new_cost),
      entry.reason,
    ]),
  });
}

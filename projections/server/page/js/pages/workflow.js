// One workflow: its cost and how it came about, down to the line of the log that each event was read from.

import { act } from "../actions.js";
import { api } from "../api.js";
import { fill, flash, h, heads, loading, part, says, section, table } from "../dom.js";
import { costBefore, count, duration, isHeld, local, many, movedTo, nanousd, rowCost, usd, word } from "../format.js";
import { calmly, live } from "../live.js";
import { activeFor, amount, budget, change, difference, exactly, fact, lessLoud, rowStatus, workflowName } from "../parts.js";
import { link } from "../router.js";
import { branchIn, isIn, isWhole, namesOf } from "./branch.js";
import { breakdown, tokens } from "./breakdown.js";
import { courseOf } from "./course.js";
import { events } from "./events.js";
import { treeOf } from "./tree.js";

const AUDIT_SHOWN = 10;
const NAMES_SHOWN = 10;
/** How the API refuses to read a damaged ledger. */
const DAMAGED = 409;

/** @param {HTMLElement} main @param {import("../main.js").View} view */
export async function workflow(main, { path, query, signal, scope, reopen }) {
  const id = path[1];
  const shown = { branch: branchIn(query), runs: [], open: openStep };
  const facts = h("div", {}, loading()),
    parts = h("div", { class: "columns" });
  const list = events(id, () => shown.branch, () => choose({}), signal);
  let row = null,
    damage = null; // why the row does not follow its ledger
  const read = async () => {
    const [now, { problems }] = await Promise.all([api.workflow(id, signal), api.health(signal)]);
    damage = problems[id] ?? null;
    return now;
  };
  const show = (now) => {
    const before = row && rowCost(row);
    row = now;
    fill(facts, head(row, damage));
    if (before !== null && before !== rowCost(row)) flash(facts.querySelector("#cost"));
    fill(parts, section("By model", breakdown(row, opens)), section("Tokens", tokens(row)));
    for (const here of [tree.element, parts]) here.hidden = movedTo(row).length > 0; // what is shown where it counts
    list.grown(row.event_count);
  };
  const ways = h("div", {});
  const course = courseOf(id, () => row, ways, () => shown, signal);
  const audit = part(async () => auditTable(await api.audit(id, signal)), signal);
  const tree = treeOf(id, () => row, shown, { choose, toEvent: list.show, loaded: course.draw }, signal);
  const loadParts = async () => {
    const failed = await Promise.all([course.load(), tree.load(), audit.load(), list.load()]);
    const found = failed.find((error) => error?.status === DAMAGED);
    if (found && !damage) fill(facts, head(row, (damage = found.message))); // the server has only now noticed it
  };
  /** Mark a branch in the tree and in the chart, and list its events alone; Back undoes it. */
  function choose(branch, focus) {
    shown.branch = branch;
    history.pushState(null, "", branchLink(id, branch));
    tree.draw(focus);
    course.draw();
    return list.first();
  }
  /** A link to a branch; a click chooses it on the page as it is. */
  const opens = (branch) => ({
    href: branchLink(id, branch),
    onclick: (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      choose(branch);
    },
  });
  async function openStep(move) {
    const { agent, session_id, model } = move;
    if (!isIn(move, shown.branch) || isWhole(shown.branch))
      await choose(move.type === "cost_observed" ? { agent, session_id, model } : {});
    await list.show(move.seq);
  }
  const again = calmly(async () => {
    const now = await read().catch((error) => (error.status === 404 ? reopen() : null)); // it was removed
    if (signal.aborted) return;
    if (now) show(now);
    await loadParts();
  }, signal);
  live.addEventListener(
    "row",
    ({ detail: now }) => {
      if (now.adw_id !== id) return;
      show({ ...now, application: row?.application ?? null }); // at once; what takes a replay follows
      again();
    },
    { signal },
  );
  live.addEventListener("again", again, { signal });
  live.addEventListener("removed", ({ detail }) => detail === id && again(), { signal });

  fill(
    main,
    h("p", { class: "crumb" }, h("a", { href: "#/workflows" }, "← Workflows")),
    h("h1", { class: "id" }, id),
    facts,
  );
  show(await read());
  main.append(
    resync(id, scope, again),
    section("Cost over time", ways, course.element),
    tree.element,
    parts,
    section("Events", list.element),
    section("Audit trail", says("note", "Every change of the stored cost, the latest first."), audit.element),
  );
  await loadParts();
}

const branchLink = (id, branch) => `${link(["workflows", id])}${isWhole(branch) ? "" : `?${new URLSearchParams(namesOf(branch))}`}`;

function head(row, damage) {
  const issue =
    row.issue_number === null
      ? null
      : h("a", { href: link(["workflows"], { issue: row.issue_number }) }, `#${row.issue_number}`);
  return [
    h(
      "p",
      { class: "headline" },
      movedTo(row).length
        ? h("strong", { class: "figure", id: "cost" }, h("small", {}, "moved to "), names(movedTo(row)))
        : [rowStatus(row), h("strong", { class: "figure", id: "cost", title: exactly(row.actual_cost_total) }, lessLoud(rowCost(row)))],
      isHeld(row) && h("span", { class: "tag warn" }, "held"),
      damage && h("span", { class: "tag bad" }, "damaged: not up to date"),
      budget(row.budget),
    ),
    damage && h("p", { class: "bad" }, damage),
    moves(row),
    row.error_message && h("p", { class: "bad" }, row.error_message),
    h(
      "dl",
      { class: "facts" },
      fact("Issue", issue),
      fact("Template", row.workflow_template),
      fact("Project", row.project),
      fact("Branch", row.branch),
      fact("Tool", row.tool),
      movedTo(row).length === 0 && fact("Basis", basis(row)),
      fact("Started", local(row.start_time)),
      fact("Ended", local(row.end_time)),
      fact("Duration", duration(row.duration_seconds)),
      fact("Active for", activeFor(row)),
      fact("Last activity", local(row.last_activity)),
      fact("Events", count(row.event_count)),
      fact("Main model", row.model_used),
    ),
    notes(row),
  ];
}

/** Where else costs of a row count, and which of others count in it. */
function moves(row) {
  const { moved_to: to = {}, moved_from: from = {} } = row.cost_breakdown;
  const [left, arrived] = [Object.keys(to), Object.keys(from)];
  if (movedTo(row).length)
    return says("note", "Its cost counts there, with its agents, sessions and models.");
  return [
    arrived.length > 0 && h("p", { class: "note" }, "with what was moved here from ", names(arrived)),
    left.length > 0 && h("p", { class: "note" }, "without what was moved to ", names(left)),
  ];
}

const names = (ids) => [
  ids.slice(0, NAMES_SHOWN).map((id, at) => [at > 0 && ", ", workflowName(id)]),
  ids.length > NAMES_SHOWN && ` and ${count(ids.length - NAMES_SHOWN)} more`,
];

const BASIS = {
  reported: "reported: every dollar was reported",
  priced: "priced: some part was priced from tokens",
  partial: "partial: the true cost is at least this",
};
const basis = (row) =>
  isHeld(row) ? "held: more is stored than the ledger adds up to" : (BASIS[row.cost_basis] ?? "no reading yet");

/** What needs attention in the breakdown, or was accepted. */
function notes(row) {
  const { unpriced = {}, possible_double_counting: twice, unread_events: unread } = row.cost_breakdown;
  const retries = row.cost_breakdown.retries_without_counter;
  const items = Object.entries(unpriced).map(
    ([model, { events, tokens }]) =>
      `unpriced: ${model}, ${many(events, "message")}, ${count(tokens)} tokens; costledger prices -- ${word(model)}`,
  );
  if (twice) items.push(`possible double counting: ${[twice].flat().join(", ")}`);
  if (retries) items.push(`the cost is at least this: a retry without a counter read less: ${retries.join(", ")}`);
  if (unread) items.push("events of a newer version: upgrade costledger");
  items.push(...difference(row.application));
  if (isHeld(row))
    items.push("held: more is stored than the ledger adds up to; resync with force shows pure replay");
  for (const [kind, { reason }] of Object.entries(row.cost_breakdown.accepted ?? {}))
    items.push(`accepted: ${kind.replaceAll("_", " ")}: ${reason}`);
  return items.length
    ? h(
        "ul",
        { class: "notes" },
        items.map((note) => h("li", {}, note)),
      )
    : null;
}

function resync(id, scope, done) {
  if (scope !== "admin") return h("p", { class: "muted" }, "Your token may read; one for admin may also resync.");
  const answer = h("p", { id: "resynced", role: "status" });
  const force = h("input", { type: "checkbox", id: "force" });
  const work = async () => {
    fill(answer, "Reading the sources again…");
    const { changes, appended, errors } = await api.resync(id, force.checked).finally(() => fill(answer));
    const change = changes.find((change) => change.adw_id === id);
    fill(
      answer,
      change
        ? ["The cost was put right: ", h("s", {}, costBefore(change.old_cost)), " → ", h("strong", {}, usd(change.new_cost)), "."]
        : "The cost is what it was.",
      ` The sources had ${appended ? many(appended, "new event") : "no new event"}.`,
      errors.length > 0 && h("span", { class: "bad" }, ` ${errors.join("; ")}`),
    );
  };
  const title = "Running rows show pure replay, too, even where more is stored";
  return h("div", { class: "actions" }, [
    act("Resync", { class: "main", id: "resync" }, work, done),
    h("label", { class: "box", title }, force, " force pure replay"),
    answer,
  ]);
}

function auditTable(entries) {
  if (!entries.length) return says("quietly", "The cost was never changed.");
  return table({
    caption: "Changes of the stored cost",
    columns: heads("When/when, From/figures, To/figures, Change/figures, Why/wide"),
    rows: entries
      .toReversed()
      .map((entry) => [
        local(entry.timestamp),
        costBefore(entry.old_cost),
        amount(entry.new_cost),
        change(nanousd(entry.new_cost) - nanousd(entry.old_cost ?? "0.00")),
        entry.reason,
      ]),
    most: AUDIT_SHOWN,
  });
}

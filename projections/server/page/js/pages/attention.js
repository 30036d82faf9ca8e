// What needs attention: findings about workflows and about the server, each with its next step, or accepted.

import { act } from "../actions.js";
import { api } from "../api.js";
import { h, heads, table } from "../dom.js";
import { many } from "../format.js";
import { workflowName } from "../parts.js";

const FINDINGS_SHOWN = 8;

/** @param {() => void} done called once one was accepted */
export async function findings(signal, scope, done) {
  const [{ findings: rows }, health] = await Promise.all([api.stale(signal), api.health(signal)]);
  const found = [
    ...ofServer(health),
    ...rows.map((one) => [
      workflowName(one.adw_id),
      one.why,
      [h("code", {}, one.next_step), scope !== "read" && settled(one, done)],
    ]),
  ];
  if (!found.length) return h("p", { class: "quietly" }, "Nothing needs attention. ", h("a", { href: "#/health" }, "Prove the ledgers"), " to be sure.");
  return table({ caption: "Needs attention", columns: heads("Where/named, What, Next step"), rows: found, most: FINDINGS_SHOWN });
}

const RESYNCED = ["held", "source_grown", "copy_held", "copy_overwritten", "copy_wrong"];
const ENDS = { completed: "It completed", failed: "It failed", cancelled: "It was cancelled" };

/** How a finding is settled here: what its next step says, or that the figure is right as it is. */
function settled({ adw_id: id, kind }, done) {
  const resync = () => api.resync(id, kind.endsWith("held"));
  const ends = Object.entries(kind === "silent" ? ENDS : {});
  const button = (text, title, work) => [" ", act(text, { class: "small", title }, work, done)];
  return [
    RESYNCED.includes(kind) && button("Resync", "Read the sources again, and show pure replay", resync),
    ends.map(([status, text]) => button(text, "Record its end", () => api.end(id, status))),
    button("Accept…", "It is right as it is", () => accept(id, kind)),
  ];
}

/** Accept a finding whose figure is right as it is; the reason goes into the ledger. */
function accept(id, kind) {
  const reason = window.prompt(`Why is ${id} right as it is? This stays in its ledger.`);
  return reason?.trim() ? api.accept(id, reason, [kind]) : false;
}

/** What is wrong with the server or whole ledgers; the health page has it all. */
function ofServer(health) {
  const look = h("a", { href: "#/health", class: "when" }, "see Health");
  const notes = [];
  const add = (what) => notes.push([h("a", { href: "#/health" }, "Health"), what, look.cloneNode(true)]);
  if (!health.ready) add("rows do not follow their ledgers");
  for (const [id, what] of Object.entries(health.problems)) notes.push([workflowName(id), what, look.cloneNode(true)]);
  if (health.misplaced) add(health.misplaced);
  if (health.verification?.findings_count)
    add(`${many(health.verification.findings_count, "finding")} of the last verification`);
  if (health.leftovers.fenced.count) add(`${many(health.leftovers.fenced.count, "fenced ledger")}: no event can be appended`);
  const unpriced = Object.keys(health.unpriced);
  if (unpriced.length)
    add(
      `some usage of ${unpriced.join(", ")} was recorded without a price; costs are at least what is shown ` +
        "(once there is one: costledger reprice)",
    );
  const dead = health.webhooks.reduce((sum, endpoint) => sum + endpoint.dead, 0);
  if (dead) add(`${many(dead, "webhook message")} given up`);
  return notes;
}

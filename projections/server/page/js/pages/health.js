// Health: whether rows follow their ledgers, whether the ledgers are what they were, and what did not arrive.

import { act } from "../actions.js";
import { api } from "../api.js";
import { cut, fill, h, heads, part, says, section, table, withCode } from "../dom.js";
import { count, day, local, many, UNATTRIBUTED, word } from "../format.js";
import { calmly, live } from "../live.js";
import { fact, workflowName } from "../parts.js";
import { spansOf } from "../periods.js";
import { link } from "../router.js";
import { deliveries } from "./deliveries.js";

const EVERY_MS = 5000;
const SHOWN = 20;
const good = (...text) => h("p", {}, h("span", { class: "good" }, "✓ "), text);
const boxed = (...what) => h("div", { class: "quietly" }, what);
const bad = (...text) => h("p", { class: "bad" }, "✕ ", text);

/** @param {HTMLElement} main @param {import("../main.js").View} view */
export async function health(main, { signal, scope }) {
  const parts = part(async () => {
    const found = await api.health(signal);
    const webhooks = found.webhooks.length ? await api.webhooks(signal) : { endpoints: [], dead_letters: [] };
    if (found.verification?.finished_at === null) setTimeout(again, 0);
    return [
      h("div", { class: "columns" }, following(found), verification(found.verification, scope, again)),
      found.verification?.findings_count ? findings(found.verification) : null,
      ledgers(found),
      unpriced(found.unpriced),
      sources(found.sources),
      deliveries(webhooks, scope, again),
    ];
  }, signal);
  const again = calmly(parts.load, signal);
  fill(main, h("h1", {}, "Health"), parts.element);
  await parts.load();
  const timer = setInterval(() => document.hidden || again(), EVERY_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
  for (const name of ["row", "again"]) live.addEventListener(name, again, { signal });
}

function following(found) {
  const damaged = Object.keys(found.problems).length;
  const lag = `${count(Math.round(found.refresh_lag_seconds * 1000))} ms`;
  return section(
    "Rows and ledgers",
    boxed(
      found.ready
        ? damaged
          ? bad(`Rows follow their ledgers, but for ${many(damaged, "ledger")} that cannot be replayed.`)
          : good("Rows follow their ledgers.")
        : bad(`Rows do not follow their ledgers: ${found.error ?? "the last look at them is long ago"}`),
      found.misplaced ? bad(found.misplaced) : null,
      found.application && copied(found.application),
      h(
        "dl",
        { class: "facts" },
        fact("Last look", local(found.refreshed_at) || "never"),
        fact("Refresh lag", lag),
        fact("Open streams", count(found.streams)),
      ),
    ),
  );
}

/** The state of an application's own table. */
function copied({ error, waiting }) {
  if (error) return bad(`The application's table is not kept in step: ${error}`);
  if (waiting) return bad(`${many(waiting, "row")} of the application's table wait: costledger resync`);
  return good("The application's table follows the rows.");
}

function verification(last, scope, again) {
  const running = last && last.finished_at === null;
  const button =
    scope === "admin" && act(running ? "Verifying…" : "Verify now", { id: "verify", disabled: running }, api.verify, again);
  return section(
    "Verification",
    boxed(outcome(last), h("div", { class: "actions" }, button)),
  );
}

function outcome(last) {
  if (!last) return h("p", {}, "The ledgers have not been proven since the server was started.");
  if (last.finished_at === null) return h("p", {}, `Began ${local(last.started_at)}…`);
  if (last.error) return bad(last.error);
  const read = `${many(last.ledgers, "ledger")}, ${many(last.events, "event")} and ${many(last.rows, "row")}, ${local(last.finished_at)}`;
  if (last.findings_count) return bad(`${many(last.findings_count, "finding")} in ${read}.`);
  return good(`Every chain verified, and every row was its replay: ${read}. What came later was not looked at.`);
}

/** In full width: problems and next steps are sentences. */
const findings = (last) =>
  section(
    "Findings",
    table({
      caption: "Findings",
      columns: heads("Workflow, Finding, Next step"),
      rows: last.findings.map((finding) => [
        workflowName(finding.workflow_id),
        finding.problem,
        finding.next_step.startsWith("costledger ") ? h("code", {}, finding.next_step) : withCode(finding.next_step),
      ]),
      most: SHOWN,
    }),
  );

const LEFTOVERS = {
  fenced: "a sync failed, and nothing was appended since",
  torn: "an unfinished last line, never acknowledged, was moved aside",
  damaged: "what a salvage put aside",
};

function ledgers(found) {
  const rows = Object.entries(found.problems).map(([id, what]) => [workflowName(id), what]);
  for (const [kind, what] of Object.entries(LEFTOVERS)) {
    const { count: many, names } = found.leftovers[kind];
    if (many) rows.push([`${count(many)} ${kind}`, [what, ": ", names.join(", ")]]);
  }
  return section(
    "Ledgers",
    rows.length
      ? table({ caption: "Ledgers with trouble", columns: heads("Ledger, What"), rows })
      : boxed(good(`No ledger that was read since the server was started is damaged; none is fenced or torn.`)),
  );
}

/** Where a model's usage leads: the workflows of a year that have some. */
function behind(model) {
  const [, since, until] = spansOf(day(new Date())).year;
  return link(["spend"], { by: "workflow", period: "month", since, until, where: `model=${model === UNATTRIBUTED ? "" : model}` });
}

function unpriced(models) {
  const rows = Object.entries(models).map(([model, { events, tokens }]) => [
    h("a", { href: behind(model) }, cut(model)),
    count(events),
    count(tokens),
    model === UNATTRIBUTED ? "its source names no model" : h("code", {}, `costledger prices -- ${word(model)}`),
  ]);
  return section(
    "Usage without a price",
    rows.length
      ? table({
          caption: "Usage without a price",
          columns: heads("Model/named, Messages/figures, Tokens/figures, Next step"),
          rows,
          most: SHOWN,
        })
      : boxed(good("All usage has a price.")),
  );
}

function sources(followed) {
  if (!followed.length)
    return section("Sources", says("quietly", "None is followed. `costledger serve --watch adw:path/to/agents` follows one."));
  return section(
    "Sources",
    table({
      caption: "Sources that are followed",
      columns: heads("Kind, Path, State"),
      rows: followed.map(({ kind, path, trouble }) => [
        kind,
        h("span", { class: "path" }, path),
        trouble ? h("span", { class: "bad" }, trouble) : "followed",
      ]),
      most: SHOWN,
    }),
  );
}

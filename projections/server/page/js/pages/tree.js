// A workflow as a tree: agent, session, model and message, each with its cost and its time; above it the same as an icicle.

import { api } from "../api.js";
import { colours } from "../colours.js";
import { cut, fill, h, line, part, s, section, table } from "../dom.js";
import { count, duration, local, many, minute, nanousd, usd, wire } from "../format.js";
import { about, share, sum } from "../parts.js";

const LEVELS = ["agent", "session_id", "model"];
const NAMES = { agent: "agent", session_id: "session", model: "model", message: "message" };
const CHILDREN_SHOWN = 30;
const ROW_PX = 24;
const COLUMNS = [
  { name: "Agent, session, model, message", wide: true },
  { name: "Cost", figures: true },
  { name: "Share", figures: true },
  { name: "Tokens", figures: true },
  { name: "When", track: true },
];

/** What viewers opened, by workflow; it stays when figures are renewed. */
const opened = new Map();

/**
 * The tree of a workflow, as a part of its page.
 * @param {() => object} rowNow the workflow's row as it is now
 * @param {(seq: number) => void} toEvent shows an event of the ledger
 */
export function treeOf(id, rowNow, toEvent, signal) {
  const loaded = part(async () => shown(id, await api.tree(id, signal), rowNow(), toEvent), signal);
  return { element: section("By agent, session and model", loaded.element), load: loaded.load };
}

function shown(id, tree, row, toEvent) {
  const root = rooted(tree);
  if (!root.children.length) return h("p", { class: "quietly" }, "Nothing was read yet.");
  const open = opened.get(id) ?? new Set(root.children.length === 1 ? [root.children[0].path] : []);
  opened.set(id, open);
  const span = spanOf(tree, row);
  const element = h("div", {});
  const redraw = (focus) => {
    const rows = root.children.flatMap((node) => lines(node, root, open, span, { redraw, toEvent }));
    fill(
      element,
      icicle(root, (node) => {
        for (let one = node; one !== root; one = one.parent) open.add(one.path);
        redraw(node.path);
      }),
      span.note,
      table({ caption: "Cost by agent, session, model and message", columns: COLUMNS, rows }),
    );
    if (focus) element.querySelector(`[data-path="${CSS.escape(focus)}"]`)?.focus();
  };
  redraw();
  return element;
}

/** The tree of the flat answer; each node costs what its branches add up to. */
function rooted({ branches, messages }) {
  const node = (parent, kind, name) => {
    const path = parent ? `${parent.path}/${kind}:${name ?? ""}` : "";
    return { parent, kind, name, path, cost: 0n, unpriced: 0, tokens: 0, first: null, last: null, children: [], seq: null };
  };
  const root = node(null, "workflow", null);
  const child = (parent, kind, name) => {
    let found = parent.children.find((one) => one.kind === kind && one.name === name);
    if (!found) parent.children.push((found = node(parent, kind, name)));
    return found;
  };
  const branchOf = (of) => LEVELS.reduce((at, kind) => (of[kind] === null && kind !== "agent" ? at : child(at, kind, of[kind])), root);
  const add = (at, cost, tokens, first, last) => {
    for (let one = at; one; one = one.parent) {
      one.cost += cost;
      one.tokens += tokens;
      if (first && (!one.first || first < one.first)) one.first = first;
      if (last && (!one.last || last > one.last)) one.last = last;
    }
  };
  for (const branch of branches)
    add(branchOf(branch), nanousd(branch.cost_usd), branch.total_tokens, branch.first_at, branch.last_at);
  for (const message of messages) {
    const leaf = child(branchOf(message), "message", message.message_id);
    Object.assign(leaf, {
      cost: message.cost_usd === null ? null : nanousd(message.cost_usd),
      tokens: message.total_tokens,
      first: message.at,
      last: message.at,
      seq: message.seq,
    });
    if (message.cost_usd === null) for (let one = leaf.parent; one; one = one.parent) one.unpriced += 1;
  }
  sort(root);
  return root;
}

/** Agents, sessions and models by cost; messages in their order. */
function sort(node) {
  const rank = (one) => (one.kind === "message" ? 0n : (one.cost ?? 0n));
  node.children.sort((a, b) => (rank(a) === rank(b) ? (a.seq ?? 0) - (b.seq ?? 0) : rank(a) > rank(b) ? -1 : 1));
  node.children.forEach(sort);
}

/** A sum lacks the messages below it that have no price. */
const costOf = ({ cost, unpriced }) =>
  cost === null ? "unpriced" : sum({ cost_usd: wire(cost), at_least: unpriced > 0, unpriced_events: unpriced });

const label = (node) => node.name ?? "(unattributed)";

/** The rows of a node and of what is open below it. */
function lines(node, root, open, span, ways) {
  const depth = node.path.split("/").length - 2;
  const isOpen = open.has(node.path);
  const turn = () => {
    if (isOpen) open.delete(node.path);
    else open.add(node.path);
    ways.redraw(node.path);
  };
  const button = node.children.length
    ? h(
        "button",
        { type: "button", class: "branch", "data-path": node.path, "aria-expanded": String(isOpen), onclick: turn },
        h("span", { "aria-hidden": "true" }, isOpen ? "▾ " : "▸ "),
        cut(label(node)),
      )
    : node.seq === null
      ? h("span", { class: "branch" }, cut(label(node)))
      : h(
          "button",
          { type: "button", class: "branch", "data-path": node.path, onclick: () => ways.toEvent(node.seq) },
          cut(label(node)),
        );
  const first = h("div", { class: "node" }, button, h("small", {}, ` ${NAMES[node.kind]}`));
  first.style.paddingLeft = `${depth * 18}px`;
  const whole = Number(root.cost) || 1;
  const own = line(COLUMNS, [
    first,
    costOf(node),
    !node.cost ? "" : share(Number(node.cost) / whole),
    about(node.tokens),
    track(node, span),
  ]);
  if (!isOpen) return [own];
  const shownChildren = node.children.slice(0, CHILDREN_SHOWN);
  const rest = node.children.length - shownChildren.length;
  const below = shownChildren.flatMap((one) => lines(one, root, open, span, ways));
  if (rest > 0) below.push(line(COLUMNS, [h("small", {}, `and ${many(rest, "more")}, in the events below`)]));
  return [own, ...below];
}

/** From the first start to the end, or to the latest reading, or now while it is active. */
function spanOf({ runs, branches, message_count: messages }, row) {
  const moments = [
    ...runs.flatMap((run) => [run.started_at, run.ended_at]),
    ...branches.flatMap((branch) => [branch.first_at, branch.last_at]),
  ]
    .filter(Boolean)
    .map(Date.parse);
  const active = row.status === "running" && !row.idle;
  const from = Math.min(...moments);
  const to = Math.max(...moments, active ? Date.now() : -Infinity);
  const words = runs.map(
    (run) =>
      `run ${run.run} ${run.status}${run.started_at ? `, from ${minute(run.started_at)}` : ""}${run.ended_at ? ` to ${minute(run.ended_at)}` : ""}`,
  );
  const note = h("p", { class: "note" }, [
    runs.length > 1 ? `${many(runs.length, "run")}: ${words.join("; ")}. ` : "",
    `The times are from ${local(from)} to ${active ? "now" : local(to)}, ${duration((to - from) / 1000)}`,
    row.idle ? `; idle since ${local(row.last_activity)}` : "",
    messages ? `; ${many(messages, "message")}.` : ".",
  ]);
  return { from, to, runs, note };
}

/** When a node was active, between the first and the last moment of the workflow; its runs are behind it. */
function track(node, { from, to, runs }) {
  const part = (moment) => (to === from ? 0 : ((Date.parse(moment) - from) / (to - from)) * 100);
  const placed = (element, first, last) => {
    element.style.left = `${part(first)}%`;
    element.style.width = `max(3px, ${part(last) - part(first)}%)`;
    return element;
  };
  if (!node.first) return "";
  const bands = runs
    .filter((run) => run.started_at)
    .map((run) => placed(h("span", { class: "run" }), run.started_at, run.ended_at ?? new Date(to).toISOString()));
  const title = `${local(node.first)} to ${local(node.last)}`;
  return h("span", { class: "track", title }, bands, placed(h("span", { class: "active" }), node.first, node.last));
}

/** The cost as areas: each level a row, each node as wide as its cost. A click opens the node in the table. */
function icicle(root, choose) {
  const depth = (node) => 1 + Math.max(0, ...node.children.map(depth));
  const rows = Math.min(4, depth(root) - 1);
  const colour = colours(root.children.map((node) => ({ group: node.name, cost_usd: wire(node.cost) })));
  const height = rows * ROW_PX;
  const svg = s("svg", { class: "icicle", width: "100%", height, "aria-hidden": "true", preserveAspectRatio: "none" });
  const whole = Number(root.cost);
  if (whole <= 0) return null;
  const place = (node, left, level, series) => {
    let at = left;
    for (const one of node.children) {
      const width = (Number(one.cost ?? 0n) / whole) * 100;
      if (width <= 0.05 || level >= rows) continue;
      const of = level === 0 ? colour(one.name) : series;
      const [x, y] = [`${at.toFixed(3)}%`, level * ROW_PX];
      const box = { x, y, width: `${width.toFixed(3)}%`, height: ROW_PX - 1 };
      const area = s("g", { class: "area-of", onclick: () => choose(one) }, [
        s("title", {}, `${label(one)}: ${usd(one.cost)}, ${count(one.tokens)} tokens`),
        s("rect", { ...box, "data-series": of, "fill-opacity": 0.55 - level * 0.1 }),
        width > 8 && s("svg", box, s("text", { x: 6, y: ROW_PX - 8 }, `${label(one)} ${usd(one.cost)}`)),
      ]);
      svg.append(area);
      place(one, at, level + 1, of);
      at += width;
    }
  };
  place(root, 0, 0, null);
  return h("div", { class: "areas" }, svg);
}

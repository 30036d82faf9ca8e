// A workflow as a tree: agent, session, model and message, each with its cost and its time; above it the same as an icicle.

import { api } from "../api.js";
import { colours } from "../colours.js";
import { button, cut, fill, h, heads, line, part, s, says, section, table } from "../dom.js";
import { count, isActive, nanousd, many, usd, wire } from "../format.js";
import { about, share, sum } from "../parts.js";
import { isSame, LEVELS } from "./branch.js";
import { axis, spanOf, track } from "./times.js";

const NAMES = { agent: "agent", session_id: "session", model: "model", message: "message" };
const CHILDREN_SHOWN = 30;
const ROWS_SHOWN = 100;
const TICK_MS = 1000;
const ROW_PX = 24;
const COLUMNS = heads("Branch/wide, Cost/figures, Share/figures, Tokens/figures, When/track");

/** What viewers opened, by workflow; it stays when figures are renewed. */
const opened = new Map();

/**
 * The tree of a workflow, as a part of its page.
 * @param {() => object} rowNow the workflow's row as it is now
 * @param {{branch: object, runs: object[]}} chosen the branch that is marked; the runs are those of the tree
 * @param {{choose: (branch: object, focus: string) => void, toEvent: (seq: number) => void, loaded: () => void}} ways
 *   what choosing a branch and a message does, and what follows when the tree was loaded
 */
export function treeOf(id, rowNow, chosen, ways, signal) {
  let drawn = null;
  const loaded = part(async () => {
    const tree = await api.tree(id, signal);
    chosen.runs = tree.runs;
    drawn = shown(id, tree, rowNow(), chosen, ways);
    return drawn.element;
  }, signal);
  const load = async () => {
    const failed = await loaded.load();
    ways.loaded();
    return failed;
  };
  const timer = setInterval(() => isActive(rowNow()) && drawn?.tick(), TICK_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
  return { element: section("By agent, session and model", loaded.element), load, draw: (focus) => drawn?.draw(focus) };
}

function shown(id, tree, row, chosen, ways) {
  const root = rooted(tree);
  if (!root.children.length)
    return { element: says("quietly", "Nothing was read yet."), draw: () => {}, tick: () => {} };
  const open = opened.get(id) ?? new Set(root.children.length === 1 ? [root.children[0].path] : []);
  opened.set(id, open);
  const span = spanOf(tree, row);
  const element = h("div", {});
  const tick = () => {
    if (span.active) span.to = Date.now();
    element.style.setProperty("--span", span.scale());
    element.querySelector(".note").textContent = span.note();
  };
  const columns = [...COLUMNS.slice(0, -1), { ...COLUMNS.at(-1), head: axis(span) || null }];
  const draw = (focus) => {
    reveal(root, chosen.branch, open);
    const rows = root.children.flatMap((node) => lines(node, root, open, span, { ...ways, chosen }));
    const most = Object.keys(chosen.branch).length ? Infinity : ROWS_SHOWN; // the chosen one is shown
    fill(
      element,
      icicle(root, chosen, (node) => ways.choose(node.branch, node.path)),
      h("p", { class: "note" }),
      table({ caption: "Cost by agent, session, model and message", columns, rows, most }),
    );
    tick();
    if (focus) element.querySelector(`[data-path="${CSS.escape(focus)}"]`)?.focus();
  };
  draw();
  return { element, draw, tick };
}

/** Open what the chosen branch is in. @returns whether it is below a node */
function reveal(node, branch, open) {
  const below = node.children.some((one) => reveal(one, branch, open));
  if (below) open.add(node.path);
  return below || (node.seq === null && isSame(node.branch, branch));
}

/** The tree of the flat answer; each node costs what its branches add up to. */
function rooted({ branches, messages }) {
  const node = (parent, kind, name, branch) => {
    const path = parent ? `${parent.path}/${kind}:${name ?? ""}` : "";
    const sums = { cost: 0n, least: false, unpriced: 0, tokens: 0, times: [] };
    return { parent, kind, name, branch, path, ...sums, children: [], seq: null };
  };
  const root = node(null, "workflow", null, {});
  const child = (parent, kind, name, branch) => {
    let found = parent.children.find((one) => one.kind === kind && one.name === name);
    if (!found) parent.children.push((found = node(parent, kind, name, branch)));
    return found;
  };
  const nodeOf = (of) => {
    let at = root,
      branch = {};
    for (const kind of LEVELS) {
      branch = { ...branch, [kind]: of[kind] };
      if (of[kind] !== null || kind === "agent") at = child(at, kind, of[kind], branch);
    }
    return at;
  };
  for (const branch of branches)
    for (let one = nodeOf(branch); one; one = one.parent) {
      one.cost += nanousd(branch.cost_usd);
      one.tokens += branch.total_tokens;
      one.least ||= branch.at_least;
      one.unpriced += branch.unpriced_events;
      if (branch.first_at) one.times.push([branch.first_at, branch.last_at]);
    }
  for (const message of messages) {
    const above = nodeOf(message);
    Object.assign(child(above, "message", message.message_id, above.branch), {
      cost: message.cost_usd === null ? null : nanousd(message.cost_usd),
      tokens: message.total_tokens,
      times: [[message.at, message.at]],
      seq: message.seq,
    });
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

const costOf = ({ cost, least, unpriced }) =>
  cost === null ? "unpriced" : sum({ cost_usd: wire(cost), at_least: least, unpriced_events: unpriced });

const label = (node) => node.name ?? "(unattributed)";

/** The rows of a node and of what is open below it. */
function lines(node, root, open, span, ways) {
  const depth = node.path.split("/").length - 2;
  const isOpen = open.has(node.path);
  const isMessage = node.seq !== null;
  const isChosen = !isMessage && isSame(node.branch, ways.chosen.branch);
  const turn = () => {
    if (isOpen && isChosen) open.delete(node.path);
    else open.add(node.path);
    ways.choose(isOpen && isChosen ? {} : node.branch, node.path);
  };
  const arrow = node.children.length > 0 && h("span", { "aria-hidden": "true" }, isOpen ? "▾ " : "▸ ");
  const press = isMessage ? () => ways.toEvent(node.seq) : turn;
  const name = button([arrow, cut(label(node))], press, {
    class: "branch",
    "data-path": node.path,
    "aria-expanded": node.children.length ? String(isOpen) : null,
    "aria-current": isChosen ? "true" : null,
  });
  const first = h("div", { class: "node" }, name, h("small", {}, ` ${NAMES[node.kind]}`));
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

/** The cost as areas: each level a row, each node as wide as its cost. A click opens the node in the table. */
function icicle(root, chosen, choose) {
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
      const marked = one.seq === null && isSame(one.branch, chosen.branch);
      const area = s("g", { class: marked ? "area-of chosen" : "area-of", onclick: () => choose(one) }, [
        s("title", {}, `${label(one)}: ${usd(one.cost)}, ${count(one.tokens)} tokens`),
        s("rect", { ...box, "data-series": of, "fill-opacity": 0.55 - level * 0.1 }),
        width > 8 && s("foreignObject", box, h("span", { class: "cut" }, `${label(one)} ${usd(one.cost)}`)),
      ]);
      svg.append(area);
      place(one, at, level + 1, of);
      at += width;
    }
  };
  place(root, 0, 0, null);
  return h("div", { class: "areas" }, svg);
}

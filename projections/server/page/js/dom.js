// Elements. What agents call themselves reaches the page only as text: nothing here parses HTML.

import { released } from "./pointer.js";

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Node | string | number | null | undefined | false | Child[]} Child */

/**
 * An element: `h("a", {href: "#/", class: "id", onclick: go}, "text", child)`.
 * @param {string} tag
 * @param {Record<string, any>} properties attributes; `on…` listens; false, null and undefined are left out
 * @param {...Child} children
 */
export const h = (tag, properties = {}, ...children) => made(document.createElement(tag), properties, children);

/** The same for SVG. */
export const s = (tag, properties = {}, ...children) => made(document.createElementNS(SVG, tag), properties, children);

function made(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...nodes(children));
  return element;
}

/** @param {Child[]} children @returns {(Node | string)[]} */
function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : String(child)));
}

/** A button that does something in the page. */
export const button = (text, onclick, properties = {}) => h("button", { type: "button", onclick, ...properties }, text);

/** Replace the content of an element. */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
  return element;
}

/** The same; who has the focus in it keeps it, when its like is there again. */
function renewed(element, content) {
  const { activeElement: focused } = document;
  const within = element.contains(focused);
  fill(element, content);
  if (!within) return;
  const like = focused.id
    ? document.getElementById(focused.id)
    : [...element.querySelectorAll("a")].find(({ href }) => href === focused.href);
  like?.focus({ preventScroll: true });
}

/** Go on reading at the top of an element: its page was turned. */
export function fromTop(element) {
  element.tabIndex = -1;
  element.focus({ preventScroll: true });
  element.scrollIntoView();
}

/** Tables that were opened to their end; they stay open when their figures are renewed. */
const opened = new Set();

/**
 * A table that becomes cards on a narrow screen; each cell knows its column's name for that, and the roles keep what
 * a browser forgets when a table is no longer laid out as one.
 * @param {{caption: string, columns: {name: string, figures?: boolean, when?: boolean, wide?: boolean, named?: boolean, file?: boolean, track?: boolean, less?: boolean, head?: Node}[], rows: Child[][] | HTMLElement[], foot?: Child[], most?: number}} of
 *   `most` rows are shown at first, the others on demand
 */
export function table({ caption, columns, rows, foot, most = Infinity }) {
  const head = columns.map((column) =>
    h(
      "th",
      { scope: "col", role: "columnheader", class: kind(column), "aria-sort": column.sorted },
      column.head ?? column.name,
    ),
  );
  const shown = opened.has(caption) ? rows : rows.slice(0, most);
  const made = (some) => some.map((row) => (row instanceof Node ? row : line(columns, row)));
  const body = h("tbody", { role: "rowgroup" }, made(shown));
  const framed = h(
    "div",
    { class: "scroll" },
    h(
      "table",
      { role: "table" },
      h("caption", { class: "unseen" }, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)),
      body,
      foot && h("tfoot", { role: "rowgroup" }, line(columns, foot)),
    ),
  );
  const hidden = rows.slice(shown.length);
  if (!hidden.length) return framed;
  const open = (event) => {
    opened.add(caption);
    body.append(...made(hidden));
    event.target.parentElement.remove();
  };
  const all = button(`Show all ${rows.length.toLocaleString("en-US")}`, open);
  return h("div", {}, framed, h("p", { class: "more" }, all));
}

/** The columns of a table: "Model/wide, Cost/figures". */
export const heads = (text) =>
  text.split(", ").map((one) => {
    const [name, ...kinds] = one.split("/");
    return Object.assign({ name }, ...kinds.map((kind) => ({ [kind]: true })));
  });

/** Figures are aligned right, times are never broken, a wide column takes the rest and cuts what is longer; `less` has no room on small screens. */
const kind = (column) => ["figures", "when", "wide", "named", "file", "track", "less"].filter((name) => column[name]).join(" ") || null;

/** One row of such a table. */
export function line(columns, cells, properties = {}) {
  return h(
    "tr",
    { role: "row", ...properties },
    columns.map((column, at) =>
      h(
        "td",
        { role: "cell", class: kind(column), "data-name": column.name },
        Array.isArray(cells[at]) ? h("span", {}, cells[at]) : cells[at],
      ),
    ),
  );
}

/** The cells of a row, as nodes, for columns that have a `cell`. */
export const cellsOf = (columns, row) =>
  columns.map(({ cell }) => {
    const content = cell(row) ?? "";
    return content instanceof Node ? content : document.createTextNode(String(content));
  });

/** A section of a page under its heading. */
export const section = (title, ...children) => {
  const id = `part-${title.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`;
  return h("section", { "aria-labelledby": id }, h("h2", { id }, title), ...children);
};

/** Text that is cut where there is no room for it; hovering shows all of it. */
export const cut = (text) => (text ? h("span", { class: "cut", title: text }, text) : "");

/** Text in which what is between backticks is code. */
export const withCode = (text) => text.split("`").map((part, at) => (at % 2 ? h("code", {}, part) : part));

/** A paragraph of such text. */
export const says = (kind, text) => h("p", { class: kind }, withCode(text));

export const loading = () => h("p", { class: "loading" }, "Loading…");

/**
 * A part of a page that loads by itself: it shows that it loads, or why it could not, and keeps its content when a
 * later load fails. `load` returns the error that kept it from loading, if any.
 * @param {() => Promise<Child>} produce
 * @param {AbortSignal} signal
 * @param {HTMLElement} element what shows it; one that has content keeps it meanwhile
 */
export function part(produce, signal, element = h("div", { class: "part" })) {
  let shown = false;
  if (!element.hasChildNodes()) fill(element, loading());
  element.setAttribute("aria-busy", "true");
  const load = async () => {
    try {
      const content = await produce();
      await released();
      if (signal.aborted) return;
      renewed(element, content);
      shown = true;
    } catch (error) {
      if (signal.aborted || error.name === "AbortError" || error.status === 401) return;
      if (!error.status && error.name === "TypeError") console.error(error);
      if (shown) element.querySelector(":scope > .problem")?.remove();
      if (shown) element.prepend(problem(error, load));
      else fill(element, problem(error, load));
      element.removeAttribute("aria-busy");
      return error;
    }
    element.removeAttribute("aria-busy");
  };
  return { element, load };
}

/** What to do when there is nothing to show: a sentence, and commands to copy. */
export const empty = (sentence, ...commands) =>
  h(
    "div",
    { class: "empty" },
    h("p", {}, sentence),
    commands.map((command) => h("pre", {}, h("code", {}, command))),
  );

/** An error, and in its detail what to do next. */
export const problem = (error, again) =>
  h(
    "div",
    { class: "problem", role: "alert" },
    h("p", {}, error.message),
    again && button("Try again", again),
  );

/** Announce a change to the eye: the background flashes once. */
export function flash(element) {
  element.classList.remove("changed");
  void element.offsetWidth; // restarts the animation
  element.classList.add("changed");
}

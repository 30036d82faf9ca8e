// The keyboard: Ctrl-K finds a page, a workflow or a saved view; "/" searches; "j" and "k" step through rows.

import { api } from "./api.js";
import { fill, h } from "./dom.js";
import { rowCost } from "./format.js";
import { go, workflowLink } from "./router.js";
import { store, stored } from "./stored.js";

const PAGES = [
  ["Overview", "#/"],
  ["Workflows", "#/workflows"],
  ["Running workflows", "#/workflows?status=running"],
  ["Spend", "#/spend"],
  ["Spend by project", "#/spend?by=project"],
  ["Spend by agent", "#/spend?by=agent"],
  ["Health", "#/health"],
];
const KEYS = [
  ["Ctrl-K", "find a page, a workflow or a saved view; save a view"],
  ["/", "search"],
  ["j, k", "the next or the previous row; Enter opens it"],
  ["← →", "step through a chart; Enter opens a bar"],
  ["?", "these keys"],
];
const FOUND = 8;
const WAIT_MS = 150;
const STORED = "costledger.views";

/** Saved views: name and address, in this browser. @returns {[string, string][]} */
const views = () => stored(STORED).filter(([name, to]) => typeof name === "string" && /^#\//.test(to));

const input = h("input", {
  type: "search",
  role: "combobox",
  "aria-expanded": "true",
  "aria-controls": "found",
  "aria-label": "Find a page, a workflow or a saved view",
  placeholder: "Find a page, a workflow, a saved view …",
  autocomplete: "off",
  maxlength: 200,
});
const list = h("ul", { id: "found", role: "listbox", "aria-label": "Found" });
const dialog = h("dialog", { class: "palette", "aria-label": "Find" }, input, list);

let chosen = 0;
let searching = new AbortController();

/** Make the shortcuts work. */
export function shortcuts() {
  document.body.append(dialog);
  addEventListener("keydown", pressed);
  document.addEventListener("click", openRow);
  input.addEventListener("input", () => offer());
  input.addEventListener("keydown", steer);
  dialog.addEventListener("close", () => searching.abort());
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
  document.getElementById("find").addEventListener("click", open);
}

function open() {
  if (dialog.open) return;
  input.value = "";
  dialog.showModal();
  offer();
}

function pressed(event) {
  if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
    event.preventDefault();
    return dialog.open ? dialog.close() : open();
  }
  if (dialog.open || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input, select, textarea, [contenteditable]")) return;
  const act = { "/": search, j: () => step(1), k: () => step(-1), "?": help }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

/** The search of the page, or this one. */
function search() {
  const field = document.querySelector("main input[type=search]");
  const closed = field?.closest("details:not([open])");
  if (closed) closed.open = true;
  if (field) field.focus();
  else open();
}

/** Focus the link of the next row of a table. */
function step(by) {
  const links = [...document.querySelectorAll("main tbody tr")].flatMap((row) => row.querySelector("a[href]") ?? []);
  if (!links.length) return;
  const at = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
  links[at < 0 ? 0 : Math.max(0, Math.min(links.length - 1, at + by))].focus();
}

/** A row opens its workflow wherever it is clicked, but not when text is selected in it. */
function openRow({ target, defaultPrevented, button, ctrlKey, metaKey, shiftKey }) {
  const row = target.closest?.("tr[data-workflow]");
  if (!row || defaultPrevented || button || ctrlKey || metaKey || shiftKey || !getSelection().isCollapsed) return;
  if (!target.closest("a, button, input, summary, details")) go(workflowLink(row.dataset.workflow));
}

function help() {
  open();
  show(KEYS.map(([keys, what]) => ({ text: h("span", {}, h("kbd", {}, keys), ` ${what}`) })));
}

/** Offer what matches; workflows follow when the server answers. */
async function offer() {
  searching.abort();
  searching = new AbortController();
  const { signal } = searching;
  const text = input.value.trim();
  const matches = ([name]) => name.toLowerCase().includes(text.toLowerCase());
  const pages = PAGES.filter(matches).map(([name, to]) => ({ text: name, hint: "page", to }));
  const saved = views()
    .filter(matches)
    .map(([name, to]) => ({ text: name, hint: "saved view", to, remove: () => remove(name) }));
  const save = text &&
    !views().some(([name]) => name === text) && { text: `Save this view as “${text}”`, act: () => keep(text) };
  const last = [save || [], { text: "Keys", hint: "?", act: help }].flat();
  show([...saved, ...pages, ...last]);
  if (!text) return;
  try {
    await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
    if (signal.aborted) return;
    const { workflows } = await api.workflows({ text, limit: FOUND }, signal);
    const found = workflows.map((row) => ({
      text: h("span", {}, h("span", { class: "id" }, row.adw_id), ` ${row.workflow_template ?? ""}`),
      hint: `${row.idle ? "idle" : row.status}, ${rowCost(row)}`,
      to: workflowLink(row.adw_id),
    }));
    if (!signal.aborted) show([...found, ...saved, ...pages, ...last]);
  } catch {
    // what else was found is there
  }
}

function keep(name) {
  store(STORED, [...views(), [name, location.hash || "#/"]]);
  input.value = "";
  offer();
}

function remove(name) {
  store(STORED, views().filter(([other]) => other !== name));
  offer();
}

function show(entries) {
  chosen = 0;
  fill(
    list,
    entries.map((entry, at) => {
      const take = () => {
        if (entry.to) {
          dialog.close();
          go(entry.to);
        } else entry.act?.();
      };
      return h(
        "li",
        { role: "option", id: `found-${at}`, onclick: take, class: entry.to || entry.act ? "live" : null },
        h("span", { class: "what" }, entry.text),
        entry.hint && h("small", {}, entry.hint),
        entry.remove && forget(entry.remove),
      );
    }),
  );
  mark();
}

const forget = (remove) =>
  h(
    "span",
    {
      class: "forget",
      title: "Remove this view",
      onclick: (event) => {
        event.stopPropagation();
        remove();
      },
    },
    "✕",
  );

function mark() {
  [...list.children].forEach((entry, at) => entry.setAttribute("aria-selected", String(at === chosen)));
  input.setAttribute("aria-activedescendant", `found-${chosen}`);
  list.children[chosen]?.scrollIntoView({ block: "nearest" });
}

function steer(event) {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (by) chosen = (chosen + by + list.children.length) % (list.children.length || 1);
  else if (event.key === "Escape") dialog.close(); // else the browser only empties the field
  else if (event.key === "Enter") list.children[chosen]?.click();
  else if (event.key === "Delete" && !input.value) list.children[chosen]?.querySelector(".forget")?.click();
  else return;
  event.preventDefault();
  if (by) mark();
}

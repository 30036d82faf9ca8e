// The shell: which page is shown, whether it is live, who is logged in.

import { api, whenUnauthorized } from "./api.js";
import { fill, h, problem } from "./dom.js";
import { ZONE } from "./format.js";
import { live } from "./live.js";
import { here } from "./router.js";
import { health } from "./pages/health.js";
import { login } from "./pages/login.js";
import { overview } from "./pages/overview.js";
import { spend } from "./pages/spend.js";
import { workflow } from "./pages/workflow.js";
import { workflows } from "./pages/workflows.js";

/** @typedef {{path: string[], query: URLSearchParams, signal: AbortSignal, scope: string | null}} View */

const PAGES = { "": overview, workflows, spend, health };
const STATES = { live: "● Live", waiting: "○ Reconnecting…", paused: "○ Paused" };

const main = document.getElementById("main");
const logout = document.getElementById("logout");
let leaving = new AbortController();
let access = null;
let shownPath = null;

/** Show the page that the address names; what the one before had begun is given up. */
async function show() {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const { path, query } = here();
  const moved = shownPath !== null && shownPath !== path.join("/");
  shownPath = path.join("/");
  mark(path[0] ?? "");
  try {
    access ??= await api.access();
    if (signal.aborted) return;
    logout.hidden = access.scope === null;
    if (access.token_needed && access.scope === null) {
      login(main, { done: begin });
      return entered(true);
    }
    const page = path[0] === "workflows" && path[1] ? workflow : PAGES[path[0] ?? ""];
    if (!page) throw new Error(`There is no page ${location.hash}.`);
    await page(main, { path, query, signal, scope: access.token_needed || access.scope ? access.scope : "admin" });
    if (!signal.aborted) entered(moved);
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return;
    if (error.status !== 401) fill(main, h("h1", {}, "Nothing to show"), problem(error, show));
  }
}

/** What a screen reader and the keyboard go on from after a change of page. */
function entered(moved) {
  const title = main.querySelector("h1");
  document.title = title ? `${title.textContent} · costledger` : "costledger";
  if (!moved) return;
  scrollTo(0, 0);
  main.focus({ preventScroll: true });
}

function mark(name) {
  for (const anchor of document.querySelectorAll("nav a")) {
    const current = anchor.getAttribute("href") === `#/${name}`;
    if (current) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
}

function begin() {
  access = null;
  live.start();
  return show();
}

whenUnauthorized(() => {
  access = null;
  show();
});
logout.addEventListener("click", async () => {
  await api.logout();
  location.reload();
});
live.addEventListener("state", ({ detail }) => {
  const sign = document.getElementById("live");
  sign.textContent = STATES[detail];
  sign.dataset.state = detail;
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address is the router's
  main.focus();
});
addEventListener("hashchange", show);
document.getElementById("zone").textContent = `Times are in ${ZONE}.`;

await show();
if (access && !(access.token_needed && access.scope === null)) live.start();

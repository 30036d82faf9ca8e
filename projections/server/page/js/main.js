// The shell: which page is shown, whether it is live, who is logged in.

import { api, whenUnauthorized } from "./api.js";
import { fill, h, loading, problem } from "./dom.js";
import { day, ZONE } from "./format.js";
import { live } from "./live.js";
import { shortcuts } from "./palette.js";
import { tick } from "./parts.js";
import { here } from "./router.js";
import { health } from "./pages/health.js";
import { login } from "./pages/login.js";
import { overview } from "./pages/overview.js";
import { spend } from "./pages/spend.js";
import { workflow } from "./pages/workflow.js";
import { workflows } from "./pages/workflows.js";

/**
 * `moved`: another page was shown before, so nothing of this one is there yet; `reopen` shows the page again from the start.
 * @typedef {{path: string[], query: URLSearchParams, signal: AbortSignal, scope: string | null, moved: boolean, reopen: () => void}} View
 */

const PAGES = { "": overview, workflows, spend, health };
const STATES = { live: "● Live", waiting: "○ Reconnecting…", paused: "○ Paused", ended: "" };

const main = document.getElementById("main");
const logout = document.getElementById("logout");
let leaving = new AbortController();
let access = null;
let lapsed = false; // the token that let in allows nothing any more
let shownPath = null;
let today = day(new Date());

/** Show the page that the address names; requests of the previous page are aborted. */
async function show() {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const { path, query } = here();
  const before = shownPath;
  shownPath = path.join("/");
  const moved = before !== shownPath;
  mark(path[0] ?? "");
  try {
    access ??= await api.access();
    if (signal.aborted) return;
    logout.hidden = access.scope === null;
    if (access.token_needed && access.scope === null) {
      shownPath = null;
      login(main, {
        lapsed,
        done: () => {
          access = null;
          lapsed = false;
          show();
        },
      });
      return entered(true);
    }
    await live.begin();
    if (signal.aborted) return;
    const page = path[0] === "workflows" && path.length === 2 ? workflow : path.length < 2 && PAGES[path[0] ?? ""];
    if (!page) {
      missing(`This page has no part “${location.hash.slice(0, 200)}”.`);
      return entered(moved);
    }
    const scope = access.token_needed || access.scope ? access.scope : "admin";
    const shown = page(main, { path, query, signal, scope, moved, reopen: show }); // its heading is there at once
    entered(moved && before !== null);
    await shown;
  } catch (error) {
    if (signal.aborted || error.name === "AbortError" || error.status === 401) return;
    shownPath = null;
    leaving.abort(); // what it listens to is gone
    leaving = new AbortController();
    const retry = { signal: leaving.signal };
    live.addEventListener("again", show, retry);
    live.addEventListener("row", ({ detail }) => error.status === 404 && detail.adw_id === path[1] && show(), retry);
    if (error.status === 404) missing(`No workflow is called “${path[1]}” here.`);
    else fill(main, h("h1", {}, "Nothing to show"), problem(error, show));
    entered(false);
  }
}

/** What was asked for is not here. */
function missing(why) {
  shownPath = null;
  fill(
    main,
    h("h1", {}, "Not found"),
    h(
      "p",
      { class: "empty" },
      why,
      " ",
      h("a", { href: "#/" }, "Overview"),
      " · ",
      h("a", { href: "#/workflows" }, "All workflows"),
    ),
  );
}

/** What a screen reader and the keyboard go on from after a change of page. */
function entered(moved) {
  const title = main.querySelector("h1");
  document.title = title ? `${title.textContent} · costledger` : "costledger";
  if (!moved) return;
  scrollTo(0, 0);
  if (!main.contains(document.activeElement)) main.focus({ preventScroll: true }); // a form has its field focused
}

function mark(name) {
  for (const anchor of document.querySelectorAll("nav a")) {
    const current = anchor.getAttribute("href") === `#/${name}`;
    if (current) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
}

function lapse() {
  lapsed ||= Boolean(access?.scope);
  access = null;
  live.end();
  show();
}

whenUnauthorized(lapse);
logout.addEventListener("click", async () => {
  await api.logout();
  location.reload();
});
// A browser does not report why a stream is refused.
live.addEventListener("refused", async () => {
  const before = access;
  const now = await api.access().catch(() => null);
  // Not when the page has asked again meanwhile: a token may be being typed, or have let in.
  if (before && before === access && now?.token_needed && now.scope === null) lapse();
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

shortcuts();
setInterval(() => {
  tick();
  const now = day(new Date());
  if (now === today) return;
  today = now;
  if (["", "spend"].includes(here().path[0] ?? "")) show(); // their days are counted from today
}, 1000);
fill(main, loading());
await show();

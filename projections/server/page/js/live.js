// Rows as they change: one event stream for all windows of this browser, and none for those that are hidden.

/** How long a page waits for the stream before it loads without. */
const PATIENCE_MS = 1000;

/** What the windows of this page share: the lock of the one that holds the stream, and its channel to the others. */
const SHARED = `costledger ${new URL(".", document.baseURI).pathname}`;

/**
 * Events: `row` (detail: a row), `removed` (detail: its adw_id), `again` (the stream starts again, and changes may
 * have been missed before: load again), `state` (detail: "live", "waiting", "paused" or "ended"),
 * `refused` (the server gives no stream).
 *
 * A browser keeps six connections to an address, and a stream is one of them. So one window holds it and serves the
 * others; when it is closed or hidden, the browser passes the lock to the next. Without locks (a page that came over
 * plain HTTP from another machine) each window has its own.
 */
class Live extends EventTarget {
  #source = null;
  #retry = 0;
  #wait_ms = 1000;
  #started = null;
  #heard = null;
  #state = null;
  #channel = null;
  #leaving = null;

  constructor() {
    super();
    document.addEventListener("visibilitychange", () => {
      if (this.#started === null) return;
      if (document.hidden) this.#pause();
      else this.#join();
    });
  }

  /**
   * Start, unless it has started. What is loaded after this has missed nothing, so it is loaded once.
   * @returns {Promise<void>} when changes are heard, or cannot be for now
   */
  begin() {
    return (this.#started ??= new Promise((resolve) => {
      const late = setTimeout(() => this.#heard?.(), PATIENCE_MS);
      this.#heard = () => {
        clearTimeout(late);
        this.#heard = null;
        resolve();
      };
      if (document.hidden) this.#pause();
      else this.#join();
    }));
  }

  /** Nothing more is heard until it begins again. */
  end() {
    this.#leave();
    this.#become("ended");
    this.#started = null;
  }

  /** A viewer in the background costs the server nothing. */
  #pause() {
    this.#leave();
    this.#become("paused");
  }

  #leave() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
    this.#leaving?.abort(); // frees the lock
    this.#channel?.close();
    this.#channel = null;
  }

  /** Hear of changes: by the stream if no other window holds it, otherwise by the window that does. */
  #join() {
    this.#leave();
    if (!navigator.locks) return this.#open();
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    this.#channel = new BroadcastChannel(SHARED);
    this.#channel.addEventListener("message", ({ data }) => this.#received(data));
    const hold = () =>
      new Promise((free) => {
        signal.addEventListener("abort", free);
        if (signal.aborted) free();
        else this.#open();
      });
    navigator.locks.request(SHARED, { signal }, hold).catch(() => {}); // left before it was its turn
    this.#channel.postMessage({ name: "joined" });
  }

  /** What another window says. One that joins gets the state from the window that holds the stream. */
  #received({ name, detail }) {
    if (name === "joined") this.#source && this.#tell("present", this.#state);
    else if (name !== "present") this.#hear(name, detail);
    else if (detail !== this.#state) detail === "live" ? this.#hear("opened") : this.#become(detail);
  }

  #tell(name, detail) {
    this.#channel?.postMessage({ name, detail });
  }

  #open() {
    clearTimeout(this.#retry);
    const source = (this.#source = new EventSource("api/stream"));
    const hear = (name, detail) => {
      this.#tell(name, detail);
      this.#hear(name, detail);
    };
    source.addEventListener("open", () => {
      this.#wait_ms = 1000;
      hear("opened");
    });
    source.addEventListener("reset", () => hear("again"));
    source.addEventListener("row", (event) => hear("row", JSON.parse(event.data)));
    source.addEventListener("removed", (event) => hear("removed", JSON.parse(event.data).adw_id));
    source.addEventListener("error", () => {
      hear("state", "waiting");
      // A broken connection the browser takes up again; after a refusal it gives up, and this does not.
      if (source.readyState !== EventSource.CLOSED) return;
      this.#hear("refused");
      this.#retry = setTimeout(() => this.#open(), this.#wait_ms);
      this.#wait_ms = Math.min(30_000, this.#wait_ms * 2);
    });
  }

  #hear(name, detail) {
    if (name === "state") return this.#become(detail);
    if (name !== "opened") return this.#dispatch(name, detail);
    const missed = !this.#heard; // what is loaded from now on misses nothing; what was loaded before may have
    this.#become("live");
    if (missed) this.#dispatch("again");
  }

  #become(state) {
    this.#state = state;
    this.#dispatch("state", state);
    this.#heard?.();
  }

  #dispatch(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

export const live = new Live();

/**
 * The answer to a request for workflows; a row that was heard of while it was under way is the newer one.
 * @param {Promise<{workflows: {adw_id: string, updated_at: string}[]}>} asked
 */
export async function withHeard(asked) {
  const heard = new Map();
  const hear = ({ detail: row }) => heard.set(row.adw_id, row);
  live.addEventListener("row", hear);
  try {
    const found = await asked;
    const newer = (row) => (heard.get(row.adw_id)?.updated_at >= row.updated_at ? { ...row, ...heard.get(row.adw_id) } : row);
    return { ...found, workflows: found.workflows.map(newer) };
  } finally {
    live.removeEventListener("row", hear);
  }
}

/**
 * `load` at most so often as it is cheap: no sooner than a second, and ten times as long as it took, after the last;
 * what is asked for meanwhile is done once, at the end.
 * @param {() => Promise<void>} load shows by itself what it could not load
 * @param {AbortSignal} signal ends it
 */
export function calmly(load, signal, least_ms = 1000) {
  let timer = 0,
    free_at = 0,
    running = false,
    asked = false;
  const run = async () => {
    timer = 0;
    if (signal.aborted) return;
    running = true;
    asked = false;
    const began = performance.now();
    await load();
    running = false;
    const now = performance.now();
    free_at = now + Math.max(least_ms, 10 * (now - began));
    if (asked) ask();
  };
  const ask = () => {
    asked = true;
    if (!running && !timer) timer = setTimeout(run, Math.max(0, free_at - performance.now()));
  };
  signal.addEventListener("abort", () => clearTimeout(timer));
  return ask;
}

// Rows as they change: one event stream for the whole page, closed while the page is hidden.

/** How long a page waits for the stream before it loads without. */
const PATIENCE_MS = 1000;

/**
 * Events: `row` (detail: a row), `removed` (detail: its adw_id), `again` (the stream starts again, and changes may
 * have been missed before: load again), `state` (detail: "live", "waiting", "paused" or "ended"),
 * `refused` (the server gives no stream).
 */
class Live extends EventTarget {
  #source = null;
  #retry = 0;
  #wait_ms = 1000;
  #started = null;
  #heard = null;

  constructor() {
    super();
    document.addEventListener("visibilitychange", () => {
      if (this.#started === null) return;
      if (document.hidden) this.#pause();
      else this.#open();
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
      else this.#open();
    }));
  }

  /** Nothing more is heard until it begins again. */
  end() {
    this.#close();
    this.#dispatch("state", "ended");
    this.#heard?.();
    this.#started = null;
  }

  /** A viewer in the background costs the server nothing; browsers also allow few connections per address. */
  #pause() {
    this.#close();
    this.#dispatch("state", "paused");
    this.#heard?.();
  }

  #close() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  #open() {
    this.#close();
    const source = (this.#source = new EventSource("api/stream"));
    source.addEventListener("open", () => {
      this.#wait_ms = 1000;
      this.#dispatch("state", "live");
      if (this.#heard) this.#heard();
      else this.#dispatch("again");
    });
    source.addEventListener("reset", () => this.#dispatch("again"));
    source.addEventListener("row", (event) => this.#dispatch("row", JSON.parse(event.data)));
    source.addEventListener("removed", (event) => this.#dispatch("removed", JSON.parse(event.data).adw_id));
    source.addEventListener("error", () => {
      this.#dispatch("state", "waiting");
      this.#heard?.();
      // A broken connection the browser takes up again; after a refusal it gives up, and this does not.
      if (source.readyState !== EventSource.CLOSED) return;
      this.#dispatch("refused");
      this.#retry = setTimeout(() => this.#open(), this.#wait_ms);
      this.#wait_ms = Math.min(30_000, this.#wait_ms * 2);
    });
  }

  #dispatch(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

export const live = new Live();

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

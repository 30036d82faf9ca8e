// Rows as they change: one event stream for the whole page, closed while nobody looks at it.

/**
 * Events: `row` (detail: a row), `removed` (detail: its adw_id), `again` (the stream begins, and something may
 * have been missed before: load anew), `state` (detail: "live", "waiting" or "paused").
 */
class Live extends EventTarget {
  #source = null;
  #retry = 0;
  #wait_ms = 1000;
  #started = false;

  /** Begin; what has begun begins anew. */
  start() {
    if (this.#started) return this.#open();
    this.#started = true;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#pause() : this.#open()));
    if (document.hidden) this.#pause();
    else this.#open();
  }

  /** A viewer in the background costs the server nothing; browsers also allow few connections per address. */
  #pause() {
    this.#close();
    this.#tell("state", "paused");
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
      this.#tell("state", "live");
      this.#tell("again");
    });
    source.addEventListener("row", (event) => this.#tell("row", JSON.parse(event.data)));
    source.addEventListener("removed", (event) => this.#tell("removed", JSON.parse(event.data).adw_id));
    source.addEventListener("error", () => {
      this.#tell("state", "waiting");
      // A broken connection the browser takes up again; after a refusal it gives up, and this does not.
      if (source.readyState !== EventSource.CLOSED) return;
      this.#retry = setTimeout(() => this.#open(), this.#wait_ms);
      this.#wait_ms = Math.min(30_000, this.#wait_ms * 2);
    });
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

export const live = new Live();

/**
 * `load` at most so often as it is cheap: no sooner than a second, and ten times as long as it took, after the last;
 * what is asked for meanwhile is done once, at the end.
 * @param {() => Promise<void>} load
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
    try {
      await load();
    } catch (error) {
      if (error.name !== "AbortError") console.info(`not refreshed: ${error.message}`);
    }
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

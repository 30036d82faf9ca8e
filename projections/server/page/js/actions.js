// What viewers do: buttons that ask the server for something, and files.

import { button, fill, h } from "./dom.js";
import { csv } from "./format.js";

/**
 * A button that does something once, and says why it could not.
 * @param {() => Promise<any>} work false when there was nothing to do
 * @param {() => void} done follows otherwise
 */
export function act(text, properties, work, done) {
  const said = h("span", { role: "status" });
  const press = async () => {
    made.disabled = true;
    fill(said);
    try {
      if ((await work()) !== false) done();
    } catch (error) {
      fill(said, h("span", { class: "bad" }, ` ${error.message}`));
    }
    made.disabled = false;
  };
  const made = button(text, press, properties);
  return [made, said];
}

/**
 * What is shown as files.
 * @param {() => Promise<object>} read what JSON has; `rows` of it CSV
 */
export function exports(text, name, read, rows, ...more) {
  const said = h("span", { role: "status" });
  const saved = (kind, type, written) => async () => {
    try {
      fill(said, "Reading…");
      save(`${name}.${kind}`, type, written(await read()));
      fill(said);
    } catch (error) {
      if (error.name !== "AbortError") fill(said, h("span", { class: "bad" }, error.message));
    }
  };
  const json = (found) => `${JSON.stringify(found, null, 2)}\n`;
  return h("p", { class: "exports" }, [
    text,
    button("CSV", saved("csv", "text/csv", (found) => csv(rows(found)))),
    button("JSON", saved("json", "application/json", json)),
    ...more,
    said,
  ]);
}

/** A file made here and saved by the browser. */
function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

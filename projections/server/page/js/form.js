// Forms whose state is the address: a change shows at once, and Back undoes it. The form itself stays what it is, so
// that nothing takes the focus, or what is typed, from its user.

import { go } from "./router.js";

/** How long after the last key the text is searched for. */
const PAUSE_MS = 300;

/**
 * Let a form set where the page is. One visit of a field is one step of the browser's history; each tick of a box, too.
 * @param {HTMLFormElement} form its field of type "search" is followed while the user types
 * @param {() => string | null} to the address that the form asks for; null while what is typed means nothing yet
 */
export function steers(form, to) {
  let typing = 0,
    visited = null; // the field whose visit made the latest step
  const apply = (field) => {
    clearTimeout(typing);
    const address = to();
    if (address === null || address === location.hash) return;
    go(address, { replace: field === visited });
    visited = field;
  };
  form.addEventListener("input", ({ target, isComposing }) => {
    if (target.type !== "search") return;
    clearTimeout(typing);
    if (!isComposing) typing = setTimeout(() => form.isConnected && apply(target), PAUSE_MS);
  });
  form.addEventListener("change", ({ target }) => {
    if (target.type === "checkbox") visited = null;
    apply(target);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    visited = null;
    apply(form);
    visited = null;
  });
  form.addEventListener("focusout", () => {
    visited = null;
  });
}

/**
 * Fill a form from the address; a field that has the value already is not touched.
 * @param {HTMLFormElement} form
 * @param {Record<string, string | string[]>} values of each field by its name
 */
export function fillForm(form, values) {
  for (const field of form.elements) {
    const value = values[field.name];
    if (value === undefined) continue;
    if (field.type === "checkbox") field.checked = value.includes(field.value);
    else if (field.value !== value) field.value = value;
  }
}

// Login: a token becomes a cookie that no script can read.

import { api } from "../api.js";
import { fill, h } from "../dom.js";
import { field } from "../parts.js";

/** @param {HTMLElement} main @param {{lapsed: boolean, done: () => void}} then `lapsed`: a token was good until now */
export function login(main, { lapsed, done }) {
  const token = h("input", {
    type: "password",
    name: "token",
    autocomplete: "current-password",
    required: true,
    spellcheck: "false",
  });
  const owner = h("input", {
    type: "text",
    name: "username",
    autocomplete: "username",
    value: "costledger",
    hidden: true,
  });
  const refused = h("p", { role: "alert", class: "bad" });
  const enter = async (event) => {
    event.preventDefault();
    refused.textContent = "";
    try {
      await api.login(token.value.trim());
      done();
    } catch (error) {
      refused.textContent = error.message;
      token.select();
    }
  };
  fill(
    main,
    h("h1", {}, "Log in"),
    h(
      "form",
      { class: "login", onsubmit: enter },
      lapsed && h("p", { class: "warn", role: "status" }, "The token is no longer valid here: it was revoked, or this browser logged out."),
      h("p", {}, "This server asks for a token. Its administrator makes one with"),
      h("pre", {}, h("code", {}, "costledger token create --scope read")),
      h("p", { class: "muted" }, "A token for ", h("code", {}, "admin"), " may also resync."),
      owner,
      field("Token", token),
      refused,
      h("button", { type: "submit", class: "main" }, "Log in"),
    ),
  );
  token.focus();
}

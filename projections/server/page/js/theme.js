// The theme, set before the first paint; not a module, because modules run after it. Stored in this browser only.
"use strict";
{
  const KEY = "costledger-theme";
  const NEXT = { system: "light", light: "dark", dark: "system" };
  const LABEL = { system: "◐ System", light: "○ Light", dark: "● Dark" };
  const root = document.documentElement;

  /** What was chosen; storage may be forbidden, then it is the system's. */
  const stored = () => {
    try {
      const theme = localStorage.getItem(KEY);
      return theme in NEXT ? theme : "system";
    } catch {
      return "system";
    }
  };
  root.dataset.theme = stored();

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const show = () => {
      button.textContent = LABEL[root.dataset.theme];
      button.setAttribute("aria-label", `Colours: ${root.dataset.theme}. Change`);
    };
    button.addEventListener("click", () => {
      root.dataset.theme = NEXT[root.dataset.theme];
      try {
        localStorage.setItem(KEY, root.dataset.theme);
      } catch {
        /* then it lasts as long as the page */
      }
      show();
    });
    show();
  });
}

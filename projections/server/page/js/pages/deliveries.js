// Webhooks: how each receiver fares, and the messages that were given up, to be sent again.

import { api } from "../api.js";
import { h, section, table } from "../dom.js";
import { count, local } from "../format.js";
import { workflowName } from "../parts.js";

const SHOWN = 20;

/** The section of webhooks. @param {() => void} again loads it again */
export function deliveries({ endpoints, dead_letters: dead }, scope, again) {
  if (!endpoints.length)
    return section(
      "Webhooks",
      h(
        "p",
        { class: "quietly" },
        "None is configured; ",
        h("code", {}, "[[webhooks]]"),
        " in ",
        h("code", {}, "costledger.toml"),
        " names one.",
      ),
    );
  const list = table({
    caption: "Webhooks",
    columns: [
      { name: "Endpoint" },
      { name: "Delivered", figures: true },
      { name: "Pending", figures: true },
      { name: "Given up", figures: true },
      { name: "Last delivery", when: true },
      { name: "Last error" },
    ],
    rows: endpoints.map((one) => [
      one.host,
      count(one.delivered),
      count(one.pending),
      count(one.dead),
      local(one.last_delivered_at),
      one.last_error ?? "none",
    ]),
  });
  if (!dead.length) return section("Webhooks", list);
  const resend = (letter) =>
    scope === "admin" &&
    h(
      "button",
      {
        type: "button",
        id: `resend-${letter.id}`,
        onclick: async (event) => {
          event.target.disabled = true;
          try {
            await api.resend(letter.id);
            again();
          } catch (error) {
            event.target.replaceWith(h("span", { class: "bad" }, error.message));
          }
        },
      },
      "Send again",
    );
  return section(
    "Webhooks",
    list,
    h("h3", {}, "Given up"),
    table({
      caption: "Messages that were given up",
      columns: [
        { name: "Made", when: true },
        { name: "Event" },
        { name: "Workflow" },
        { name: "Attempts", figures: true },
        { name: "Last error" },
        { name: "" },
      ],
      rows: dead.map((letter) => [
        local(letter.made_at),
        letter.type,
        workflowName(letter.adw_id),
        count(letter.attempts),
        letter.last_error,
        resend(letter) || "",
      ]),
      most: SHOWN,
    }),
  );
}

// Webhooks: how each receiver fares, and the messages that were given up, to be sent again.

import { act } from "../actions.js";
import { api } from "../api.js";
import { h, heads, says, section, table } from "../dom.js";
import { count, local } from "../format.js";
import { workflowName } from "../parts.js";

const SHOWN = 20;

/** The section of webhooks. @param {() => void} again loads it again */
export function deliveries({ endpoints, dead_letters: dead }, scope, again) {
  if (!endpoints.length)
    return section("Webhooks", says("quietly", "None is configured; `[[webhooks]]` in `costledger.toml` names one."));
  const list = table({
    caption: "Webhooks",
    columns: heads("Endpoint, Delivered/figures, Pending/figures, Given up/figures, Last delivery/when, Last error"),
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
  const resend = ({ id }) => scope === "admin" && act("Send again", { id: `resend-${id}` }, () => api.resend(id), again);
  return section(
    "Webhooks",
    list,
    h("h3", {}, "Given up"),
    table({
      caption: "Messages that were given up",
      columns: heads("Made/when, Event, Workflow, Attempts/figures, Last error, "),
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

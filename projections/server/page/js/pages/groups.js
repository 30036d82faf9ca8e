// What was spent on each group, and by how much that is more or less than in the days before.

import { exports } from "../actions.js";
import { colours, swatch } from "../colours.js";
import { h, heads, section, table } from "../dom.js";
import { nanousd, noFigure, wire } from "../format.js";
import { about, change, exactly, groupName, share, sortable, sum } from "../parts.js";
import { before } from "../periods.js";
import { go, workflowLink } from "../router.js";
import { spendLink } from "./span.js";

const GROUPS_SHOWN = 15;
const NOTHING = { cost_usd: "0.00", at_least: false, unpriced_events: 0, total_tokens: 0 };
const EXPORTED = "cost_usd at_least before_usd before_at_least change_usd total_tokens".split(" ");

/** Where a group leads: a workflow to its page, anything else to the workflows behind it. */
export const behind = (group, of) =>
  of.by === "workflow"
    ? workflowLink(group)
    : spendLink(of, { by: "workflow", where: [...of.where, `${of.by}=${group ?? ""}`] });

/** The groups with their colours: legend and figures in one. @param {"cost" | "change"} sort */
export function groups(spend, earlier, of, sort) {
  const { by } = of;
  const [since, until] = before(of);
  const colour = colours(spend.groups);
  const total = Number(nanousd(spend.total.cost_usd)) || 1;
  const its = changes(spend.groups, earlier.groups);
  if (sort === "change") its.sort((a, b) => Number(size(b.change) - size(a.change)));
  const sorts = (column, key, order, title) =>
    sortable(column, key, sort === key ? order : null, () => go(spendLink(of, { sort: key === "cost" ? null : key })), title);
  const [name, cost, moved, ...others] = heads(`${named(by)}/wide, Cost/figures, Change/figures, Share/figures, Tokens/figures`);
  const against = `Against ${since} to ${until}; sorts by the largest change`;
  return section(
    `By ${by}`,
    table({
      caption: `Spend by ${by}`,
      columns: [name, sorts(cost, "cost", "descending"), sorts(moved, "change", "other", against), ...others],
      rows: its.map((one) => {
        const part = one.now && !noFigure(one) && share(Number(nanousd(one.cost_usd)) / total);
        const href = behind(one.group, one.now ? of : { ...of, since, until, span: null });
        const link = h("a", { class: "cut", title: String(one.group ?? "none"), href }, [
          swatch(one.now ? colour(one.group) : null),
          groupName(one.group, by),
        ]);
        return [link, sum(one), changed(one), part || "", about(one.total_tokens)];
      }),
      foot: ["Total", sum(spend.total), changed(changeOf(spend.total, earlier.total)), "", about(spend.total.total_tokens)],
      most: GROUPS_SHOWN,
    }),
    exports(
      "This table as ",
      `spend-by-${by.replace(":", "-")}`,
      async () => ({ by, since: of.since, until: of.until, before_since: since, before_until: until, groups: its.map(saved) }),
      (found) => [[by, ...EXPORTED], ...found.groups.map((one) => ["group", ...EXPORTED].map((name) => one[name]))],
    ),
  );
}

export const named = (name) => name[0].toUpperCase() + name.slice(1);

const size = (nano) => (nano < 0n ? -nano : nano);

/** The groups of these days, and after them those that only the days before had. */
function changes(now, earlier) {
  const was = new Map(earlier.map((one) => [one.group, one]));
  const found = now.map((one) => changeOf(one, was.get(one.group)));
  for (const one of now) was.delete(one.group);
  return [...found, ...[...was.values()].map((one) => ({ ...changeOf({ ...NOTHING, group: one.group }, one), now: false }))];
}

/** The figures of a sum, and what it changed by against those of the days before, if it had any. */
const changeOf = (one, was) => ({ ...one, now: true, was, change: nanousd(one.cost_usd) - nanousd((was ?? NOTHING).cost_usd) });

function changed({ was, change: nano, ...now }) {
  if (!was) return h("span", { title: exactly(wire(nano)) }, "new");
  if (!now.at_least && !was.at_least) return change(nano, null);
  return nano === 0n ? "" : h("span", {}, h("small", { class: "muted" }, "about "), change(nano, null));
}

const saved = ({ group, cost_usd, at_least, total_tokens, was = NOTHING, change: nano }) => ({
  group,
  cost_usd,
  at_least,
  before_usd: was.cost_usd,
  before_at_least: was.at_least,
  change_usd: wire(nano),
  total_tokens,
});

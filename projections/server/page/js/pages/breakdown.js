// Where a workflow's cost and tokens come from.

import { cut, h, heads, says, table } from "../dom.js";
import { count, nanousd, nanousdOrNothing, percent, rowCost, UNATTRIBUTED } from "../format.js";
import { about, amount, lessLoud, share } from "../parts.js";

/** By model: parts that sum to the total. @param {(branch: object) => object} opens what a link has that lists a model's events alone */
export function breakdown(row, opens) {
  const costs = row.cost_breakdown.by_model ?? {},
    used = row.token_breakdown.by_model ?? {};
  const all = (tokens) =>
    ["input_tokens", "cache_write_tokens", "cache_read_tokens", "output_tokens"].reduce(
      (sum, kind) => sum + (tokens?.[kind] ?? 0),
      0,
    );
  const total = Number(nanousdOrNothing(row.actual_cost_total)) || 1;
  const names = [...new Set([...Object.keys(costs), ...Object.keys(used)])];
  const nano = (name) => nanousd(costs[name] ?? "0.00");
  names.sort((a, b) => Number(nano(b) - nano(a)) || all(used[b]) - all(used[a]));
  if (!names.length) return says("quietly", "Nothing yet.");
  const unpriced = row.cost_breakdown.unpriced ?? {};
  return table({
    caption: "Cost by model",
    columns: heads("Model/wide, Cost/figures, Share/figures, Tokens/figures"),
    most: 12,
    rows: names.map((one) => [
      h("a", opens({ model: one === UNATTRIBUTED ? null : one }), cut(one)),
      !costs[one] && unpriced[one] ? "unpriced" : amount(nano(one)),
      !costs[one] && unpriced[one] ? "" : share(Number(nano(one)) / total),
      about(all(used[one])),
    ]),
    foot: [
      "Total",
      nanousdOrNothing(row.actual_cost_total) === 0n ? lessLoud(rowCost(row)) : amount(row.actual_cost_total),
      "",
      about(row.total_tokens),
    ],
  });
}

/** By kind of token. */
export function tokens(row) {
  if (!row.total_tokens) return says("quietly", "No reading has a number of tokens.");
  const kinds = [
    ["Uncached input", row.input_tokens],
    ["Cache writes", row.cached_tokens],
    ["Cache reads", row.cache_hit_tokens],
    ["Output", row.output_tokens],
  ];
  return [
    table({
      caption: "Tokens by kind",
      columns: heads("Kind/wide, Tokens/figures, Share/figures"),
      rows: kinds.map(([kind, tokens]) => [kind, count(tokens), share(tokens / row.total_tokens)]),
      foot: ["Total", count(row.total_tokens), ""],
    }),
    says("note", `${percent(row.cache_efficiency_percent)} of what was read came from the cache.`),
  ];
}

// Colours of series: a model or an agent has the same colour on every page and from day to day, in this browser.

import { h } from "./dom.js";
import { nanousd } from "./format.js";
import { store, stored } from "./stored.js";

/** Colours that colour-blind people can distinguish (after Okabe and Ito, https://jfly.uni-koeln.de/color/), in `style.css`. */
const COLOURS = 8;
/** With their lighter shades. */
const MOST = 2 * COLOURS;

/** The numbers of names that had one, so that another name which needs the same takes the next. */
const STORED = "costledger-colours";
const STORED_MOST = 1000;

/** The series of those without a colour of their own. */
export const OTHERS = "others";

export const swatch = (series) => h("span", { class: "swatch", "data-series": series, "aria-hidden": "true" });

/**
 * Which series each group has: a number, or `OTHERS`. A name decides its number; of two with one number, the one that
 * comes later takes the next that is free: in the order in which they were first shown, then of the alphabet. Groups
 * have a number of their own until the others together cost less than the dearest.
 * @param {{group: any, cost_usd: string}[]} groups the highest cost first
 */
export function colours(groups) {
  const taken = new Map();
  const own = groups.slice(0, named(groups)).map(({ group }) => group);
  const room = own.length > COLOURS ? MOST : COLOURS;
  const before = new Map(stored(STORED).filter(([, number]) => Number.isInteger(number)));
  const order = own.toSorted((a, b) => before.has(String(b)) - before.has(String(a)) || (String(a) < String(b) ? -1 : 1));
  for (const group of order) {
    let number = before.get(String(group)) ?? digest(String(group)) % COLOURS;
    while ([...taken.values()].includes(number)) number = (number + 1) % room;
    taken.set(group, number);
  }
  const added = [...taken].map(([group, number]) => [String(group), number]).filter(([name]) => !before.has(name));
  if (added.length) store(STORED, [...before, ...added].slice(-STORED_MOST));
  return (group) => taken.get(group) ?? OTHERS;
}

/** How many groups have a colour of their own. */
function named(groups) {
  if (groups.length <= COLOURS) return groups.length;
  const costs = groups.map(({ cost_usd: cost }) => nanousd(cost));
  let rest = costs.slice(COLOURS - 1).reduce((sum, cost) => sum + cost, 0n);
  let number = COLOURS - 1;
  while (number < MOST && rest > costs[0]) rest -= costs[number++];
  return number;
}

/** FNV-1a of 32 bits, by Fowler, Noll and Vo. */
function digest(text) {
  let hash = 0x811c9dc5;
  for (const character of text) hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193) >>> 0;
  return (hash ^ (hash >>> 15)) >>> 0;
}
